//! One mapping as an observer sees it: pages on one side, addresses and the page table on the other.

use std::io;

use crate::page::{ByteLen, PageCount, PageIndex, PageRange, PageSize};
use crate::sys::{Pagemap, Span};

/// Blocks of a reader's way that are looked at one by one.
const SINGLE_BLOCKS: u32 = 8;

/// The mapping that an observer looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// The whole mapping, page-aligned.
    pub(crate) span: Span,
    pub(crate) page_size: PageSize,
    /// The kernel's fault-around in bytes: it maps naturally aligned blocks of addresses.
    pub(crate) around: usize,
    pub(crate) pagemap: &'static Pagemap,
}

impl View {
    /// All its pages.
    pub(crate) fn pages(&self) -> PageRange {
        let count = self.page_size.pages_for(ByteLen(self.span.len as u64));
        PageRange::at(PageIndex(0), count)
    }

    /// The addresses of `range`.
    pub(crate) fn span_of(&self, range: PageRange) -> Span {
        let offset = |page| self.page_size.offset_of(page) as usize;
        self.span.slice(offset(range.start), offset(range.end))
    }

    /// The pages of `span`, which lies in the mapping, widened to whole blocks: what mapping it may
    /// have mapped.
    pub(crate) fn blocks_of(&self, span: Span) -> PageRange {
        let offset = (span.addr - self.span.addr) as u64;
        let pages = self.page_size.cover(offset..offset + span.len as u64).intersect(self.pages());
        let last = pages.end.minus(PageCount(1));
        PageRange::new(self.block_of(pages.start).start, self.block_of(last).end)
    }

    /// The pages that one fault on `page` may map: its block of addresses, cut to the mapping.
    pub(crate) fn block_of(&self, page: PageIndex) -> PageRange {
        let addr = self.span.addr + self.page_size.offset_of(page) as usize;
        let low = (addr & !(self.around - 1)).saturating_sub(self.span.addr);
        let high = ((addr | (self.around - 1)) + 1).saturating_sub(self.span.addr);
        let page = |offset: usize| self.page_size.index_of(offset as u64);
        PageRange::new(page(low), page(high)).intersect(self.pages())
    }

    /// Whether any page of `range` is in the page table.
    pub(crate) fn any_present(&self, range: PageRange) -> io::Result<bool> {
        let span = self.span_of(range);
        Ok(!span.is_empty() && self.pagemap.any_present(span)?)
    }

    /// The first page from `page` on, and before `limit`, whose block is not in the page table;
    /// `limit` when there is none. The first blocks one by one, so that a reader that skips some is
    /// not taken for one that does not; then by doubling steps and halving back: a handful of looks
    /// however far a reader has run. Exact while the mapped pages are one run from there on, which is
    /// what a forward reader leaves behind.
    pub(crate) fn frontier_after(
        &self,
        page: PageIndex,
        limit: PageIndex,
    ) -> io::Result<PageIndex> {
        let mut present_to = page;
        let mut step = PageCount(1);
        let mut probes = 0;
        while present_to < limit {
            let probe = self.block_of(present_to.plus(step).min(limit).minus(PageCount(1)));
            if !self.any_present(probe)? {
                return self.frontier_between(present_to, probe.start);
            }
            present_to = probe.end;
            probes += 1;
            let growth = if probes < SINGLE_BLOCKS { 1 } else { 2 };
            step = PageCount(step.0.max(self.block_len().0) * growth);
        }
        Ok(limit)
    }

    /// All up to `low` is present, and the block that begins at `high` is not.
    fn frontier_between(&self, mut low: PageIndex, mut high: PageIndex) -> io::Result<PageIndex> {
        while low < high {
            let middle = self.block_of(low.plus(PageCount(high.since(low).0 / 2)));
            if self.any_present(middle)? {
                low = middle.end;
            } else {
                high = middle.start;
            }
        }
        Ok(low.min(high))
    }

    /// How many pages the mapping's first page is late in its block of addresses.
    pub(crate) fn lead(&self) -> PageCount {
        self.page_size.whole_pages_in(ByteLen((self.span.addr % self.around) as u64))
    }

    /// How many pages one fault maps.
    pub(crate) fn block_len(&self) -> PageCount {
        self.page_size.pages_for(ByteLen(self.around as u64))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::OnceLock;

    pub(crate) fn view_of(map: &memmap2::Mmap) -> View {
        static PAGEMAP: OnceLock<Pagemap> = OnceLock::new();
        View {
            span: Span { addr: map.as_ptr() as usize, len: map.len() },
            page_size: crate::sys::page_size(),
            around: 64 << 10,
            pagemap: PAGEMAP.get_or_init(|| Pagemap::open().unwrap()),
        }
    }

    pub(crate) fn map_of_shm(len: usize) -> memmap2::Mmap {
        let file = tempfile::tempfile_in("/dev/shm").unwrap();
        std::io::Write::write_all(&mut &file, &vec![1; len]).unwrap();
        // SAFETY: the file is private to the test and not changed while it is mapped.
        unsafe { memmap2::Mmap::map(&file) }.unwrap()
    }

    #[test]
    fn the_frontier_is_found_wherever_the_reader_stopped() {
        let map = map_of_shm(8 << 20);
        let view = view_of(&map);
        let end = view.pages().end;
        assert_eq!(view.frontier_after(PageIndex(0), end).unwrap(), PageIndex(0));
        // At the very start of a mapping one fault spills over the block's end: begin behind it.
        for page in [16, 17, 50, 800, 1024, 1600, 2040, 2047] {
            let stop = view.block_of(PageIndex(page)).end;
            let populated = view.page_size.offset_of(stop) as usize;
            map.advise_range(memmap2::Advice::PopulateRead, 0, populated).unwrap();
            let frontier = view.frontier_after(PageIndex(0), end).unwrap();
            assert_eq!(frontier, stop, "read up to page {page}");
            let limit = PageIndex(stop.0 / 2);
            assert!(view.frontier_after(PageIndex(0), limit).unwrap() <= limit);
        }
    }

    #[test]
    fn a_block_is_what_one_fault_maps() {
        let map = map_of_shm(1 << 20);
        let view = view_of(&map);
        std::hint::black_box(map[(64 << 10) * 3 + 5000]);
        let block = view.block_of(PageIndex(3 * 16 + 1));
        assert_eq!(block.count(), PageCount(16));
        assert!(view.any_present(block).unwrap());
        assert!(!view.any_present(view.block_of(block.end)).unwrap());
    }
}
