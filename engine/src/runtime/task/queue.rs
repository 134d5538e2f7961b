//! What is planned and not carried out yet.

use super::{Kit, Work};
use crate::page::{Nanos, PageCount, PageRange};
use crate::policy::{Step, Window};
use crate::residency::Residency;

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

    /// Queues the plan, cut to the mapping and to the budget: reads first, so that the disk works
    /// while the page table is built.
    pub(super) fn queue_plan(&mut self) {
        for &overtaken in self.plan.overtaken_ranges() {
            self.pending.retain(|work| match work {
                Work::Map(window) => !overtaken.contains(window.range.start),
                Work::Read(_) | Work::Step(_) => true,
            });
        }
        let whole = self.view.pages();
        let mut reads = Allowance { whole, room: self.budget };
        let mut windows = Allowance { whole, room: self.budget };
        for step in self.plan.steps() {
            let stream = step.stream;
            self.pending
                .extend(reads.take(step.range).map(|r| Work::Step(Step { stream, range: r })));
        }
        for &range in self.plan.reads() {
            self.pending.extend(reads.take(range).map(Work::Read));
        }
        for window in self.plan.windows() {
            self.pending.extend(windows.take(window.range).map(|range| {
                let trigger = window.trigger.filter(|&page| range.contains(page));
                Work::Map(Window { range, trigger })
            }));
        }
    }
}

/// What a plan may still ask for.
struct Allowance {
    whole: PageRange,
    room: PageCount,
}

impl Allowance {
    /// The part of `range` that is allowed, if any.
    fn take(&mut self, range: PageRange) -> Option<PageRange> {
        let range = range.intersect(self.whole);
        let range = PageRange::at(range.start, range.count().min(self.room));
        self.room = PageCount(self.room.0 - range.count().0);
        (!range.is_empty()).then_some(range)
    }
}

fn is_within(inner: PageRange, outer: PageRange) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::PageIndex;

    #[test]
    fn a_plan_is_cut_to_the_mapping_and_to_the_budget() {
        let pages = |start, end| PageRange::new(PageIndex(start), PageIndex(end));
        let mut allowed = Allowance { whole: pages(0, 100), room: PageCount(30) };
        assert_eq!(allowed.take(pages(90, 200)), Some(pages(90, 100)));
        assert_eq!(allowed.take(pages(100, 200)), None);
        assert_eq!(allowed.take(pages(10, 60)), Some(pages(10, 30)));
        assert_eq!(allowed.take(pages(70, 71)), None);
    }
}
