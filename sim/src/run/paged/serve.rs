//! Serving a fault, and what becomes of what was read. The engine's `paged/pager.rs`, `reads.rs` and
//! `show.rs`.

use mmap_ahead::page::{Nanos, PageCount, PageIndex, PageRange};
use mmap_ahead::policy::{Event as Told, Fetch, Outcome, Source};

use super::slots::{Arrival, Large, SLOT_PAGES, Slot, Small, slot_of, within};
use super::{Flight, Goal, Need, PIECE, QUEUE_DEPTH, Service};
use crate::kernel::Resolve;
use crate::run::plans::Want;
use crate::run::price;
use crate::run::world::World;

impl Service {
    /// Somebody waits for `page`.
    pub(super) fn fault(&mut self, page: PageIndex, world: &mut World<'_>) {
        if world.kernel.is_mapped(page) {
            return self.wake_there(page, world);
        }
        self.plan.clear();
        let touch = Told::Touch { page, at: self.clock.now(), source: Source::Userfault };
        self.policy.on(&touch, &mut self.plan);
        let slot = self.slots.get(&slot_of(page));
        self.is_small_lately = matches!(slot, None | Some(Slot::Small(_)));
        self.serve(page, world);
        self.queue_plan();
    }

    /// UFFDIO_WAKE: it came meanwhile.
    fn wake_there(&mut self, page: PageIndex, world: &mut World<'_>) {
        self.clock.pay(&price::call(&world.costs, Nanos(0)));
        self.wake(PageRange::at(page, PageCount(1)), world);
    }

    /// Has `page` brought, by whatever is quickest.
    pub(super) fn serve(&mut self, page: PageIndex, world: &mut World<'_>) {
        let slot = slot_of(page);
        match self.slots.get_mut(&slot) {
            Some(Slot::Large { state, .. }) => match state {
                Large::Reading { is_wanted, .. } => *is_wanted = true,
                Large::Parked | Large::Spent => self.map_frame(slot, world),
                Large::Mapped => self.wake_there(page, world),
            },
            Some(Slot::Small(_)) => self.serve_small(page, world),
            None => {
                let is_run = self.runs_through(page) && !self.held.has(page);
                if !is_run || !self.start_large(slot, true, Arrival::Map, Need::Demand, world) {
                    self.slots.insert(slot, Slot::Small(Small::new()));
                    self.serve_small(page, world);
                }
            }
        }
    }

    fn serve_small(&mut self, page: PageIndex, world: &mut World<'_>) {
        let pages = PageRange::at(page, PageCount(1));
        let (from, to) = within(pages);
        let Some(Slot::Small(small)) = self.slots.get(&slot_of(page)) else { return };
        if small.mapped.any(from, to) {
            return self.wake_there(page, world);
        }
        if small.reading.any(from, to) {
            return;
        }
        if self.held.has(page) && self.room_for_small(PageCount(1), world) && self.held.has(page) {
            self.frames.reserve_small(PageCount(1));
            return self.publish(pages, world);
        }
        if !self.start_small(pages, Arrival::Map, Need::Demand, world) {
            self.stalled.push_back(page);
        }
    }

    fn has_queue(&self) -> bool {
        self.flights.len() < QUEUE_DEPTH
    }

    /// Reads all of `slot`, which is empty, into a frame. False without a frame or room to read.
    pub(super) fn start_large(
        &mut self,
        slot: u64,
        is_wanted: bool,
        arrival: Arrival,
        need: Need,
        world: &mut World<'_>,
    ) -> bool {
        if !self.has_queue() || !self.room_for_frame(need, world) {
            return false;
        }
        let stamp = self.next_stamp();
        let state = Large::Reading { is_wanted, arrival };
        self.slots.insert(slot, Slot::Large { state, stamp });
        self.begin(self.pages_of(slot), Goal::Large(slot), world);
        true
    }

    /// Reads `pages`, which are missing in their slot. False without memory or room to read.
    pub(super) fn start_small(
        &mut self,
        pages: PageRange,
        arrival: Arrival,
        need: Need,
        world: &mut World<'_>,
    ) -> bool {
        if !self.has_queue() || !self.room_for_small(pages.count(), world) {
            return false;
        }
        let (from, to) = within(pages);
        let Some(Slot::Small(small)) = self.slots.get_mut(&slot_of(pages.start)) else {
            return true;
        };
        small.reading.set_range(from, to);
        self.frames.reserve_small(pages.count());
        self.begin(pages, Goal::Small { arrival, need }, world);
        true
    }

    fn begin(&mut self, pages: PageRange, goal: Goal, world: &mut World<'_>) {
        let number = self.flights_begun;
        self.flights_begun += 1;
        self.flights.insert(number, Flight { pages, goal, begun: self.clock.now() });
        world.fetch(pages, Want::Mapped);
        world.read_direct(number, pages, &mut self.clock);
    }

    /// All of a flight's bytes are there.
    pub(super) fn landed(&mut self, number: u64, world: &mut World<'_>) {
        let Some(Flight { pages, goal, begun }) = self.flights.remove(&number) else { return };
        match goal {
            Goal::Large(slot) => self.frame_arrived(slot, world),
            Goal::Small { arrival, .. } => self.pieces_arrived(pages, arrival, world),
        }
        let took = self.clock.now().since(begun);
        for what in [Fetch::Read, Fetch::Window] {
            let fetched = Told::Fetched { what, range: pages, took, outcome: Outcome::Done };
            self.policy.on(&fetched, &mut self.plan);
        }
        self.queue_plan();
    }

    fn frame_arrived(&mut self, slot: u64, world: &mut World<'_>) {
        let now = self.next_stamp();
        let Some(Slot::Large { state, stamp }) = self.slots.get_mut(&slot) else { return };
        let Large::Reading { is_wanted, arrival } = *state else { return };
        *state = Large::Parked;
        if is_wanted || arrival == Arrival::Map {
            return self.map_frame(slot, world);
        }
        *stamp = now;
        self.large_queue.push_back((slot, now));
    }

    /// UFFDIO_MOVE of the frame of `slot` under the reader.
    fn map_frame(&mut self, slot: u64, world: &mut World<'_>) {
        let is_second_chance =
            matches!(self.slots.get(&slot), Some(Slot::Large { state: Large::Spent, .. }));
        let stamp = self.next_stamp();
        self.slots.insert(slot, Slot::Large { state: Large::Mapped, stamp });
        self.large_queue.push_back((slot, stamp));
        let pages = self.pages_of(slot);
        self.put(pages, Resolve::MoveHuge, PageCount(1), world);
        if !is_second_chance {
            self.drop_behind(slot, world);
        }
    }

    fn pieces_arrived(&mut self, pages: PageRange, arrival: Arrival, world: &mut World<'_>) {
        let slot = slot_of(pages.start);
        let (from, to) = within(pages);
        let Some(Slot::Small(small)) = self.slots.get_mut(&slot) else { return };
        small.reading.clear_range(from, to);
        let is_wanted = self.sleepers.iter().any(|(page, _)| pages.contains(*page));
        if arrival == Arrival::Park && !is_wanted {
            self.frames.return_small(pages.count());
            (pages.start.0..pages.end.0).for_each(|page| self.held.keep(PageIndex(page)));
            return self.forget_if_empty(slot);
        }
        self.publish(pages, world);
    }

    /// UFFDIO_COPY of `pages`, for which there is room, under the reader.
    fn publish(&mut self, pages: PageRange, world: &mut World<'_>) {
        let (from, to) = within(pages);
        if let Some(Slot::Small(small)) = self.slots.get_mut(&slot_of(pages.start)) {
            small.mapped.set_range(from, to);
        }
        self.small_queue.extend(pages.pieces(PIECE));
        self.put(pages, Resolve::Copy, pages.count(), world);
    }

    fn put(&mut self, pages: PageRange, how: Resolve, fills: PageCount, world: &mut World<'_>) {
        self.held.forget(pages);
        let resolved = world.kernel.resolve(pages, how);
        world.counts.add(&resolved.work);
        let filling = Nanos(world.costs.uffd_fill.0 * fills.0);
        self.clock.pay(&price::call(&world.costs, filling));
        self.clock.pay(&price::populate(&world.costs, &resolved.work));
        self.wake(pages, world);
    }

    /// The pages of `range` from its start on that are neither there nor on their way, nor held.
    pub(super) fn missing(&self, range: PageRange) -> PageRange {
        let Some(Slot::Small(small)) = self.slots.get(&slot_of(range.start)) else {
            return PageRange::default();
        };
        let is_there = |page: u64| {
            let at = page % SLOT_PAGES.0;
            small.has(at, at + 1) || self.held.has(PageIndex(page))
        };
        let mut left = (range.start.0..range.end.0).skip_while(|page| is_there(*page));
        let Some(start) = left.next() else { return PageRange::default() };
        let end = left.find(|page| is_there(*page)).unwrap_or(range.end.0);
        PageRange::new(PageIndex(start), PageIndex(end))
    }
}
