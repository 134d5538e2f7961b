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
use super::watched::{EDGES_PER_SWEEP, Edge, Edges, Markers, map_known};
use super::{Observer, Touches, View};
use crate::fetch::Fetch;
use crate::page::{Nanos, PageCount, PageIndex, PageRange};
use crate::policy::{Source, Window};
use crate::stats::Counters;
use crate::sys;

/// What was seen at an edge.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Where the pages began that were seen to appear before it, and not told of.
    untold: PageIndex,
    /// Whether it has moved before: only then does a move tell of a writer.
    has_moved: bool,
}

#[derive(Debug)]
pub(crate) struct Stores {
    markers: Markers,
    edges: Edges<Seen>,
    /// Pages whose presence is explained: mapped by us, or seen.
    known: Blocks,
    sweep: Sweep,
    still: Still,
    is_over: bool,
}

impl Stores {
    /// `view` knows no fault-around: there is none for stores.
    pub(crate) fn new(view: &View) -> Stores {
        let seen = Seen { untold: PageIndex(0), has_moved: false };
        Stores {
            markers: Markers::default(),
            edges: Edges::at_start(view, seen),
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
        let mut absent = Vec::with_capacity(self.markers.blocks.len());
        for &block in &self.markers.blocks {
            Counters::add(&counters.polls, 1);
            if view.any_present(block)? {
                self.known.assign(block, Known::Yes);
                touches.passed.push(block.start);
            } else {
                absent.push(block);
            }
        }
        self.markers.blocks = absent;
        Ok(())
    }

    fn look_at_edges(
        &mut self,
        view: &View,
        touches: &mut Touches,
        counters: &Counters,
    ) -> io::Result<()> {
        for edge in &mut self.edges.all {
            Counters::add(&counters.polls, 1);
            let frontier = view.frontier_after(edge.at, edge.limit)?;
            if frontier == edge.at {
                continue;
            }
            self.known.assign(PageRange::new(edge.at, frontier), Known::Yes);
            edge.at = frontier;
            if edge.seen.has_moved {
                touches.found.push(PageRange::new(edge.seen.untold, frontier));
                edge.seen.untold = frontier;
                Counters::add(&counters.late, u64::from(!self.still.is_on()));
            }
            edge.seen.has_moved = true;
        }
        self.edges.drop_ended();
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
            self.watch(range.end, limit, range.start);
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
        self.markers.arm(view, one(page), counters)
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
        map_known(view, pages, fetch, &mut self.known, counters)
            .inspect_err(|_| self.is_over = true)
    }

    /// Puts an edge at `at`, behind a window that belongs to a writer, and ends the edges before it.
    fn move_edge(&mut self, view: &View, window: PageRange, at: PageIndex) {
        self.edges.end_before(window);
        let limit = self.known.next_known(at, view.pages().end);
        self.watch(at, limit, at);
    }

    fn watch(&mut self, at: PageIndex, limit: PageIndex, untold: PageIndex) {
        self.edges.watch(Edge { at, limit, seen: Seen { untold, has_moved: true } });
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
                self.markers.arm(view, one(page), counters)?;
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
        self.still.skip_pages(pages)
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
mod tests;
