//! Which page a reader touched, where the page table shows only the block that the kernel mapped
//! around it.
//!
//! A fault on a page that is not cached makes the kernel read around it: half its read-ahead before
//! the page, half behind. The edges of what is cached then tell the page. Source: KERNEL.md 2.3,
//! mm/filemap.c, do_sync_mmap_readahead.

use super::View;
use crate::page::{PageCount, PageIndex, PageRange};
use crate::sys;

/// Pages asked about at once: a block and one on either side.
const ASKED_MAX: usize = 64;

/// How much the kernel reads around a fault, where what is cached may be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pinpoint {
    around: Option<PageCount>,
}

impl Pinpoint {
    /// `read_ahead` is the kernel's for the mapped file; `None` where nothing can be learnt: a file
    /// whose cache is not shown to this user, or in memory.
    pub(crate) fn new(read_ahead: Option<PageCount>) -> Pinpoint {
        Pinpoint { around: read_ahead.filter(|pages| pages.0 >= 4) }
    }

    /// The page of `touched` whose fault made the kernel read, or all of `touched`, where that cannot
    /// be told.
    pub(crate) fn sharpen(&self, view: &View, touched: PageRange) -> PageRange {
        if touched.count() > view.block_len() || touched.count().0 == 1 {
            return touched;
        }
        let page = self.before_gap(view, touched).or_else(|| self.faulted_page(view, touched));
        page.map_or(touched, |page| PageRange::at(page, PageCount(1)))
    }

    /// The kernel leaves out the page that it has marked as the one to read on from: a quarter of what
    /// it reads around a fault behind the faulting page.
    fn before_gap(&self, view: &View, touched: PageRange) -> Option<PageIndex> {
        let quarter = self.around?.0 / 4;
        let page = PageIndex(touched.end.0.checked_sub(quarter)?);
        let is_inside = view.block_of(touched.start).contains(touched.end);
        let gap = PageRange::at(touched.end, PageCount(1));
        let is_gap = is_inside
            && touched.contains(page)
            && sys::first_page_is_cached(view.span_of(gap)).unwrap_or(false);
        is_gap.then_some(page)
    }

    /// The page of `block` that the kernel read around, if exactly one can have been it.
    pub(crate) fn faulted_page(&self, view: &View, block: PageRange) -> Option<PageIndex> {
        let half = PageCount(self.around?.0 / 2);
        let behind = edge_at(view, block.start.plus(half), block.count(), Edge::End);
        let before = || {
            let start = block.start.0.checked_sub(half.0).map(PageIndex)?;
            edge_at(view, start, block.count(), Edge::Start)
        };
        let at = behind.or_else(before)?;
        Some(block.start.plus(at))
    }
}

/// Which edge of what is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    /// A cached page, and the one before it is not.
    Start,
    /// A page that is not cached, and the one before it is.
    End,
}

/// How far from `from` on the only edge among the next `count` pages lies, if there is one.
fn edge_at(view: &View, from: PageIndex, count: PageCount, edge: Edge) -> Option<PageCount> {
    let before = PageIndex(from.0.checked_sub(1)?);
    let asked = PageRange::at(before, PageCount(count.0 + 1)).intersect(view.pages());
    let mut bits = [0u8; ASKED_MAX];
    let bits = bits.get_mut(..asked.count().0 as usize)?;
    sys::which_cached(view.span_of(asked), bits).ok()?;
    let is_edge = |pair: &[u8]| match edge {
        Edge::Start => pair[0] & 1 == 0 && pair[1] & 1 != 0,
        Edge::End => pair[0] & 1 != 0 && pair[1] & 1 == 0,
    };
    let mut found = bits.windows(2).enumerate().filter(|(_, pair)| is_edge(pair));
    let (at, _) = found.next()?;
    found.next().is_none().then_some(PageCount(at as u64))
}
