//! Faults, and what a plan does inside them.

use mmap_ahead::page::Nanos;

use super::{Bytes, Doing, Pause, Reader};
use crate::Error;
use crate::kernel::{Fault, FaultEnd, FaultKind, Populate, PopulateEnd, Populating, Signal};
use crate::run::breakdown::Kind;
use crate::run::follow::Work;
use crate::run::plans::Want;
use crate::run::price;
use crate::run::world::World;
use crate::strategy::Carrier;

/// More pages than this cool a fault's caches no further: as many as the calibration reads.
const COOLED_MAX: u64 = 16;

impl Reader {
    pub(super) fn fault(
        &mut self,
        world: &mut World<'_>,
        bytes: Bytes,
    ) -> Result<Option<Pause>, Error> {
        let page = bytes.page();
        if world.is_on_its_way(page) {
            world.counts.late += 1;
            self.late_since = Some(self.clock.now());
        }
        // Counts from its beginning: while it waits, the budget is measured from here.
        world.ledger.touch(page);
        self.clock.pay(&price::entry(&world.costs));
        let cooled = std::mem::take(&mut self.since_fault).clamp(1, COOLED_MAX) - 1;
        self.clock.spend(Kind::PageFault, Nanos(world.costs.fault_cooled.0 * cooled));
        world.counts.mode_switches += 1;
        world.share_lock(self.id, &mut self.clock);
        let fault = world.kernel.fault(page, bytes.access, world.entry);
        self.went(world, bytes, fault)
    }

    /// One go at a fault is over.
    pub(super) fn went(
        &mut self,
        world: &mut World<'_>,
        bytes: Bytes,
        fault: Fault,
    ) -> Result<Option<Pause>, Error> {
        self.clock.pay(&price::fault(&world.costs, &fault.work));
        world.counts.add(&fault.work);
        world.submit(&mut self.clock);
        world.lock.shared_until(self.clock.now());
        match fault.end {
            FaultEnd::Waits(io, waiting) => {
                world.wait_for(&io, self.id);
                Ok(self.wait(Doing::Faulting(bytes, waiting)))
            }
            FaultEnd::Mapped(kind) => {
                match kind {
                    FaultKind::Minor => world.counts.minor_faults += 1,
                    FaultKind::Major => world.counts.major_faults += 1,
                }
                if let Some(since) = self.late_since.take() {
                    world.counts.late_ns += self.clock.now().since(since).0;
                }
                self.is_disturbed = true;
                world.faulted(bytes.page(), kind, self.clock.now());
                self.doing = Doing::Touching(bytes);
                self.carry_next(world, bytes);
                Ok(None)
            }
            FaultEnd::Failed(Signal::Guard) => {
                // The call that opens the window, and the return from the handler.
                world.counts.mode_switches += 2;
                world.trip(bytes.page(), self.id, &mut self.clock);
                self.doing = Doing::Touching(bytes);
                Ok(None)
            }
            FaultEnd::Failed(Signal::Userfault) => {
                world.counts.userfaults += 1;
                world.counts.minor_faults += 1;
                self.is_disturbed = true;
                world.userfault(bytes.page(), self.id, self.clock.now());
                Ok(self.wait(Doing::Touching(bytes)))
            }
            FaultEnd::Failed(Signal::Access) => {
                Err(Error::Setup { what: "a store to a mapping that may only be read" })
            }
            FaultEnd::Failed(_) => {
                Err(Error::Setup { what: "a touch that ends in a signal nobody handles" })
            }
        }
    }

    /// Takes up the next part of a plan that is to be carried out inside this fault, if any.
    pub(super) fn carry_next(&mut self, world: &mut World<'_>, bytes: Bytes) {
        let Some(follow) = world.follow.as_mut().filter(|f| f.carrier == Carrier::Fault) else {
            return;
        };
        self.doing = Doing::Touching(bytes);
        while let Some(work) = follow.work.pop_front() {
            // What is not in memory is not waited for in a fault that does not need it.
            if let Work::Map(window) = work {
                let range = world.clip(window.range, Want::Mapped);
                world.fetch(range, Want::Mapped);
                let populating = world.kernel.populate(range, Populate::Map);
                self.doing = Doing::Carrying(bytes, populating);
                return;
            }
        }
    }

    pub(super) fn carry(
        &mut self,
        world: &mut World<'_>,
        bytes: Bytes,
        mut populating: Populating,
    ) -> Option<Pause> {
        while !self.is_due(world) {
            let step = world.kernel.populate_on(&mut populating);
            self.clock.pay(&price::populate(&world.costs, &step.work));
            world.counts.add(&step.work);
            world.submit(&mut self.clock);
            if !matches!(step.end, PopulateEnd::Faulted(_)) {
                self.carry_next(world, bytes);
                return None;
            }
        }
        self.pause(Doing::Carrying(bytes, populating))
    }
}
