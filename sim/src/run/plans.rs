//! Carrying plans out: within the file and the budget, noted, and shown.

use mmap_ahead::page::{Nanos, PageCount, PageIndex, PageRange};
use mmap_ahead::policy::Window;

use super::Step;
use super::follow::Work;
use super::world::World;
use crate::kernel::{FileKind, Kernel};
use crate::strategy::Sees;

/// No window waits longer than this for the device; while one does, it is looked at this often.
const DISK_WAIT_MAX: u64 = 20_000_000;
const DISK_LOOK: u64 = 150_000;

/// What a helper does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Work(Work),
    /// Sleep until then: a window waits for the device.
    LookAt(Nanos),
    Nothing,
}

impl World<'_> {
    /// Adds to what the helpers have to do.
    pub(crate) fn plan(&mut self, work: Work, at: Nanos) {
        let Some(follow) = &mut self.follow else { return };
        follow.work.push_back(work);
        self.wake_helper(Nanos(at.0 + self.costs.wake_up.0));
    }

    /// The next piece of the plan. What is to be read comes before a window that would wait for the device;
    /// if nothing is, nothing comes (the engine's `runtime/task/queue.rs`).
    pub(crate) fn next_work(&mut self, now: Nanos) -> Next {
        let Some(front) = self.follow.as_ref().and_then(|follow| follow.work.front()) else {
            self.waits_since = None;
            return Next::Nothing;
        };
        let waits = match front {
            Work::Map(window) => {
                let waited = self.waits_since.map_or(0, |since| now.since(since).0);
                self.is_cold
                    && waited < DISK_WAIT_MAX
                    && self.is_engine()
                    && self.is_awaited(window.range.intersect(self.ledger.all()))
            }
            Work::Read(_) | Work::Step(_) => false,
        };
        if waits {
            self.waits_since.get_or_insert(now);
        } else {
            self.waits_since = None;
        }
        let Some(follow) = &mut self.follow else { return Next::Nothing };
        let is_read = |work: &Work| !matches!(work, Work::Map(_));
        let first = if waits { follow.work.iter().position(is_read) } else { Some(0) };
        match first.and_then(|first| follow.work.remove(first)) {
            Some(work) => Next::Work(work),
            None => Next::LookAt(Nanos(now.0 + DISK_LOOK)),
        }
    }

    /// Whether it is the engine that is modelled, and not a kernel's own map-ahead.
    pub(crate) fn is_engine(&self) -> bool {
        self.follow.as_ref().is_some_and(|follow| follow.sees != Sees::Faults)
    }

    /// Whether it is the engine's passive observer that sees the reader.
    pub(crate) fn sees_markers(&self) -> bool {
        self.follow.as_ref().is_some_and(|follow| follow.sees == Sees::Markers)
    }

    /// Whether a window on `planned` is left to its reader: mapping it wins nothing, or the kernel reads it
    /// as fast.
    pub(crate) fn skips(&mut self, planned: PageRange) -> bool {
        if !self.sees_markers() {
            return false;
        }
        let is_still = self.follow.as_mut().is_some_and(|follow| follow.observer.skips_window());
        is_still || self.is_left(planned.intersect(self.ledger.all()))
    }

    /// A helper begins to map `window`: the block that it has to leave out.
    pub(crate) fn cover(&mut self, window: &Window) -> Option<PageRange> {
        let follow = self.follow.as_mut()?;
        if follow.sees == Sees::Markers {
            follow.observer.cover(window.range);
        }
        follow.observer.marker_of(window)
    }

    /// A helper has mapped `range`, and left out `marker`.
    pub(crate) fn mapped(&mut self, range: PageRange, marker: Option<PageRange>) {
        if let Some(at) = self.mapping.iter().position(|mapping| *mapping == range) {
            self.mapping.swap_remove(at);
        }
        let Some(follow) = &mut self.follow else { return };
        if let Some(marker) = marker.filter(|_| follow.sees == Sees::Markers) {
            let mut pages = marker.start.0..marker.end.0;
            let is_present = pages.any(|page| self.kernel.is_mapped(PageIndex(page)));
            follow.observer.arm(marker, is_present);
        }
    }

    /// The part of a planned range that is in the file and within the budget; the rest is counted.
    pub(crate) fn clip(&mut self, planned: PageRange, want: Want) -> PageRange {
        let Some(follow) = &mut self.follow else { return PageRange::default() };
        let in_file = planned.intersect(self.ledger.all());
        let range = if in_file.is_empty() {
            PageRange::default()
        } else {
            let room = PageCount(follow.budget.0.saturating_sub(self.ledger.ahead().0));
            let kernel = &self.kernel;
            self.ledger.clip(in_file, room, |page| is_missing(kernel, page, want))
        };
        let clipped = &mut follow.clipped.0;
        *clipped = clipped.saturating_add(planned.count().0 - range.count().0);
        range
    }

    /// Notes that a plan brings `range`.
    pub(crate) fn fetch(&mut self, range: PageRange, want: Want) {
        let kernel = &self.kernel;
        self.ledger.fetch(range, |page| is_missing(kernel, page, want));
    }

    /// Shows a call to whoever watches.
    pub(crate) fn show(&mut self, at: Nanos, fetched: Vec<PageRange>, window: Option<PageRange>) {
        let (ahead, passed) = (self.ledger.ahead(), self.ledger.passed());
        (self.watch)(&Step { at, fetched, window, ahead, passed });
    }
}

/// How far a fetch brings a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Into the page cache.
    Cached,
    /// Into the page table.
    Mapped,
}

fn is_missing(kernel: &Kernel, page: PageIndex, want: Want) -> bool {
    match want {
        Want::Mapped => !kernel.is_mapped(page),
        Want::Cached => {
            let has_cache = matches!(kernel.options().file_kind, FileKind::Disk | FileKind::Tmpfs);
            has_cache && kernel.folio_order(page).is_none()
        }
    }
}
