//! The passive observer of a writer, in a mapping whose owner said that it stores forward.
//!
//! A write fault on small pages maps one page and nothing around it, so single pages do what the
//! marker's blocks of 64 KiB do for readers: the first page of each window is absent from the page table,
//! and its becoming present says that the writer has passed. In the file it is allocated first of all
//! (and then dropped from the page table): were space to end behind a page that is left out, the writer
//! would find none for it. The page table does not tell loads from stores: that these are stores is the
//! word of the owner.
//!
//! What is new in the page table is believed to be a writer only when it goes on: pages that appear
//! in one go (MAP_POPULATE, advice, a read of 64 KiB) and then stay as they are get nothing.

use std::io;

use super::blocks::{Blocks, Known};
use super::still::Still;
use super::sweep::Sweep;
use super::{Observer, Touches, View};
use crate::fetch::Fetch;
use crate::page::{Nanos, PageCount, PageIndex, PageRange};
use crate::policy::{Source, Window};
use crate::stats::Counters;
use crate::sys;

/// Markers and edges watched at once; the oldest are forgotten first. A look costs one scan each.
const MARKERS_MAX: usize = 64;
const EDGES_MAX: usize = 64;
/// More runs than this found by one sweep are scattered stores.
const EDGES_PER_SWEEP: usize = 4;
/// What counts as a window where none was planned.
const WINDOW_PAGES: PageCount = PageCount(512);

/// The first page that is not mapped behind pages that are, and the page that is known to be mapped
/// after it: what lies between becomes present by the program alone.
#[derive(Clone, Copy, Debug)]
struct Edge {
    at: PageIndex,
    limit: PageIndex,
    /// Where the pages began that were seen to appear before this edge, and not told of.
    untold: PageIndex,
    /// Whether it has moved before: only then does a move tell of a writer.
    has_moved: bool,
}

#[derive(Debug)]
pub(crate) struct Stores {
    /// Pages that were absent after everything behind them was mapped.
    markers: Vec<PageIndex>,
    edges: Vec<Edge>,
    /// Pages whose presence is explained: mapped by us, or seen.
    known: Blocks,
    sweep: Sweep,
    still: Still,
    is_over: bool,
}

impl Stores {
    /// `view` knows no fault-around: there is none for stores.
    pub(crate) fn new(view: &View) -> Stores {
        let limit = view.pages().end;
        let start = PageIndex(0);
        Stores {
            markers: Vec::new(),
            // Most writers begin at the beginning.
            edges: vec![Edge { at: start, limit, untold: start, has_moved: false }],
            known: Blocks::new(PageCount(1), PageCount(0)),
            sweep: Sweep::default(),
            still: Still::default(),
            is_over: false,
        }
    }

    fn look_at_markers(
        &mut self,
        view: &View,
        touches: &mut Touches,
        counters: &Counters,
    ) -> io::Result<()> {
        let mut absent = Vec::with_capacity(self.markers.len());
        for &page in &self.markers {
            Counters::add(&counters.polls, 1);
            if view.any_present(one(page))? {
                self.known.assign(one(page), Known::Yes);
                touches.passed.push(page);
            } else {
                absent.push(page);
            }
        }
        self.markers = absent;
        Ok(())
    }

    fn look_at_edges(
        &mut self,
        view: &View,
        touches: &mut Touches,
        counters: &Counters,
    ) -> io::Result<()> {
        for edge in &mut self.edges {
            Counters::add(&counters.polls, 1);
            let frontier = view.frontier_after(edge.at, edge.limit)?;
            if frontier == edge.at {
                continue;
            }
            self.known.assign(PageRange::new(edge.at, frontier), Known::Yes);
            edge.at = frontier;
            if edge.has_moved {
                touches.found.push(PageRange::new(edge.untold, frontier));
                edge.untold = frontier;
                Counters::add(&counters.late, u64::from(!self.still.is_on()));
            }
            edge.has_moved = true;
        }
        self.edges.retain(|edge| edge.at < edge.limit);
        Ok(())
    }

    /// Watches behind the pages that a sweep found, unless they are many: then nobody runs there.
    fn sweep_for_others(&mut self, view: &View, now: Nanos, counters: &Counters) -> io::Result<()> {
        let mut found = Vec::new();
        self.sweep.run(view, now, &mut self.known, &mut found, counters)?;
        if found.len() > EDGES_PER_SWEEP {
            return Ok(());
        }
        for range in found {
            let limit = self.known.next_known(range.end, view.pages().end);
            let untold = range.start;
            self.watch(Edge { at: range.end, limit, untold, has_moved: true });
        }
        Ok(())
    }

    /// Maps `window` and drops its first page again, if that is to say that the writer came.
    fn map_behind(
        &mut self,
        view: &View,
        window: Window,
        fetch: &mut dyn Fetch,
        counters: &Counters,
    ) -> io::Result<()> {
        let marker = window.trigger.filter(|&page| page == window.range.start);
        let Some(page) = marker.filter(|_| window.range.count() > PageCount(1)) else {
            return self.map_pages(view, window.range, fetch, counters);
        };
        let rest = PageRange::new(page.plus(PageCount(1)), window.range.end);
        let is_first = !view.any_present(PageRange::at(page, PageCount(2)))?;
        self.map_one(view, page, fetch)?;
        // Only the microseconds of that call lie between the two looks: a neighbour that came with the
        // page sits in the same large folio.
        if is_first && view.any_present(one(rest.start))? {
            Counters::add(&counters.false_markers, 1);
            self.still.false_marker();
        } else if is_first {
            self.still.true_marker();
            // Refused on locked memory: then it is no marker.
            let _ = sys::drop_from_page_table(view.span_of(one(page)));
        }
        if self.still.is_on() {
            return Ok(());
        }
        self.map_pages(view, rest, fetch, counters)?;
        self.arm(view, page, counters)
    }

    fn map_one(&mut self, view: &View, page: PageIndex, fetch: &mut dyn Fetch) -> io::Result<()> {
        // No space, or no file there any more: the program is to meet that by itself, and to find
        // what space there is.
        fetch.map(view.span_of(one(page))).inspect_err(|_| self.is_over = true)?;
        self.known.assign(one(page), Known::Yes);
        Ok(())
    }

    fn map_pages(
        &mut self,
        view: &View,
        pages: PageRange,
        fetch: &mut dyn Fetch,
        counters: &Counters,
    ) -> io::Result<()> {
        if pages.is_empty() {
            return Ok(());
        }
        fetch.map(view.span_of(pages)).inspect_err(|_| self.is_over = true)?;
        self.known.assign(pages, Known::Yes);
        Counters::add(&counters.pages_mapped, pages.count().0);
        Ok(())
    }

    /// Watches `page` from now on, unless it is present already.
    fn arm(&mut self, view: &View, page: PageIndex, counters: &Counters) -> io::Result<()> {
        if view.any_present(one(page))? {
            return Ok(());
        }
        Counters::add(&counters.markers, 1);
        if self.markers.len() == MARKERS_MAX {
            self.markers.remove(0);
        }
        self.markers.push(page);
        Ok(())
    }

    /// Puts an edge at `at`, behind a window that belongs to a writer, and ends the edges before it.
    fn move_edge(&mut self, view: &View, window: PageRange, at: PageIndex) {
        for edge in self.edges.iter_mut().filter(|edge| edge.at < window.end) {
            edge.limit = edge.limit.min(window.start);
        }
        self.edges.retain(|edge| edge.at < edge.limit);
        let limit = self.known.next_known(at, view.pages().end);
        self.watch(Edge { at, limit, untold: at, has_moved: true });
    }

    fn watch(&mut self, edge: Edge) {
        if edge.at >= edge.limit || self.edges.iter().any(|other| other.at == edge.at) {
            return;
        }
        if self.edges.len() == EDGES_MAX {
            self.edges.remove(0);
        }
        self.edges.push(edge);
    }
}

impl Observer for Stores {
    fn look(
        &mut self,
        view: &View,
        now: Nanos,
        touches: &mut Touches,
        counters: &Counters,
    ) -> io::Result<()> {
        self.look_at_markers(view, touches, counters)?;
        self.look_at_edges(view, touches, counters)?;
        self.sweep_for_others(view, now, counters)
    }

    /// On large folios one fault of the writer's maps all that there is to win.
    fn leaves_window(
        &mut self,
        view: &View,
        window: Window,
        _fetch: &mut dyn Fetch,
        counters: &Counters,
    ) -> io::Result<bool> {
        let leaves = self.still.skip_window();
        if leaves {
            if let Some(page) = window.trigger {
                self.arm(view, page, counters)?;
            }
            self.move_edge(view, window.range, window.range.end);
        }
        Ok(leaves)
    }

    fn map_window(
        &mut self,
        view: &View,
        window: Window,
        fetch: &mut dyn Fetch,
        counters: &Counters,
    ) -> io::Result<()> {
        let end = window.range.end;
        let limit = self.known.next_known(end, view.pages().end);
        let was_passed = end < limit && view.any_present(one(end))?;
        self.map_behind(view, window, fetch, counters)?;
        Counters::add(&counters.windows, 1);
        // The window's last folio may reach beyond it; a writer that was there before is news.
        let at = if was_passed { end } else { view.frontier_after(end, limit)? };
        self.known.assign(PageRange::new(end, at), Known::Yes);
        self.move_edge(view, window.range, at);
        Ok(())
    }

    fn is_still(&self) -> bool {
        self.still.is_believed()
    }

    fn rests(&mut self, pages: PageCount) -> bool {
        self.still.skip_windows(pages.0 / WINDOW_PAGES.0)
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn source(&self) -> Source {
        Source::Marker
    }
}

fn one(page: PageIndex) -> PageRange {
    PageRange::at(page, PageCount(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::ForStores;
    use crate::sys::{Pagemap, Span};
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;
    use std::sync::OnceLock;

    fn sparse() -> (File, memmap2::MmapMut) {
        let file = tempfile::tempfile_in("/dev/shm").unwrap();
        file.set_len(4 << 20).unwrap();
        // SAFETY: the file is private to the test and keeps its length.
        let map = unsafe { memmap2::MmapMut::map_mut(&file) }.unwrap();
        (file, map)
    }

    fn view_of(map: &memmap2::MmapMut) -> View {
        static PAGEMAP: OnceLock<Pagemap> = OnceLock::new();
        let page_size = sys::page_size();
        View {
            span: Span { addr: map.as_ptr() as usize, len: map.len() },
            page_size,
            around: page_size.bytes() as usize,
            pagemap: PAGEMAP.get_or_init(|| Pagemap::open().unwrap()),
        }
    }

    fn pages(start: u64, end: u64) -> PageRange {
        PageRange::new(PageIndex(start), PageIndex(end))
    }

    fn look(stores: &mut Stores, view: &View) -> Touches {
        let mut touches = Touches::default();
        stores.look(view, Nanos(0), &mut touches, &Counters::default()).unwrap();
        touches
    }

    fn store(map: &mut memmap2::MmapMut, from: usize, to: usize) {
        let page = sys::page_size().bytes() as usize;
        (from..to).for_each(|index| map[index * page] = 1);
    }

    #[test]
    fn a_window_is_allocated_whole_and_its_first_page_says_when_the_writer_comes() {
        let (file, mut map) = sparse();
        let view = view_of(&map);
        let (mut stores, counters) = (Stores::new(&view), Counters::default());
        let window = Window { range: pages(256, 512), trigger: Some(PageIndex(256)) };
        stores.map_window(&view, window, &mut ForStores, &counters).unwrap();
        assert_eq!(file.metadata().unwrap().blocks(), 256 * view.page_size.bytes() / 512);
        assert!(!view.any_present(pages(0, 257)).unwrap());
        assert!((257..512).all(|page| view.any_present(pages(page, page + 1)).unwrap()));
        assert!(!view.any_present(pages(512, 513)).unwrap());
        assert!(look(&mut stores, &view).is_empty());
        store(&mut map, 256, 257);
        let touches = look(&mut stores, &view);
        assert_eq!((touches.passed, touches.found), (vec![PageIndex(256)], vec![]));
        store(&mut map, 257, 520);
        let touches = look(&mut stores, &view);
        assert_eq!((touches.passed, touches.found), (vec![], vec![pages(512, 520)]));
    }

    #[test]
    fn pages_that_appear_once_are_told_of_only_when_more_follow() {
        let (_file, mut map) = sparse();
        let view = view_of(&map);
        let mut stores = Stores::new(&view);
        store(&mut map, 0, 10);
        assert!(look(&mut stores, &view).is_empty());
        assert!(look(&mut stores, &view).is_empty());
        store(&mut map, 10, 21);
        assert_eq!(look(&mut stores, &view).found, [pages(0, 21)]);
        store(&mut map, 21, 22);
        assert_eq!(look(&mut stores, &view).found, [pages(21, 22)]);
    }

    #[test]
    fn the_first_refusal_ends_it() {
        let (file, map) = sparse();
        let view = view_of(&map);
        let (mut stores, counters) = (Stores::new(&view), Counters::default());
        file.set_len(1 << 20).unwrap();
        let window = Window { range: pages(512, 520), trigger: Some(PageIndex(512)) };
        assert!(stores.map_window(&view, window, &mut ForStores, &counters).is_err());
        assert!(stores.is_over());
        assert_eq!(file.metadata().unwrap().len(), 1 << 20);
    }
}
