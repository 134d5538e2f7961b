//! Maps a window around its marker, or leaves it to its reader, and watches behind it.

use std::io;

use super::{Marker, Seen};
use crate::fetch::Fetch;
use crate::observe::View;
use crate::observe::blocks::Known;
use crate::observe::watched::{EDGES_PER_SWEEP, Edge, map_known};
use crate::page::{PageCount, PageIndex, PageRange};
use crate::policy::Window;
use crate::stats::Counters;

impl Marker {
    /// Maps `window` but for the marker block, and arms the block if it stayed absent.
    pub(super) fn map_around(
        &mut self,
        view: &View,
        window: Window,
        fetch: &mut dyn Fetch,
        counters: &Counters,
    ) -> io::Result<()> {
        let block = window.trigger.map(|page| view.block_of(page)).unwrap_or_default();
        let block = block.intersect(window.range);
        let neighbour = view.block_of(block.end).intersect(window.range);
        let before = PageRange::new(window.range.start, block.start);
        let after = PageRange::new(block.end, window.range.end);
        if block.is_empty() || neighbour.is_empty() {
            return self.map_pages(view, window.range, fetch, counters);
        }
        let was_absent = !view.any_present(block)?;
        self.map_pages(view, neighbour, fetch, counters)?;
        // Only the few microseconds of that call lie between the two looks: a block that came with
        // its neighbour sits in the same large folio.
        if was_absent && view.any_present(block)? {
            Counters::add(&counters.false_markers, 1);
            self.still.false_marker();
        } else if was_absent {
            self.still.true_marker();
        }
        self.map_pages(view, before, fetch, counters)?;
        if self.still.is_on() {
            return Ok(());
        }
        self.map_pages(view, PageRange::new(neighbour.end, after.end), fetch, counters)?;
        self.markers.arm(view, block, counters)
    }

    fn map_pages(
        &mut self,
        view: &View,
        pages: PageRange,
        fetch: &mut dyn Fetch,
        counters: &Counters,
    ) -> io::Result<()> {
        map_known(view, pages, fetch, &mut self.known, counters)
    }

    /// Leaves `window` to the reader: its trigger is seen all the same, since nothing but a reader
    /// maps it.
    pub(super) fn leave(
        &mut self,
        view: &View,
        window: Window,
        counters: &Counters,
    ) -> io::Result<()> {
        let block = window.trigger.map(|page| view.block_of(page)).unwrap_or_default();
        self.markers.arm(view, block, counters)?;
        // Where the reader goes is known: a sweep need not find it there.
        for part in [
            PageRange::new(window.range.start, block.start),
            PageRange::new(block.end, window.range.end),
        ] {
            self.known.assign(part, Known::Yes);
        }
        let limit = self.end_edges(view, window.range);
        self.watch(window.range.end, limit);
        Ok(())
    }

    /// Puts an edge behind `window`, past what its last folio mapped beyond it, and says where.
    pub(super) fn move_edge(&mut self, view: &View, window: PageRange) -> io::Result<PageIndex> {
        let limit = self.end_edges(view, window);
        let at = view.frontier_after(window.end, limit)?;
        self.known.assign(PageRange::new(window.end, at), Known::Yes);
        self.watch(at, limit);
        Ok(at)
    }

    /// Ends the edges before `window` where it begins, and says how far one behind it reaches.
    fn end_edges(&mut self, view: &View, window: PageRange) -> PageIndex {
        self.edges.end_before(window);
        self.known.next_known(window.end, view.pages().end)
    }

    /// Watches behind the pages that a sweep found, unless they are many: then nobody runs there.
    pub(super) fn watch_beyond(&mut self, view: &View, found: &[PageRange]) {
        if found.len() > EDGES_PER_SWEEP {
            return;
        }
        for range in found {
            // What one fault maps may have holes: only beyond its block is anything news.
            let at = view.block_of(range.end.minus(PageCount(1))).end;
            let limit = self.known.next_known(at, view.pages().end);
            self.watch(at, limit);
        }
    }

    fn watch(&mut self, at: PageIndex, limit: PageIndex) {
        self.edges.watch(Edge { at, limit, seen: Seen::Nothing });
    }
}
