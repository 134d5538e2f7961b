//! The engine's guard: which windows are closed, and what the worker hears of those that a touch opened.
//! The engine's `observe/guard.rs`, whose constant this is; it cannot be linked, since it makes calls.

use mmap_ahead::page::{Nanos, PageCount, PageIndex, PageRange};
use mmap_ahead::policy::{Event as Told, Source, Window};

use super::breakdown::{Clock, Kind};
use super::events::{Event, ThreadId};
use super::price;
use super::world::World;
use crate::strategy::window_of;

/// Between two windows that stay closed on the way of one reader: 8 MiB.
const TRIGGERS_APART: PageCount = PageCount(2048);

/// The windows of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    window: PageCount,
    is_open: Vec<bool>,
    /// The trigger that was left closed last.
    armed: Option<PageIndex>,
    /// Where trips were that the worker has not heard of.
    trips: Vec<PageIndex>,
}

impl Guard {
    /// All windows of a mapping of `pages` are closed.
    pub(crate) fn new(pages: PageCount) -> Guard {
        let window = window_of(pages);
        let is_open = vec![false; pages.0.div_ceil(window.0) as usize];
        Guard { window, is_open, armed: None, trips: Vec::new() }
    }

    fn pages_of(&self, window: usize) -> PageRange {
        PageRange::at(PageIndex(window as u64 * self.window.0), self.window)
    }

    /// The window that stays closed for `trigger`: if it is closed still, and the last one lies far
    /// enough behind.
    fn keep_closed(&mut self, trigger: PageIndex) -> Option<usize> {
        let window = (trigger.0 / self.window.0) as usize;
        let is_near =
            self.armed.is_some_and(|at| at <= trigger && trigger < at.plus(TRIGGERS_APART));
        if is_near || self.is_open.get(window).copied().unwrap_or(true) {
            return None;
        }
        self.armed = Some(trigger);
        Some(window)
    }

    /// The runs of closed windows that `range` touches, but for `kept`; they are open from now on.
    fn open(&mut self, range: PageRange, kept: Option<usize>) -> Vec<PageRange> {
        let (first, end) = (range.start.0 / self.window.0, range.end.0.div_ceil(self.window.0));
        let mut runs: Vec<PageRange> = Vec::new();
        for window in first as usize..(end as usize).min(self.is_open.len()) {
            if Some(window) == kept || std::mem::replace(&mut self.is_open[window], true) {
                continue;
            }
            let pages = self.pages_of(window);
            match runs.last_mut() {
                Some(last) if last.end == pages.start => last.end = pages.end,
                _ => runs.push(pages),
            }
        }
        runs
    }
}

impl World<'_> {
    /// A mapping is made: all of it is closed by one call, and so are its windows.
    pub(super) fn guard(&mut self, range: PageRange, thread: ThreadId, clock: &mut Clock) {
        let Some(guard) = &mut self.guard else { return };
        let (first, end) = (range.start.0 / guard.window.0, range.end.0.div_ceil(guard.window.0));
        (first..end).for_each(|window| guard.is_open[window as usize] = false);
        self.kernel.protect(range);
        self.pay_protect(thread, clock);
    }

    /// A reader tripped over `page`: the signal, the handler that opens the window, and the bell.
    pub(super) fn trip(&mut self, page: PageIndex, thread: ThreadId, clock: &mut Clock) {
        self.counts.trips += 1;
        clock.spend(Kind::Signals, self.costs.signal);
        let Some(guard) = &mut self.guard else { return };
        let runs = guard.open(PageRange::at(page, PageCount(1)), None);
        for run in runs {
            self.kernel.unprotect(run);
            self.pay_protect(thread, clock);
            if let Some(guard) = &mut self.guard {
                guard.trips.push(run.start);
            }
        }
        if let Some(helper) = self.idle.pop() {
            clock.pay(&price::call(&self.costs, Nanos(0)));
            self.events.push(Nanos(clock.now().0 + self.costs.wake_up.0), Event::Ready(helper));
        }
    }

    /// The worker hears of trips, oldest first.
    pub(super) fn hear_of_trips(&mut self, at: Nanos) {
        let Some(guard) = &mut self.guard else { return };
        for page in std::mem::take(&mut guard.trips) {
            self.counts.looks += 1;
            self.tell(&Told::Touch { page, at, source: Source::Guard }, at);
        }
    }

    /// Opens the windows that `planned` touches, but for its trigger's; the pages that stay closed.
    pub(super) fn open_for(
        &mut self,
        planned: &Window,
        thread: ThreadId,
        clock: &mut Clock,
    ) -> Option<PageRange> {
        let guard = self.guard.as_mut()?;
        let kept = planned.trigger.and_then(|trigger| guard.keep_closed(trigger));
        let closed = kept.map(|kept| guard.pages_of(kept).intersect(planned.range));
        for run in guard.open(planned.range, kept) {
            self.kernel.unprotect(run);
            self.pay_protect(thread, clock);
        }
        closed
    }

    /// mprotect(2) waits until nobody faults.
    fn pay_protect(&mut self, thread: ThreadId, clock: &mut Clock) {
        self.take_lock(thread, clock);
        clock.pay(&price::call(&self.costs, self.costs.protect));
        self.lock.alone_until(clock.now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(start: u64, end: u64) -> PageRange {
        PageRange::new(PageIndex(start), PageIndex(end))
    }

    #[test]
    fn one_trigger_in_8_mib_stays_closed_and_the_rest_is_opened_once() {
        let mut guard = Guard::new(PageCount(8192));
        assert_eq!(guard.keep_closed(PageIndex(600)), Some(1));
        assert_eq!(guard.keep_closed(PageIndex(2600)), None, "too near");
        assert_eq!(guard.open(pages(80, 1030), Some(1)), [pages(0, 512), pages(1024, 1536)]);
        assert_eq!(guard.open(pages(80, 1030), None), [pages(512, 1024)], "only what is closed");
        assert_eq!(guard.keep_closed(PageIndex(2648)), Some(5));
        assert_eq!(guard.keep_closed(PageIndex(99)), None, "open already");
        assert_eq!(guard.keep_closed(PageIndex(9000)), None, "beyond the end");
    }
}
