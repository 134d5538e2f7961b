//! read(2).

use mmap_ahead::page::{Nanos, PageIndex, PageSize};

use super::{Bytes, Doing, PAGE, Pause, Reader};
use crate::costs::Costs;
use crate::kernel::{ReadEnd, Reading};
use crate::run::breakdown::Kind;
use crate::run::price;
use crate::run::world::World;

impl Reader {
    pub(super) fn copy(
        &mut self,
        world: &mut World<'_>,
        bytes: Bytes,
        mut reading: Reading,
    ) -> Option<Pause> {
        while !self.is_due(world) {
            let step = world.kernel.read_on(&mut reading);
            self.clock.pay(&price::read(&world.costs, &step.work));
            world.submit(&mut self.clock);
            match step.end {
                ReadEnd::Copied(count) => {
                    self.clock.spend(Kind::Copy, copying(&world.costs, count));
                }
                ReadEnd::Waits(io) => {
                    world.wait_for(&io, self.id);
                    return self.wait(Doing::Copying(bytes, reading));
                }
                ReadEnd::Done => {
                    self.read_copied(world, bytes);
                    return None;
                }
            }
        }
        self.pause(Doing::Copying(bytes, reading))
    }

    /// All of it is in the buffer: the reader reads it there.
    pub(super) fn read_copied(&mut self, world: &mut World<'_>, bytes: Bytes) {
        let pages = PageSize::FOUR_KIB.cover(bytes.at..bytes.end);
        (pages.start.0..pages.end.0).for_each(|page| world.ledger.touch(PageIndex(page)));
        world.counts.touches += pages.count().0;
        world.counts.hits += pages.count().0;
        let copied = world.costs.access_copied.0 * (bytes.end - bytes.at) / PAGE;
        self.clock.spend(Kind::FileAccess, Nanos(copied));
        self.clock.spend(Kind::Think, bytes.think);
        self.doing = Doing::Next;
    }
}

/// Copying `len` bytes, the first of which are in no cache.
pub(super) fn copying(costs: &Costs, len: u64) -> Nanos {
    costs.copying(len).max(costs.access_line)
}
