//! Starting reads, and what becomes of them.

use std::io;

use super::flight::{Flight, Goal};
use super::pager::{Need, Pager};
use super::slots::{Arrival, Large, LargeState, Slot, SlotIndex};
use crate::page::{PageCount, PageIndex, PageRange};
use crate::policy::{Event, Fetch, Outcome};
use crate::runtime::now;
use crate::stats::Counters;
use crate::sys::Landed;

/// EINTR and EAGAIN of one read before they count as an error.
const TEMPORARY_RETRIES: u32 = 10_000;

impl Pager {
    /// Reads all of `slot`, which is empty, into a frame. False without a frame or room to read.
    pub(super) fn start_large(
        &mut self,
        slot: SlotIndex,
        wanted: Vec<PageIndex>,
        on_arrival: Arrival,
        need: Need,
    ) -> bool {
        if self.disk.room() == 0 || !self.uffd.has_move() {
            return false;
        }
        if !self.close(slot) {
            return false;
        }
        let Some(frame) = self.room_for_frame(need) else {
            self.remove_large(slot);
            return false;
        };
        let pages = self.shape.pages_of(slot);
        let bytes = self.shape.bytes_of(pages);
        let goal = Goal::Large { slot, frame };
        let token =
            self.flights.begin(Flight { goal, pages, bytes, filled: 0, retries: 0, begun: now() });
        self.mend(frame);
        let cell = self.frames.lend(frame);
        let end = self.aligned(bytes);
        self.disk.read(token, cell, 0..end, self.shape.offset(pages.start));
        Counters::add(&self.counters.reads, 1);
        let stamp = self.next_stamp();
        let state = LargeState::Reading { wanted, on_arrival };
        self.slots.insert(slot, Slot::Large(Large { frame, state, stamp }));
        true
    }

    /// Reads `pages`, which are missing in `slot`. False without memory or room to read.
    pub(super) fn start_small(
        &mut self,
        slot: SlotIndex,
        pages: PageRange,
        arrival: Arrival,
        need: Need,
    ) -> bool {
        if self.disk.room() == 0 || !self.room_for_small(pages.count()) {
            return false;
        }
        let Some(Slot::Small(small)) = self.slots.get_mut(&slot) else { return true };
        let Some(cell) = self.staging.pop() else { return false };
        small.reading.set(self.shape.within(slot, pages));
        self.mark_brought(pages);
        self.frames.reserve_small(pages.count());
        let is_urgent = need == Need::Demand;
        self.urgent += usize::from(is_urgent);
        let goal = Goal::Small { slot, arrival, is_urgent };
        let bytes = self.shape.bytes_of(pages);
        let token =
            self.flights.begin(Flight { goal, pages, bytes, filled: 0, retries: 0, begun: now() });
        let end = self.aligned(bytes);
        self.disk.read(token, cell, 0..end, self.shape.offset(pages.start));
        Counters::add(&self.counters.reads, 1);
        true
    }

    /// Direct reads are of whole blocks, also at the end of the file; a page is one.
    pub(super) fn aligned(&self, bytes: usize) -> usize {
        bytes.next_multiple_of(self.shape.page_size.bytes() as usize)
    }

    /// A read has ended, perhaps too early.
    pub(super) fn landed(&mut self, landed: Landed) {
        let Landed { token, cell, result } = landed;
        let Some(mut flight) = self.flights.end(token) else { return };
        let block = self.disk.alignment();
        let result = match result {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            other => other,
        };
        match result {
            Ok(read) if flight.filled + read >= flight.bytes => self.arrived(flight, cell),
            // The rest: from the last whole block on, which the source is aligned to.
            Ok(read) if (flight.filled + read) / block * block > flight.filled => {
                flight.filled = (flight.filled + read) / block * block;
                self.read_on(flight, cell);
            }
            Ok(_) => self.failed(flight, cell, &io::ErrorKind::UnexpectedEof.into()),
            Err(error) if is_temporary(&error) && flight.retries < TEMPORARY_RETRIES => {
                flight.retries += 1;
                self.read_on(flight, cell);
            }
            Err(error) => self.failed(flight, cell, &error),
        }
    }

    fn read_on(&mut self, flight: Flight, cell: crate::sys::Cell) {
        let part = flight.filled..self.aligned(flight.bytes);
        let offset = self.shape.offset(flight.pages.start) + flight.filled as u64;
        let token = self.flights.begin(flight);
        self.disk.read(token, cell, part, offset);
        Counters::add(&self.counters.reads, 1);
    }

    /// All of a flight's bytes are in `cell`.
    fn arrived(&mut self, flight: Flight, mut cell: crate::sys::Cell) {
        let Flight { goal, pages, bytes, begun, .. } = flight;
        Counters::add(&self.counters.bytes_read, bytes as u64);
        // Past the end of the file a mapping holds zeros, not what the frame held before.
        let filled = match goal {
            Goal::Large { .. } => cell.len(),
            Goal::Small { .. } => self.aligned(bytes),
        };
        cell.bytes_mut()[bytes..filled].fill(0);
        self.keep_zeros(pages, &mut cell);
        self.check_again(pages);
        match goal {
            Goal::Large { slot, frame } => {
                self.frames.give_back(frame, cell);
                self.frame_arrived(slot);
            }
            Goal::Small { slot, arrival, is_urgent } => {
                self.urgent -= usize::from(is_urgent);
                self.pieces_arrived(slot, pages, arrival, &cell);
                self.staging.push(cell);
            }
        }
        let took = now().since(begun);
        for what in [Fetch::Read, Fetch::Window] {
            let fetched = Event::Fetched { what, range: pages, took, outcome: Outcome::Done };
            self.policy.on(&fetched, &mut self.plan);
        }
        self.queue_plan();
    }

    fn frame_arrived(&mut self, slot: SlotIndex) {
        let stamp = self.next_stamp();
        let Some(Slot::Large(large)) = self.slots.get_mut(&slot) else { return };
        let LargeState::Reading { wanted, on_arrival } = &large.state else { return };
        let maps = !wanted.is_empty() || *on_arrival == Arrival::Map;
        large.state = LargeState::Parked;
        if maps {
            return self.map_frame(slot);
        }
        large.stamp = stamp;
        self.large_queue.push_back((slot, stamp));
    }

    fn pieces_arrived(
        &mut self,
        slot: SlotIndex,
        pages: PageRange,
        arrival: Arrival,
        cell: &crate::sys::Cell,
    ) {
        let within = self.shape.within(slot, pages);
        let Some(Slot::Small(small)) = self.slots.get_mut(&slot) else { return };
        small.reading.clear(within.clone());
        let added = within.clone().filter(|&at| small.mapped.contains(at)).count();
        if arrival == Arrival::Park && !small.wanted.any(within.clone()) {
            self.unmark_brought(pages);
            self.frames.return_small(pages.count());
            self.hold(pages, cell);
            return self.forget_if_empty(slot);
        }
        small.wanted.clear(within.clone());
        small.mapped.set(within);
        // A thread was quicker, and its page has its own memory.
        self.frames.return_small(PageCount(added as u64));
        self.unmark_brought(pages);
        let len = self.aligned(self.shape.bytes_of(pages));
        self.publish(pages, cell.part(0..len));
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}
