//! The threads of the engine that read runs in blocks of 2 MiB: each faults in a second mapping that has
//! MADV_HUGEPAGE, and waits for the block. The engine's `fetch/twin`, whose constants these are; it cannot be
//! linked, since it makes calls.

use std::collections::VecDeque;

use mmap_ahead::page::{Nanos, PageCount, PageIndex, PageRange};

use super::Pause;
use super::breakdown::Clock;
use super::events::{Event, ThreadId};
use super::price;
use super::world::World;
use crate::kernel::{FileId, FileKind};

/// Blocks that are read at once.
pub(crate) const THREADS: usize = 2;
/// What a fault reads: 2 MiB.
const BLOCK: PageCount = PageCount(512);
/// Blocks that may wait; more are refused.
const JOBS_MAX: usize = 64;

/// What the threads have to do, and those that have nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks {
    jobs: VecDeque<PageRange>,
    /// Those that were asked for and are not there yet.
    on_their_way: Vec<PageRange>,
    idle: Vec<ThreadId>,
}

/// One of the threads.
pub(crate) struct BlockReader {
    pub(crate) id: ThreadId,
    pub(crate) clock: Clock,
    /// Since when it has its core.
    pub(crate) since: Nanos,
    /// The block that it waits for.
    awaited: Option<PageRange>,
}

impl World<'_> {
    /// Gives the whole blocks in `range` to the threads. What is in none, or nobody takes, is returned.
    pub(super) fn hand_over(&mut self, range: PageRange, at: Nanos) -> [PageRange; 2] {
        let is_disk = self.kernel.options().file_kind == FileKind::Disk;
        if !is_disk || !self.is_engine() || range.count() < BLOCK {
            return [range, PageRange::default()];
        }
        let all = self.ledger.all();
        let first = PageIndex(range.start.0.next_multiple_of(BLOCK.0)).min(range.end);
        let mut start = first;
        while start < range.end {
            let block = PageRange::at(start, BLOCK).intersect(all);
            if block.end > range.end {
                break;
            }
            if !self.blocks.on_their_way.contains(&block) {
                if self.blocks.jobs.len() == JOBS_MAX {
                    break;
                }
                self.blocks.jobs.push_back(block);
                self.blocks.on_their_way.push(block);
                if let Some(reader) = self.blocks.idle.pop() {
                    self.events.push(Nanos(at.0 + self.costs.wake_up.0), Event::Ready(reader));
                }
            }
            start = block.end;
        }
        [PageRange::new(range.start, first), PageRange::new(start, range.end)]
    }
}

impl BlockReader {
    /// A thread, asleep until there is something to do in `world`.
    pub(crate) fn new(id: ThreadId, world: &mut World<'_>) -> BlockReader {
        world.blocks.idle.push(id);
        BlockReader { id, clock: Clock::default(), since: Nanos(0), awaited: None }
    }

    pub(crate) fn advance(&mut self, world: &mut World<'_>) -> Pause {
        loop {
            if self.clock.now() > world.horizon(self.since) {
                return Pause::Until(self.clock.now());
            }
            if let Some(block) = self.awaited.take() {
                self.end(block, world);
                continue;
            }
            let Some(block) = world.blocks.jobs.pop_front() else {
                world.blocks.idle.push(self.id);
                return Pause::Blocked;
            };
            if let Some(pause) = self.begin(block, world) {
                return pause;
            }
        }
    }

    /// Faults on the first page of `block` that is not in memory.
    fn begin(&mut self, block: PageRange, world: &mut World<'_>) -> Option<Pause> {
        // mincore(2).
        self.pay_call(world);
        let mut pages = (block.start.0..block.end.0).map(PageIndex);
        let Some(page) = pages.find(|&page| !world.kernel.is_resident(page)) else {
            self.there(block, world);
            return None;
        };
        // madvise(2): MADV_POPULATE_READ.
        self.pay_call(world);
        let (awaited, work) = world.kernel.fault_elsewhere(page);
        self.clock.pay(&price::populate(&world.costs, &work));
        world.counts.add(&work);
        world.submit(&mut self.clock);
        self.awaited = Some(block);
        let io = awaited?;
        world.wait_for(&io, self.id);
        Some(Pause::Blocked)
    }

    /// What was not read with the page is asked for, and the page is let go.
    fn end(&mut self, block: PageRange, world: &mut World<'_>) {
        self.pay_call(world);
        if !world.kernel.is_resident(PageIndex(block.end.0 - 1)) {
            self.pay_call(world);
            let (_, work) = world.kernel.will_need(FileId::MAPPED, block);
            self.clock.pay(&price::folios(&world.costs, &work));
            world.submit(&mut self.clock);
        }
        self.pay_call(world);
        self.there(block, world);
    }

    fn there(&mut self, block: PageRange, world: &mut World<'_>) {
        world.blocks.on_their_way.retain(|&other| other != block);
    }

    fn pay_call(&mut self, world: &World<'_>) {
        self.clock.pay(&price::call(&world.costs, Nanos(0)));
    }
}
