//! Accesses to mapped pages.

use mmap_ahead::page::{Nanos, PageCount, PageIndex, PageRange};

use super::{Bytes, Doing, PAGE, Pause, Reader};
use crate::Error;
use crate::costs::Costs;
use crate::kernel::Access;
use crate::run::breakdown::Kind;
use crate::run::events::Event;
use crate::run::world::World;

impl Reader {
    /// Accesses page after page, until one is not mapped.
    pub(super) fn touch(
        &mut self,
        world: &mut World<'_>,
        mut bytes: Bytes,
    ) -> Result<Option<Pause>, Error> {
        let horizon = world.horizon(self.since);
        while bytes.at < bytes.end {
            if self.clock.now() > horizon {
                return Ok(self.pause(Doing::Touching(bytes)));
            }
            let page = bytes.page();
            let is_mapped = match bytes.access {
                Access::Load => world.kernel.is_mapped(page),
                Access::Store => world.kernel.is_writable(page),
            };
            if !is_mapped {
                return self.fault(world, bytes);
            }
            let end = bytes.end.min((page.0 + 1) * PAGE);
            self.access(world, page, end - bytes.at, bytes.access);
            bytes.at = end;
        }
        self.clock.spend(Kind::Think, bytes.think);
        self.doing = Doing::Next;
        Ok(None)
    }

    #[inline]
    pub(super) fn access(
        &mut self,
        world: &mut World<'_>,
        page: PageIndex,
        len: u64,
        access: Access,
    ) {
        world.counts.touches += 1;
        world.counts.hits += u64::from(!self.is_disturbed);
        world.ledger.touch(page);
        if world.is_limited {
            world.kernel.touched(PageRange::at(page, PageCount(1)), access);
        }
        let costs = &world.costs;
        let mut span = access_ns(costs, len) + self.way_ns(costs, page) * len.min(PAGE) / PAGE;
        self.last = page;
        self.since_fault += 1;
        let is_huge = world.may_be_huge && world.kernel.is_mapped_huge(page);
        if self.tlb.misses(page, is_huge) {
            span += costs.tlb_miss.0;
        }
        if self.is_disturbed {
            span += costs.access_disturbed.0 * len.min(PAGE) / PAGE;
            self.is_disturbed = false;
        }
        self.clock.spend(Kind::FileAccess, Nanos(span));
    }

    /// What reading `page` takes more because of where the last one was.
    #[inline]
    fn way_ns(&self, costs: &Costs, page: PageIndex) -> u64 {
        match page.0.wrapping_sub(self.last.0) {
            0 | 1 => 0,
            u64::MAX => costs.access_back.0,
            _ => costs.access_far.0,
        }
    }

    /// The oracle: every page comes as early as the bare bandwidth allows, and is mapped.
    pub(super) fn foresee(&mut self, world: &mut World<'_>, mut bytes: Bytes) -> Option<Pause> {
        while bytes.at < bytes.end {
            if self.is_due(world) {
                return self.pause(Doing::Touching(bytes));
            }
            let page = bytes.page();
            let ready = world.foreseen(page);
            world.ledger.touch(page);
            if ready > self.clock.now() {
                world.events.push(ready, Event::Ready(self.id));
                return self.wait(Doing::Touching(bytes));
            }
            let end = bytes.end.min((page.0 + 1) * PAGE);
            world.counts.touches += 1;
            world.counts.hits += 1;
            let access = access_ns(&world.costs, end - bytes.at);
            self.clock.spend(Kind::FileAccess, Nanos(access));
            bytes.at = end;
        }
        self.clock.spend(Kind::Think, bytes.think);
        self.doing = Doing::Next;
        None
    }
}

/// Reading `len` bytes of a mapped page, the TLB apart.
#[inline]
fn access_ns(costs: &Costs, len: u64) -> u64 {
    if len >= PAGE {
        return costs.access_page.0;
    }
    (costs.access_page.0 * len / PAGE).max(costs.access_line.0)
}
