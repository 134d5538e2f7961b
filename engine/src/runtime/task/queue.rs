//! What is planned and not carried out yet.

use std::collections::VecDeque;

use super::{Kit, Work};
use crate::page::{Nanos, PageCount, PageRange};
use crate::policy::{Plan, Step, Window};
use crate::residency::Residency;
use crate::runtime::ledger::{How, Ledger};

/// No window waits longer than this for the disk.
const DISK_WAIT_NANOS_MAX: u64 = 20_000_000;

impl Kit {
    /// The next piece of the plan. A window that the disk has not brought yet is not mapped, since
    /// that would wait for it: reads behind it come first, and if there are none, nothing does.
    pub(super) fn next_work(&mut self, now: Nanos) -> Option<Work> {
        let Some(front) = self.pending.front() else {
            self.waits_since = None;
            return None;
        };
        let waits = match front {
            Work::Map(window) => self.waits_for_disk(window.range, now),
            Work::Read(_) | Work::Step(_) => false,
        };
        if !waits {
            self.waits_since = None;
            return self.pending.pop_front();
        }
        self.waits_since.get_or_insert(now);
        let read = self.pending.iter().position(|work| !matches!(work, Work::Map(_)))?;
        self.pending.remove(read)
    }

    /// Whether the disk is still at work on `range`. Not for ever: what was never read, or is gone
    /// again, is read when it is mapped.
    pub(super) fn waits_for_disk(&self, range: PageRange, now: Nanos) -> bool {
        let waited = self.waits_since.map_or(Nanos(0), |since| now.since(since));
        self.is_cold
            && waited.0 < DISK_WAIT_NANOS_MAX
            && self.fetch.residency(self.view.span_of(range)) == Residency::Absent
    }

    /// Forgets queued windows that a reader has gone through already.
    pub(super) fn drop_overtaken(&mut self) {
        for touched in &self.touches.found {
            self.pending.retain(|work| match work {
                Work::Read(range) => !is_within(*range, *touched),
                Work::Map(window) => !is_within(window.range, *touched),
                Work::Step(step) => !is_within(step.range, *touched),
            });
        }
    }

    /// Queues the plan.
    pub(super) fn queue_plan(&mut self) {
        for &overtaken in self.plan.overtaken_ranges() {
            self.pending.retain(|work| match work {
                Work::Map(window) => !overtaken.contains(window.range.start),
                Work::Read(_) | Work::Step(_) => true,
            });
        }
        let allowed = Allowance { whole: self.view.pages(), room: self.budget };
        queue(&self.plan, allowed, &mut self.ledger, &mut self.pending);
    }
}

/// Queues `plan`, cut to the mapping, to the budget, and to what is not planned yet: two streams that meet would
/// have the same pages fetched. Reads first, so that the disk works while the page table is built.
fn queue(plan: &Plan, allowed: Allowance, ledger: &mut Ledger, pending: &mut VecDeque<Work>) {
    let (mut reads, mut windows) = (allowed, allowed);
    for &Step { stream, range } in plan.steps() {
        let how = if stream.is_some() { How::LEFT } else { How::TAIL_LEFT };
        let parts = reads.take(range, how, ledger);
        pending.extend(parts.map(|range| Work::Step(Step { stream, range })));
    }
    for &range in plan.reads() {
        pending.extend(reads.take(range, How::LEFT, ledger).map(Work::Read));
    }
    for &Window { range, trigger } in plan.windows() {
        let parts = windows.take(range, How::WINDOW_LEFT, ledger);
        pending.extend(parts.map(|range| {
            // Where the trigger is another's window's, the reader is met where this one begins.
            let within = |page| if range.contains(page) { page } else { range.start };
            Work::Map(Window { range, trigger: trigger.map(within) })
        }));
    }
}

/// What a plan may still ask for.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    whole: PageRange,
    room: PageCount,
}

impl Allowance {
    /// The parts of `range` that are allowed and not planned `how` yet. They are from now on.
    fn take(
        &mut self,
        range: PageRange,
        how: How,
        ledger: &mut Ledger,
    ) -> impl Iterator<Item = PageRange> + use<> {
        let range = range.intersect(self.whole);
        let range = PageRange::at(range.start, range.count().min(self.room));
        self.room = PageCount(self.room.0 - range.count().0);
        ledger.plan(range, how).into_iter()
    }
}

fn is_within(inner: PageRange, outer: PageRange) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

#[cfg(test)]
#[path = "queue/tests.rs"]
mod tests;
