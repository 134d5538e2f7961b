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

mod looks;
mod windows;

use std::io;

use super::blocks::{Blocks, Known};
use super::still::Still;
use super::sweep::Sweep;
use super::trail::Trails;
use super::watched::{Edges, Markers};
use super::{Observer, Pinpoint, Touches, View};
use crate::fetch::Fetch;
use crate::page::{Nanos, PageCount, PageRange};
use crate::policy::{Source, Step, Window};
use crate::stats::Counters;
use crate::sys::{self, Faults};

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
