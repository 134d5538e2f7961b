//! Looks at the page table: who passed a marker, an edge, a step.

use std::io;

use super::{Marker, Seen};
use crate::observe::blocks::Known;
use crate::observe::still::WINDOW_PAGES;
use crate::observe::watched::Edge;
use crate::observe::{Touches, View};
use crate::page::{PageCount, PageIndex, PageRange};
use crate::stats::Counters;

/// Markers that lie no further apart than this are of one reader.
const RUN_PAGES: PageCount = PageCount(16 << 10);
/// Touches of one look whose exact page is asked for, at 1 to 2 us each; more are scattered.
const SHARPENED_MAX: usize = 64;
impl Marker {
    pub(super) fn look_at_markers(
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
    pub(super) fn look_at_edges(
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
    pub(super) fn sharpen(&self, view: &View, found: &mut [PageRange]) {
        if found.len() <= SHARPENED_MAX {
            found.iter_mut().for_each(|range| *range = self.pinpoint.sharpen(view, *range));
        }
    }

    pub(super) fn look_at_trails(
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
}
