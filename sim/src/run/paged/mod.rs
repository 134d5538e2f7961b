//! `Paged`: memory of a bounded size, filled by a thread that serves userfaults. The engine's `paged`,
//! whose policies it drives; its pager cannot be linked, since it makes calls. Left out: proofs, errors,
//! pinned and split frames.

mod ahead;
mod room;
mod serve;
mod slots;

use std::collections::{BTreeMap, VecDeque};

use mmap_ahead::page::{Nanos, PageCount, PageIndex, PageRange};
use mmap_ahead::policy::{Geometry, Plan, Policy};

use super::Pause;
use super::breakdown::{Clock, Kind};
use super::events::{Event, ThreadId};
use super::price;
use super::world::World;
use crate::strategy::{PolicyMaker, Sees};
use ahead::Ahead;
use slots::{Arrival, Frames, Held, SLOT_PAGES, Slot};

/// The memory limit of `compare`'s `paged`, 32 MiB: what the run has unless memory is limited.
const LIMIT: PageCount = PageCount(8192);
/// Reads in flight at most, and the most that one of them is for small pages: 64 KiB.
const QUEUE_DEPTH: usize = 32;
const PIECE: PageCount = PageCount(16);
/// How long the thread looks out for the next fault after it has served a small page, and for a small
/// read that a reader waits for, before it sleeps.
const LOOK_OUT: u64 = 50_000;
const URGENT: u64 = 200_000;

/// Whether a reader waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Demand,
    Ahead,
}

/// What is being read, and what becomes of it.
#[derive(Clone, Copy, Debug)]
struct Flight {
    pages: PageRange,
    goal: Goal,
    begun: Nanos,
}

#[derive(Clone, Copy, Debug)]
enum Goal {
    Large(u64),
    Small { arrival: Arrival, need: Need },
}

/// What readers and the device leave for the thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mail {
    /// Pages that readers wait for, and which.
    faults: VecDeque<(PageIndex, ThreadId)>,
    /// Parts that were unmapped: what they held is free.
    unmapped: VecDeque<PageRange>,
    /// Reads that have landed, by number.
    landed: VecDeque<u64>,
    /// The thread while it waits, and until when it looks out without sleeping.
    idle: Option<(ThreadId, Nanos)>,
}

/// The thread that serves the faults.
pub(crate) struct Service {
    id: ThreadId,
    pub(crate) clock: Clock,
    /// Since when it has its core.
    pub(crate) since: Nanos,
    pages: PageCount,
    policy: Box<dyn Policy>,
    plan: Plan,
    slots: BTreeMap<u64, Slot>,
    frames: Frames,
    held: Held,
    /// What is under the reader, oldest first; entries with an old stamp are void.
    large_queue: VecDeque<(u64, u64)>,
    small_queue: VecDeque<PageRange>,
    /// Frames taken back from behind the reader, oldest first.
    spent: VecDeque<(u64, u64)>,
    stamps: u64,
    flights: BTreeMap<u64, Flight>,
    flights_begun: u64,
    ahead: VecDeque<Ahead>,
    /// Pages that somebody waits for and that could not be read yet.
    stalled: VecDeque<PageIndex>,
    sleepers: Vec<(PageIndex, ThreadId)>,
    is_small_lately: bool,
    awake_until: Nanos,
}

impl Service {
    /// The thread, idle, and all memory free.
    pub(crate) fn new(
        id: ThreadId,
        policy: &PolicyMaker,
        geometry: Geometry,
        limit: Option<PageCount>,
        world: &mut World<'_>,
    ) -> Service {
        let pages = geometry.pages;
        // How the engine spends its limit: `paged/open.rs`.
        let total = (limit.unwrap_or(LIMIT).0 / SLOT_PAGES.0).max(4);
        let most = pages.0.div_ceil(SLOT_PAGES.0) + 2;
        let held = (total / 16).max(1);
        let in_flight = QUEUE_DEPTH as u64 * PIECE.0 / SLOT_PAGES.0;
        let frames = (total - in_flight.min(total / 4).max(1) - held).min(most);
        let budget = PageCount(frames * SLOT_PAGES.0);
        world.mail.idle = Some((id, Nanos(0)));
        Service {
            id,
            clock: Clock::default(),
            since: Nanos(0),
            pages,
            policy: policy(Geometry { fault_around: PageCount(1), budget, ..geometry }),
            plan: Plan::new(),
            slots: BTreeMap::new(),
            frames: Frames::new(frames),
            held: Held::new(pages, PageCount(held.min(most) * SLOT_PAGES.0)),
            large_queue: VecDeque::new(),
            small_queue: VecDeque::new(),
            spent: VecDeque::new(),
            stamps: 0,
            flights: BTreeMap::new(),
            flights_begun: 0,
            ahead: VecDeque::new(),
            stalled: VecDeque::new(),
            sleepers: Vec::new(),
            is_small_lately: false,
            awake_until: Nanos(0),
        }
    }

    pub(crate) fn advance(&mut self, world: &mut World<'_>) -> Pause {
        loop {
            let now = self.clock.now();
            if now > world.horizon(self.since) {
                return Pause::Until(now);
            }
            let is_idle = !self.turn(world);
            if is_idle && world.mail.faults.is_empty() && world.mail.landed.is_empty() {
                self.make_headroom(world);
                world.mail.idle = Some((self.id, self.awake_until));
                return Pause::Blocked;
            }
        }
    }

    /// One turn of the engine's loop: faults, what has landed, what there is room for. Whether there was
    /// anything to do.
    fn turn(&mut self, world: &mut World<'_>) -> bool {
        let is_idle = world.mail.faults.is_empty() && world.mail.landed.is_empty();
        if !is_idle {
            // read(2) of the userfaultfd.
            self.clock.pay(&price::call(&world.costs, Nanos(0)));
        }
        while let Some(range) = world.mail.unmapped.pop_front() {
            self.forget(range, world);
        }
        while let Some((page, thread)) = world.mail.faults.pop_front() {
            self.sleepers.push((page, thread));
            self.fault(page, world);
        }
        while let Some(number) = world.mail.landed.pop_front() {
            self.landed(number, world);
        }
        self.pump(world);
        if !is_idle {
            let is_urgent =
                |flight: &Flight| matches!(flight.goal, Goal::Small { need: Need::Demand, .. });
            let watch = match self.is_small_lately {
                false => 0,
                true if self.flights.values().any(is_urgent) => URGENT,
                true => LOOK_OUT,
            };
            self.awake_until = Nanos(self.clock.now().0 + watch);
        }
        !is_idle
    }

    fn pages_of(&self, slot: u64) -> PageRange {
        let all = PageRange::at(PageIndex(0), self.pages);
        PageRange::at(PageIndex(slot * SLOT_PAGES.0), SLOT_PAGES).intersect(all)
    }

    fn next_stamp(&mut self) -> u64 {
        self.stamps += 1;
        self.stamps
    }

    fn forget_if_empty(&mut self, slot: u64) {
        if matches!(self.slots.get(&slot), Some(Slot::Small(small)) if !small.has(0, SLOT_PAGES.0))
        {
            self.slots.remove(&slot);
        }
    }

    /// Whoever waits for one of `pages` goes on.
    fn wake(&mut self, pages: PageRange, world: &mut World<'_>) {
        let at = Nanos(self.clock.now().0 + world.costs.wake_up.0);
        self.sleepers.retain(|(page, thread)| {
            let is_there = pages.contains(*page);
            if is_there {
                world.events.push(at, Event::Ready(*thread));
            }
            !is_there
        });
    }
}

impl World<'_> {
    /// Whether memory is filled by [`Service`], for who sees so.
    pub(crate) fn pages_by_hand(sees: Option<Sees>) -> bool {
        sees == Some(Sees::Userfaults)
    }

    /// A reader waits for `page` from `at` on.
    pub(crate) fn userfault(&mut self, page: PageIndex, thread: ThreadId, at: Nanos) {
        self.mail.faults.push_back((page, thread));
        if let Some((service, awake_until)) = self.mail.idle.take() {
            let wakes = if at < awake_until { 0 } else { self.costs.wake_up.0 };
            self.events.push(Nanos(at.0 + wakes), Event::Ready(service));
        }
    }

    /// `range` is not mapped any more.
    pub(crate) fn unmapped(&mut self, range: PageRange) {
        if self.is_paged {
            self.mail.unmapped.push_back(range);
        }
    }

    /// The device has done the thread's read of this number. How long who sleeps takes to wake is in
    /// what the device takes.
    pub(crate) fn landed(&mut self, number: u64, at: Nanos) {
        let told = self.device.told_at(at);
        if told > at {
            return self.events.push(told, Event::Landed(number));
        }
        self.mail.landed.push_back(number);
        if let Some((service, _)) = self.mail.idle.take() {
            self.events.push(at, Event::Ready(service));
        }
    }

    /// Begins to read `pages` past the page cache; what is in memory is copied at once.
    fn read_direct(&mut self, number: u64, pages: PageRange, clock: &mut Clock) {
        let bytes = pages.count().0 * 4096;
        if self.is_in_memory {
            clock.spend(Kind::Copy, self.costs.copying(bytes));
            return self.mail.landed.push_back(number);
        }
        let len = mmap_ahead::page::ByteLen(bytes);
        let requests = self.device.model().requests(len);
        clock.spend(Kind::PageCache, Nanos(self.costs.io_submit.0 * requests));
        let done = self.device.read(clock.now(), len, requests);
        self.events.push(done, Event::Landed(number));
    }
}
