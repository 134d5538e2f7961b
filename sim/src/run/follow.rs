//! Following a reader: who sees it, what the policy makes of that, and the work that comes of it.

use std::collections::VecDeque;

use mmap_ahead::page::{Nanos, PageCount, PageRange};
use mmap_ahead::policy::{Event, Fetch, Geometry, Outcome, Plan, Policy, Window};

use crate::observer::MarkerObserver;
use crate::strategy::{Ahead, Bound, Carrier, Sees};

/// A policy at work.
pub(crate) struct Follow {
    policy: Box<dyn Policy>,
    plan: Plan,
    pub(crate) sees: Sees,
    pub(crate) carrier: Carrier,
    pub(crate) observer: MarkerObserver,
    pub(crate) work: VecDeque<Work>,
    pub(crate) budget: PageCount,
    /// Planned pages that were outside of the file or the budget.
    pub(crate) clipped: PageCount,
}

/// A part of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Read(PageRange),
    Step(PageRange),
    Map(Window),
}

/// A call that has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) what: Fetch,
    /// The range as the policy planned it.
    pub(crate) planned: PageRange,
    pub(crate) took: Nanos,
    pub(crate) outcome: Outcome,
}

impl Follow {
    pub(crate) fn new(ahead: &Ahead, geometry: Geometry, look_period: Nanos) -> Follow {
        let Geometry { pages, fault_around, budget, .. } = geometry;
        Follow {
            policy: (ahead.policy)(geometry),
            plan: Plan::new(),
            sees: ahead.sees,
            carrier: ahead.carrier,
            observer: MarkerObserver::new(pages, fault_around, look_period),
            work: VecDeque::new(),
            budget: if ahead.bound == Bound::None { PageCount(u64::MAX) } else { budget },
            clipped: PageCount(0),
        }
    }

    /// Tells the policy, and takes in what it plans: steps and reads first, so that the device works
    /// while windows are mapped. Windows that a reader has overtaken are forgotten.
    pub(crate) fn tell(&mut self, event: &Event<'_>) {
        self.plan.clear();
        self.policy.on(event, &mut self.plan);
        let Follow { plan, work, .. } = self;
        for overtaken in plan.overtaken_ranges() {
            work.retain(|work| match work {
                Work::Map(window) => !overtaken.contains(window.range.start),
                Work::Read(_) | Work::Step(_) => true,
            });
        }
        work.extend(plan.reads().iter().copied().map(Work::Read));
        work.extend(plan.steps().iter().map(|step| Work::Step(step.range)));
        work.extend(plan.windows().iter().copied().map(Work::Map));
    }

    pub(crate) fn returned(&mut self, done: Done) {
        let Done { what, planned: range, took, outcome } = done;
        self.tell(&Event::Fetched { what, range, took, outcome });
    }
}
