//! The one worker: carries plans out, one call after the other, within the file and the budget.

use std::collections::VecDeque;

use mmap_ahead::page::{Nanos, PageCount, PageRange};
use mmap_ahead::policy::{Fetch, Outcome, Plan, Window};

use crate::clock::after;
use crate::costs::Costs;
use crate::device::Device;
use crate::memory::{Memory, Want};
use crate::observer::MarkerObserver;
use crate::run::{Setup, Step};

/// A call that has returned, or will.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) what: Fetch,
    /// When it returns.
    pub(crate) at: Nanos,
    pub(crate) took: Nanos,
    /// The range as the policy planned it.
    pub(crate) planned: PageRange,
    pub(crate) outcome: Outcome,
    pub(crate) marker: Option<PageRange>,
}

/// What a worker works on.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) memory: Memory,
    pub(crate) device: Device,
    pub(crate) observer: MarkerObserver,
}

#[derive(Clone, Debug)]
pub(crate) struct Worker {
    budget: PageCount,
    /// When the last call returned, or the one in flight will.
    free: Nanos,
    in_flight: Option<Done>,
    waiting: VecDeque<Work>,
    clipped: PageCount,
}

/// A part of a plan.
#[derive(Clone, Copy, Debug)]
enum Work {
    Read(PageRange),
    Map(Window),
}

impl Worker {
    pub(crate) fn new(budget: PageCount) -> Worker {
        Worker {
            budget,
            free: Nanos(0),
            in_flight: None,
            waiting: VecDeque::new(),
            clipped: PageCount(0),
        }
    }

    /// When the call in flight returns.
    pub(crate) fn due(&self) -> Option<Nanos> {
        self.in_flight.as_ref().map(|done| done.at)
    }

    /// The call in flight has returned.
    pub(crate) fn finish(&mut self) -> Option<Done> {
        self.in_flight.take()
    }

    /// Planned pages that were outside of the file or the budget.
    pub(crate) fn clipped(&self) -> PageCount {
        self.clipped
    }

    /// Takes `plan` in: the reads first, so that the disk works while windows are mapped. Windows
    /// that a reader has overtaken are forgotten.
    pub(crate) fn take(&mut self, plan: &Plan) {
        for overtaken in plan.overtaken_ranges() {
            self.waiting.retain(|work| match work {
                Work::Map(window) => !overtaken.contains(window.range.start),
                Work::Read(_) => true,
            });
        }
        self.waiting.extend(plan.reads().iter().copied().map(Work::Read));
        // What is read and not mapped is left for its reader to fault in, which is seen.
        self.waiting.extend(plan.steps().iter().map(|step| Work::Read(step.range)));
        self.waiting.extend(plan.windows().iter().copied().map(Work::Map));
    }

    /// Begins the next call at `now`, unless one is in flight.
    pub(crate) fn go_on(&mut self, now: Nanos, world: &mut World, watch: &mut dyn FnMut(&Step)) {
        if self.in_flight.is_some() {
            return;
        }
        self.free = self.free.max(now);
        match self.waiting.pop_front() {
            Some(Work::Read(range)) => self.read(range, world, watch),
            Some(Work::Map(window)) => self.window(&window, world, watch),
            None => {}
        }
    }

    /// MADV_WILLNEED: returns at once, the device goes on.
    fn read(&mut self, planned: PageRange, world: &mut World, watch: &mut dyn FnMut(&Step)) {
        let range = self.clip(planned, Want::Cached, world);
        let begun = self.free;
        world.memory.fetch(range, Want::Cached);
        world.read(range, begun);
        self.free = after(begun, call_ns(&world.setup.costs));
        let step = Step { at: begun, fetched: vec![range], window: None, ..world.step() };
        watch(&step);
        self.returns(Fetch::Read, begun, planned, range, None);
    }

    /// MADV_POPULATE_READ on all but the marker: waits for the device, then maps.
    fn window(&mut self, planned: &Window, world: &mut World, watch: &mut dyn FnMut(&Step)) {
        let range = self.clip(planned.range, Want::Mapped, world);
        let marker = world.observer.marker_of(&Window { range, trigger: planned.trigger });
        let begun = self.free;
        self.free = after(begun, call_ns(&world.setup.costs));
        world.observer.cover(range);
        let parts = without(range, marker);
        for part in &parts {
            world.memory.fetch(*part, Want::Mapped);
            world.read(*part, begun);
            self.free = world.populate(*part, self.free);
        }
        let step = Step { at: begun, fetched: parts, window: Some(range), ..world.step() };
        watch(&step);
        self.returns(Fetch::Window, begun, planned.range, range, marker);
    }

    /// The part of `planned` that is in the file and, from its start on, within the budget.
    fn clip(&mut self, planned: PageRange, want: Want, world: &World) -> PageRange {
        let in_file = planned.intersect(world.memory.all());
        let range = if in_file.is_empty() {
            PageRange::default()
        } else {
            let room = PageCount(self.budget.0.saturating_sub(world.memory.ahead().0));
            world.memory.clip(in_file, room, want)
        };
        self.clipped.0 = self.clipped.0.saturating_add(planned.count().0 - range.count().0);
        range
    }

    fn returns(
        &mut self,
        what: Fetch,
        begun: Nanos,
        planned: PageRange,
        range: PageRange,
        marker: Option<PageRange>,
    ) {
        let outcome = if range == planned { Outcome::Done } else { Outcome::Refused };
        let (at, took) = (self.free, self.free.since(begun));
        self.in_flight = Some(Done { what, at, took, planned, outcome, marker });
    }
}

impl World {
    /// Starts the device on what is absent of `range`; the answer is when all of it is cached.
    pub(crate) fn read(&mut self, range: PageRange, now: Nanos) -> Nanos {
        for run in self.memory.absent(range) {
            for piece in run.pieces(self.setup.costs.request_max) {
                let len = self.setup.page_size.len_of(piece.count());
                self.memory.cache(piece, self.device.read(now, len));
            }
        }
        self.memory.cached_at(range).max(now)
    }

    /// Maps `range` as soon as it is cached, not before `now`; the answer is when that is done.
    fn populate(&mut self, range: PageRange, now: Nanos) -> Nanos {
        let cached = self.memory.cached_at(range).max(now);
        let costs = self.setup.costs.populate_page_ns.0.saturating_mul(range.count().0);
        let done = after(cached, Nanos(costs));
        self.memory.map(range, done);
        done
    }

    fn step(&self) -> Step {
        let (ahead, passed) = (self.memory.ahead(), self.memory.passed());
        Step { at: Nanos(0), fetched: Vec::new(), window: None, ahead, passed }
    }
}

/// Every call takes time, or a policy that plans upon every return would never let time pass.
fn call_ns(costs: &Costs) -> Nanos {
    costs.advise_ns.max(Nanos(1))
}

/// `range` without the pages of `hole`, which lies in it.
fn without(range: PageRange, hole: Option<PageRange>) -> Vec<PageRange> {
    let parts = match hole {
        None => [range, PageRange::default()],
        Some(hole) => {
            [PageRange::new(range.start, hole.start), PageRange::new(hole.end, range.end)]
        }
    };
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}
