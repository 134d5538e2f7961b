//! The passive observer: blocks left out of populated windows say, by becoming present, that the
//! reader passed.
//!
//! Nothing is protected and nobody is interrupted: the reader takes one ordinary fault on each
//! marker, and looking at a marker costs half a microsecond. What makes a present page mean
//! something is that nobody but a reader can have mapped it:
//!
//! - A **marker** is checked while its window is being mapped. If a large folio brought it in with
//!   its neighbours, it is counted as false and never believed (TRAPS 1).
//! - The **edge** behind the last window is moved past whatever the window's last folio mapped.
//!   A reader that outruns all windows is met there.
//! - A **step** of a stream (`trail`) is read and left to its reader to map, which says where it is.
//! - The **sweep** finds readers that nobody expected: it walks the page table for pages that
//!   neither we nor a known reader mapped, as seldom as it is dear.

use std::io;

use super::blocks::{Blocks, Known};
use super::still::{Still, WINDOW_PAGES};
use super::sweep::Sweep;
use super::trail::Trails;
use super::watched::{EDGES_PER_SWEEP, Edge, Edges, Markers, map_known};
use super::{Observer, Pinpoint, Touches, View};
use crate::fetch::Fetch;
use crate::page::{Nanos, PageCount, PageIndex, PageRange};
use crate::policy::{Source, Step, Window};
use crate::stats::Counters;
use crate::sys::{self, Faults};

/// Markers that lie no further apart than this are of one reader.
const RUN_PAGES: PageCount = PageCount(16 << 10);
/// Touches of one look whose exact page is asked for, at 1 to 2 us each; more are scattered.
const SHARPENED_MAX: usize = 64;
/// Who goes on by more than so many times the fault-around with each fault is on large folios: on tmpfs
/// it is exactly once.
const LARGE_FAULTS: u64 = 2;

/// Whether a look has found nothing at an edge: what appears there later is a reader's, and new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    Absent,
}

#[derive(Debug)]
pub(crate) struct Marker {
    markers: Markers,
    edges: Edges<Seen>,
    /// Blocks whose presence is explained: mapped by us, or reported.
    known: Blocks,
    trails: Trails,
    pinpoint: Pinpoint,
    sweep: Sweep,
    still: Still,
    /// Faults of the process that were not ours, at the last look or when the mapping was made.
    faults: Option<Faults>,
}

impl Marker {
    /// `faults` are those of others when the mapping was made, if they are known.
    pub(crate) fn new(view: &View, pinpoint: Pinpoint, faults: Option<Faults>) -> Marker {
        Marker {
            markers: Markers::default(),
            // Nobody had touched the mapping before it was made.
            edges: Edges::at_start(view, Seen::Absent),
            known: Blocks::new(view.block_len(), view.lead()),
            trails: Trails::default(),
            pinpoint,
            sweep: Sweep::default(),
            still: Still::default(),
            faults,
        }
    }

    /// What a reader has passed since the last look, held against the faults since then.
    fn weigh_folios(&mut self, view: &View, passed: PageCount, since: Faults) {
        if passed.0 > LARGE_FAULTS * view.block_len().0 * since.all.max(1) {
            self.still.large_folios();
        }
    }

    /// The faults of others since the last time this was asked, if it was.
    fn faults_since(&mut self) -> Option<Faults> {
        sys::tell_own_faults();
        let now = sys::faults_of_others();
        let before = self.faults.replace(now)?;
        Some(Faults {
            all: now.all.saturating_sub(before.all),
            major: now.major.saturating_sub(before.major),
        })
    }

    fn look_at_markers(
        &mut self,
        view: &View,
        touches: &mut Touches,
        counters: &Counters,
    ) -> io::Result<()> {
        let last = self.markers.blocks.last().copied();
        let mut absent: Option<PageRange> = None;
        let mut seen = Vec::new();
        for &block in &self.markers.blocks {
            // A reader passes its markers in order: behind one that is absent, only the last of all
            // is worth a look, for a reader that jumps.
            let is_behind = absent.is_some_and(|absent| {
                absent.start < block.start && block.start.since(absent.start) < RUN_PAGES
            });
            if is_behind && Some(block) != last {
                continue;
            }
            Counters::add(&counters.polls, 1);
            if view.any_present(block)? {
                seen.push(block);
            } else {
                absent = Some(block);
            }
        }
        if seen.is_empty() {
            return Ok(());
        }
        self.markers.blocks.retain(|block| !seen.contains(block));
        for block in seen {
            // The window before it, if it was left to the reader.
            self.known.fill_before(block.start, WINDOW_PAGES);
            self.known.assign(block, Known::Yes);
            touches.passed.push(block.start);
        }
        Ok(())
    }

    /// How many pages were passed since the last look, as far as that is certain.
    fn look_at_edges(
        &mut self,
        view: &View,
        touches: &mut Touches,
        counters: &Counters,
    ) -> io::Result<PageCount> {
        let mut passed_since = PageCount(0);
        let edges = &mut self.edges.all;
        edges.sort_unstable_by_key(|edge| edge.at);
        let mut passed_to = PageIndex(0);
        for edge in edges {
            let Edge { at, limit, seen } = *edge;
            if at < passed_to {
                // The reader of the edge before came this far: one edge is enough for it.
                edge.limit = at;
                continue;
            }
            Counters::add(&counters.polls, 1);
            if !view.any_present(view.block_of(at))? {
                edge.seen = Seen::Absent;
                continue;
            }
            let frontier = view.frontier_after(at, limit)?;
            passed_to = frontier;
            let passed = PageRange::new(at, frontier);
            self.known.fill_before(at, WINDOW_PAGES);
            self.known.assign(passed, Known::Yes);
            touches.found.push(passed);
            if seen == Seen::Absent {
                passed_since = PageCount(passed_since.0 + passed.count().0);
            }
            *edge = Edge { at: frontier, limit, seen: Seen::Absent };
            if !self.still.is_on() {
                Counters::add(&counters.late, 1);
            }
        }
        self.edges.drop_ended();
        Ok(passed_since)
    }

    /// Exact pages in place of the blocks that were mapped around them.
    fn sharpen(&self, view: &View, found: &mut [PageRange]) {
        if found.len() <= SHARPENED_MAX {
            found.iter_mut().for_each(|range| *range = self.pinpoint.sharpen(view, *range));
        }
    }

    fn look_at_trails(
        &mut self,
        view: &View,
        touches: &mut Touches,
        counters: &Counters,
    ) -> io::Result<()> {
        let expected = touches.found.len();
        self.trails.look(view, &self.pinpoint, touches, counters)?;
        for &taken in &touches.found[expected..] {
            self.known.assign(taken, Known::Yes);
        }
        Ok(())
    }

    /// Maps `window` but for the marker block, and arms the block if it stayed absent.
    fn map_around(
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
    fn leave(&mut self, view: &View, window: Window, counters: &Counters) -> io::Result<()> {
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
    fn move_edge(&mut self, view: &View, window: PageRange) -> io::Result<PageIndex> {
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
    fn watch_beyond(&mut self, view: &View, found: &[PageRange]) {
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

impl Observer for Marker {
    fn look(
        &mut self,
        view: &View,
        now: Nanos,
        touches: &mut Touches,
        counters: &Counters,
    ) -> io::Result<()> {
        self.look_at_markers(view, touches, counters)?;
        let passed = self.look_at_edges(view, touches, counters)?;
        if let Some(faults) = self.faults_since() {
            self.weigh_folios(view, passed, faults);
            // Whoever is followed need not be found.
            if touches.is_empty() {
                self.sweep.earn(faults.major);
            }
        }
        self.sharpen(view, &mut touches.found);
        self.look_at_trails(view, touches, counters)?;
        let expected = touches.found.len();
        self.sweep.run(view, now, &mut self.known, &mut touches.found, counters)?;
        self.watch_beyond(view, &touches.found[expected..]);
        self.sharpen(view, &mut touches.found[expected..]);
        Ok(())
    }

    fn watch_step(&mut self, view: &View, step: Step, counters: &Counters) -> io::Result<()> {
        self.trails.watch(view, step, counters)
    }

    fn leaves_window(
        &mut self,
        view: &View,
        window: Window,
        fetch: &mut dyn Fetch,
        counters: &Counters,
    ) -> io::Result<bool> {
        let leaves = self.still.skip_window() || fetch.leaves(view.span_of(window.range));
        if leaves {
            self.leave(view, window, counters)?;
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
        self.map_around(view, window, fetch, counters)?;
        Counters::add(&counters.windows, 1);
        let mapped_to = self.move_edge(view, window.range)?;
        // Steps in there are present because of us.
        let start = view.block_of(window.range.start).start;
        self.trails.account(PageRange::new(start, mapped_to));
        Ok(())
    }

    fn account(&mut self, range: PageRange) {
        self.known.assign(range, Known::Yes);
        for edge in self.edges.all.iter_mut().filter(|edge| range.contains(edge.at)) {
            edge.at = range.end;
        }
        self.edges.drop_ended();
        self.markers.blocks.retain(|block| block.intersect(range).is_empty());
        self.trails.account(range);
    }

    fn is_still(&self) -> bool {
        self.still.is_believed()
    }

    fn rests(&mut self, pages: PageCount) -> bool {
        self.still.skip_pages(pages)
    }

    fn source(&self) -> Source {
        Source::Marker
    }
}
