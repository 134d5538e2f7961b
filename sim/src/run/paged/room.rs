//! Keeping to the memory limit: what is behind a reader goes first, then what is oldest. The engine's
//! `paged/evict.rs`, whose constants these are.

use std::collections::VecDeque;

use mmap_ahead::page::{Nanos, PageCount, PageIndex, PageRange};
use mmap_ahead::policy::Event as Told;

use super::slots::{Claimed, Large, SLOT_PAGES, Slot, slot_of, within};
use super::{Need, Service};
use crate::kernel::Work;
use crate::run::breakdown::Kind;
use crate::run::price;
use crate::run::world::World;

/// Pieces taken away at once.
const BATCH: usize = 32;
/// Frames behind a reader that are kept for it while there is memory for new ones.
const SPARE: usize = 2;
/// A frame that waits for its reader is given up for others after so many changes of place, for every
/// frame of the pool.
const PATIENCE: u64 = 4;

impl Service {
    /// A frame to read into, if need be one that is taken from somewhere else.
    pub(super) fn room_for_frame(&mut self, need: Need, world: &mut World<'_>) -> bool {
        if self.spent.len() > SPARE && self.reuse_spent() {
            return true;
        }
        loop {
            match self.frames.claim() {
                Some(Claimed::Again) => return true,
                Some(Claimed::Fresh) => {
                    let zeroing = world.costs.copying(SLOT_PAGES.0 * 4096);
                    self.clock.spend(Kind::Copy, zeroing);
                    return true;
                }
                None if self.reuse_spent() => return true,
                None => {}
            }
            let is_below_share = self.frames.whole() < self.frames.count - self.small_share();
            let freed = (is_below_share && self.evict_small(world))
                || self.evict_large(need, world)
                || (need == Need::Demand && self.evict_small(world));
            if !freed {
                return false;
            }
        }
    }

    /// Makes room for `count` small pages. False when everything is on its way from the disk.
    pub(super) fn room_for_small(&mut self, count: PageCount, world: &mut World<'_>) -> bool {
        while self.frames.small_room() < count {
            if self.frames.take_apart() {
                continue;
            }
            let is_below_share = self.frames.small_frames() < self.small_share();
            let freed = (is_below_share && self.take_frame_apart(world))
                || self.evict_small(world)
                || self.take_frame_apart(world);
            if !freed {
                return false;
            }
        }
        true
    }

    /// Takes small pages away before room for others is needed, while nobody waits.
    pub(super) fn make_headroom(&mut self, world: &mut World<'_>) {
        if self.is_small_lately && self.frames.small_room().0 < BATCH as u64 {
            self.evict_small(world);
        }
    }

    /// While both kinds want more than there is, small pages get a quarter.
    fn small_share(&self) -> u64 {
        (self.frames.count / 4).max(1)
    }

    fn take_frame_apart(&mut self, world: &mut World<'_>) -> bool {
        if self.reuse_spent() {
            self.frames.release();
            return self.frames.take_apart();
        }
        self.evict_large(Need::Demand, world)
    }

    /// The frame that was taken back longest ago; what it held is gone for good.
    fn reuse_spent(&mut self) -> bool {
        while let Some((slot, stamp)) = self.spent.pop_front() {
            if self.is_current(slot, stamp) {
                self.slots.remove(&slot);
                return true;
            }
        }
        false
    }

    fn is_current(&self, slot: u64, stamp: u64) -> bool {
        matches!(self.slots.get(&slot), Some(Slot::Large { stamp: now, .. }) if *now == stamp)
    }

    /// Takes back the frame that has been under a reader longest, or gives up one that no reader came
    /// for.
    fn evict_large(&mut self, need: Need, world: &mut World<'_>) -> bool {
        for _ in 0..self.large_queue.len() {
            let Some((slot, stamp)) = self.large_queue.pop_front() else { break };
            let Some(Slot::Large { state, stamp: now }) = self.slots.get(&slot) else { continue };
            if *now != stamp {
                continue;
            }
            if *state == Large::Mapped {
                self.take_back(slot, world);
                return true;
            }
            if need == Need::Ahead && self.stamps - stamp < PATIENCE * self.frames.count {
                self.large_queue.push_front((slot, stamp));
                return false;
            }
            self.slots.remove(&slot);
            self.frames.release();
            let range = self.pages_of(slot);
            self.policy.on(&Told::Evicted { range }, &mut self.plan);
            return true;
        }
        false
    }

    /// UFFDIO_MOVE of the frame of `slot` back into the pool. It keeps its bytes until it is used again.
    fn take_back(&mut self, slot: u64, world: &mut World<'_>) {
        let work = world.kernel.unmap(self.pages_of(slot));
        self.clock.pay(&price::call(&world.costs, world.costs.uffd_fill));
        self.clock.pay(&price::unmap(&world.costs, &work));
        let stamp = self.next_stamp();
        self.slots.insert(slot, Slot::Large { state: Large::Spent, stamp });
        self.spent.push_back((slot, stamp));
    }

    /// A reader came to `slot`: what lies two slots behind it, and was under a reader, is not needed any
    /// more.
    pub(super) fn drop_behind(&mut self, slot: u64, world: &mut World<'_>) {
        let is_mapped = |slot: Option<u64>| {
            let slot = slot.and_then(|slot| self.slots.get(&slot));
            matches!(slot, Some(Slot::Large { state: Large::Mapped, .. }))
        };
        let behind = if is_mapped(slot.checked_sub(1)) {
            slot.checked_sub(2)
        } else if is_mapped(Some(slot + 1)) {
            Some(slot + 2)
        } else {
            None
        };
        if let Some(behind) = behind.filter(|behind| is_mapped(Some(*behind))) {
            self.take_back(behind, world);
        }
    }

    /// `range` was unmapped: frees what it held, but for what is being read; what shares a frame with it
    /// goes too.
    pub(super) fn forget(&mut self, range: PageRange, world: &mut World<'_>) {
        let slots = slot_of(range.start)..range.end.0.div_ceil(SLOT_PAGES.0);
        for slot in slots {
            let is_frame = |slot: &Slot| match slot {
                Slot::Large { state, .. } => !matches!(state, Large::Reading { .. }),
                Slot::Small(_) => false,
            };
            if self.slots.get(&slot).is_some_and(is_frame) {
                self.slots.remove(&slot);
                self.frames.release();
                world.kernel.unmap(self.pages_of(slot));
            }
        }
        let queue = std::mem::take(&mut self.small_queue);
        let (gone, kept) = queue.into_iter().partition(|part| !part.intersect(range).is_empty());
        self.small_queue = kept;
        let gone: VecDeque<PageRange> = gone;
        for part in gone {
            self.take_small(part, world);
        }
        self.held.forget(range);
    }

    /// Takes small pages out of the page table; their memory is free.
    fn take_small(&mut self, range: PageRange, world: &mut World<'_>) -> Work {
        let slot = slot_of(range.start);
        let (from, to) = within(range);
        if let Some(Slot::Small(small)) = self.slots.get_mut(&slot) {
            small.mapped.clear_range(from, to);
        }
        self.frames.return_small(range.count());
        self.forget_if_empty(slot);
        world.kernel.unmap(range)
    }

    /// Takes the oldest small pages away and keeps them for a moment: one call for all of them.
    fn evict_small(&mut self, world: &mut World<'_>) -> bool {
        let count = BATCH.min(self.small_queue.len().div_ceil(4));
        let gone: Vec<_> = self.small_queue.drain(..count).collect();
        for &range in &gone {
            (range.start.0..range.end.0).for_each(|page| self.held.keep(PageIndex(page)));
            self.clock.spend(Kind::Copy, world.costs.copying(range.count().0 * 4096));
            let work = self.take_small(range, world);
            self.clock.pay(&price::unmap(&world.costs, &work));
        }
        if !gone.is_empty() {
            self.clock.pay(&price::call(&world.costs, Nanos(0)));
        }
        !gone.is_empty()
    }
}
