//! A helper: carries plans out, one call after the other, within the file and the budget.

use mmap_ahead::page::{Nanos, PageRange};
use mmap_ahead::policy::{Fetch, Outcome, Window};

use super::Pause;
use super::breakdown::{Clock, Kind};
use super::events::{Event, ThreadId};
use super::follow::{Done, Work};
use super::plans::{Next, Want};
use super::price;
use super::world::World;
use crate::kernel::{Populate, PopulateEnd, Populating};

/// Looks at the page table for one window with a marker.
const LOOKS_A_WINDOW: u64 = 3;

/// A thread that fetches.
pub(crate) struct Helper {
    pub(crate) id: ThreadId,
    pub(crate) clock: Clock,
    /// Since when it has its core.
    pub(crate) since: Nanos,
    /// What it sleeps for.
    pub(crate) stalled_by: Kind,
    doing: Option<Mapping>,
}

/// A window that is being mapped.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    planned: PageRange,
    range: PageRange,
    marker: Option<PageRange>,
    begun: Nanos,
    /// What comes after `populating`.
    rest: PageRange,
    populating: Populating,
    is_refused: bool,
}

impl Helper {
    pub(crate) fn new(id: ThreadId) -> Helper {
        let (clock, since, stalled_by) = (Clock::default(), Nanos(0), Kind::IoStall);
        Helper { id, clock, since, stalled_by, doing: None }
    }

    pub(crate) fn advance(&mut self, world: &mut World<'_>) -> Pause {
        loop {
            if self.clock.now() > world.horizon(self.since) {
                return Pause::Until(self.clock.now());
            }
            if let Some(mapping) = self.doing {
                if let Some(pause) = self.map_on(mapping, world) {
                    return pause;
                }
                continue;
            }
            world.look_now(self.clock.now());
            match world.next_work(self.clock.now()) {
                Next::Nothing => {
                    world.idle.push(self.id);
                    // Not waiting for anything: its clock is set on when it is woken.
                    return Pause::Blocked;
                }
                Next::LookAt(moment) => {
                    world.events.push(moment, Event::Ready(self.id));
                    self.stalled_by = Kind::IoStall;
                    return Pause::Blocked;
                }
                Next::Work(Work::Read(range)) => self.read(range, world),
                Next::Work(Work::Step(range)) => self.read_steps(range, world),
                Next::Work(Work::Map(window)) => self.begin(&window, world),
            }
        }
    }

    /// MADV_POPULATE_READ on all but the marker: waits for the device, then maps.
    fn begin(&mut self, window: &Window, world: &mut World<'_>) {
        let planned = window.range;
        let begun = self.clock.now();
        if world.skips(planned) {
            self.pay_call(world);
            let (what, outcome) = (Fetch::Window, Outcome::Done);
            let took = self.clock.now().since(begun);
            return self.return_(Done { what, planned, took, outcome }, world);
        }
        let range = world.clip(planned, Want::Mapped);
        let clipped = Window { range, trigger: window.trigger };
        let marker = match world.guard {
            None => world.cover(&clipped),
            Some(_) => world.open_for(&clipped, self.id, &mut self.clock),
        };
        let (first, rest) = match marker {
            None => (range, PageRange::default()),
            Some(hole) => {
                (PageRange::new(range.start, hole.start), PageRange::new(hole.end, range.end))
            }
        };
        let (first, rest) =
            if first.is_empty() { (rest, PageRange::default()) } else { (first, rest) };
        for part in [first, rest] {
            world.fetch(part, Want::Mapped);
        }
        let parts = [first, rest].into_iter().filter(|part| !part.is_empty()).collect();
        world.show(begun, parts, Some(range));
        world.mapping.push(range);
        self.pay_call(world);
        if marker.is_some() && world.sees_markers() {
            // The block behind the marker is mapped by a call of its own, between two looks, and a look
            // tells whether the marker stayed absent.
            self.pay_call(world);
            self.clock.spend(Kind::Calls, Nanos(LOOKS_A_WINDOW * world.costs.look.0));
        }
        let populating = world.kernel.populate(first, Populate::Read);
        let is_refused = range != planned;
        self.doing = Some(Mapping { planned, range, marker, begun, rest, populating, is_refused });
    }

    fn map_on(&mut self, mut mapping: Mapping, world: &mut World<'_>) -> Option<Pause> {
        world.share_lock(self.id, &mut self.clock);
        let step = world.kernel.populate_on(&mut mapping.populating);
        self.clock.pay(&price::populate(&world.costs, &step.work));
        world.counts.add(&step.work);
        world.submit(&mut self.clock);
        world.lock.shared_until(self.clock.now());
        self.doing = Some(mapping);
        match step.end {
            PopulateEnd::Faulted(_) => None,
            PopulateEnd::Waits(io) => {
                world.wait_for(&io, self.id);
                self.stalled_by = Kind::IoStall;
                Some(Pause::Blocked)
            }
            PopulateEnd::Failed(_) => {
                mapping.is_refused = true;
                self.end(mapping, world);
                None
            }
            PopulateEnd::Done if mapping.rest.is_empty() => {
                self.end(mapping, world);
                None
            }
            PopulateEnd::Done => {
                self.pay_call(world);
                mapping.populating = world.kernel.populate(mapping.rest, Populate::Read);
                mapping.rest = PageRange::default();
                self.doing = Some(mapping);
                None
            }
        }
    }

    fn end(&mut self, mapping: Mapping, world: &mut World<'_>) {
        self.doing = None;
        let Mapping { planned, range, marker, begun, is_refused, .. } = mapping;
        world.mapped(range, marker);
        let outcome = if is_refused { Outcome::Refused } else { Outcome::Done };
        let took = self.clock.now().since(begun);
        self.return_(Done { what: Fetch::Window, planned, took, outcome }, world);
    }

    pub(super) fn return_(&mut self, done: Done, world: &mut World<'_>) {
        world.returned(done, self.clock.now());
    }

    /// Every call takes time, or a policy that plans upon every return would never let time pass.
    /// A kernel thread makes no calls.
    pub(super) fn pay_call(&mut self, world: &mut World<'_>) {
        if world.is_engine() {
            self.clock.pay(&price::call(&world.costs, Nanos(0)));
        }
        self.clock.spend(Kind::Calls, Nanos(1));
    }
}
