//! Starting reads, and what becomes of them.

use std::collections::VecDeque;
use std::io;

use super::flight::{Flight, Goal};
use super::pager::{Need, Pager};
use super::slots::{Arrival, Large, LargeState, Slot, SlotIndex, Slots};
use crate::page::{PageCount, PageIndex, PageRange};
use crate::policy::{Event, Fetch, Outcome};
use crate::runtime::now;
use crate::stats::Counters;
use crate::sys::{Landed, Refused, Stopped};

/// Looks for a page to become free of the device's hold, each a few hundred nanoseconds.
const PINNED_RETRIES: u32 = 2000;
/// Milliseconds that a page waits for memory before the process ends.
const COPY_RETRIES: u32 = 5000;
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
        let Some(frame) = self.room_for_frame(need) else { return false };
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
    fn aligned(&self, bytes: usize) -> usize {
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
        if arrival == Arrival::Park && !small.wanted.any(within.clone()) {
            self.frames.return_small(pages.count());
            self.hold(pages, cell);
            return self.forget_if_empty(slot);
        }
        small.wanted.clear(within.clone());
        small.mapped.set(within);
        let len = self.aligned(self.shape.bytes_of(pages));
        self.publish(pages, cell.part(0..len));
    }

    /// Puts the frame of `slot`, which holds all of it, under the reader.
    pub(super) fn map_frame(&mut self, slot: SlotIndex) {
        let pages = self.shape.pages_of(slot);
        let offset = self.shape.offset(pages.start) as usize;
        let stamp = self.next_stamp();
        let Some(Slot::Large(large)) = self.slots.get_mut(&slot) else { return };
        let frame = large.frame;
        let is_second_chance = matches!(large.state, LargeState::Spent);
        Counters::add(&self.counters.second_chances, u64::from(is_second_chance));
        let cell = self.frames.cell(frame);
        if self.was_small.remove(&slot) {
            // A frame that moves over a page table which held small pages is split (TRAPS 17).
            if let Err(error) = self.uffd.empty(offset, cell.len()) {
                self.report.give_up("MADV_DONTNEED", &error);
            }
        }
        let (mut retries, mut done) = (0, 0);
        let put = loop {
            match self.uffd.put(cell, offset, done) {
                Err(Stopped { at, why: Refused::Pinned }) if retries < PINNED_RETRIES => {
                    (retries, done) = (retries + 1, at);
                    std::thread::yield_now();
                }
                other => break other,
            }
        };
        Counters::add(&self.counters.pinned_retries, u64::from(retries));
        match put {
            Ok(()) => {
                large.state = LargeState::Mapped;
                large.stamp = stamp;
                self.large_queue.push_back((slot, stamp));
                Counters::add(&self.counters.frames_mapped, 1);
                self.shown(pages);
                prune(&mut self.large_queue, &self.slots, self.frames.count());
                // Who comes back to a frame is no run: what lies around it may be wanted too.
                if !is_second_chance {
                    self.drop_behind(slot);
                }
            }
            Err(Stopped { at, .. }) => self.copy_frame(slot, at),
        }
    }

    /// A frame that cannot be moved is copied page by page, and its memory goes to the small pages.
    /// The first `moved` bytes are under the reader already.
    fn copy_frame(&mut self, slot: SlotIndex, moved: usize) {
        let Some(Slot::Large(large)) = self.slots.remove(&slot) else { return };
        Counters::add(&self.counters.frames_copied, 1);
        let unit = PageCount(1);
        let pages = self.shape.pages_of(slot);
        self.begin_small(slot, unit);
        let within = self.shape.within(slot, pages);
        if let Some(Slot::Small(small)) = self.slots.get_mut(&slot) {
            small.mapped.set(within);
        }
        // For a moment both copies exist: one frame more than the limit says.
        self.frames.reserve_small(pages.count());
        let len = self.aligned(self.shape.bytes_of(pages));
        let moved_pages = PageCount(moved.min(len) as u64 / self.shape.page_size.bytes());
        let from = self.frames.cell(large.frame).part(moved.min(len)..len);
        let (moved, rest) = (
            PageRange::at(pages.start, moved_pages),
            PageRange::new(pages.start.plus(moved_pages), pages.end),
        );
        self.queue_small(moved);
        self.publish(rest, from);
        self.frames.release(large.frame);
        self.frames.take_apart(&self.uffd);
    }

    /// Copies `from` under the reader as `pages`, whose slot says so already.
    pub(super) fn publish(&mut self, pages: PageRange, from: crate::sys::Span) {
        let offset = self.shape.offset(pages.start) as usize;
        let mut retries = 0;
        while let Err(Stopped { why, .. }) = self.uffd.copy(from, offset) {
            // No memory for a page or a page table: others may give some back.
            retries += 1;
            if retries > COPY_RETRIES {
                let error = match why {
                    Refused::Failed(error) => error,
                    Refused::Pinned | Refused::Raced => io::ErrorKind::ResourceBusy.into(),
                };
                self.report.give_up("UFFDIO_COPY", &error);
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Counters::add(&self.counters.pages_copied, pages.count().0);
        self.queue_small(pages);
    }

    /// `pages` are under the reader, as small ones.
    fn queue_small(&mut self, pages: PageRange) {
        let piece = PageCount(super::pager::PIECE_BYTES / self.shape.page_size.bytes());
        self.small_queue.extend(pages.pieces(piece));
        self.shown(pages);
    }

    /// `pages` are under the reader: what is held of them may be older, and is not needed.
    fn shown(&mut self, pages: PageRange) {
        self.held.forget_all(pages);
        self.mark_published(pages);
    }

    /// Pages that were under a reader before are shown again only if they are the same still.
    fn check_again(&self, pages: PageRange) {
        if self.published.is_empty() {
            return;
        }
        let mut pages = (pages.start.0..pages.end.0).map(PageIndex);
        if pages.any(|page| self.was_published(page)) && !self.proof.holds() {
            self.report.changed();
        }
    }

    fn was_published(&self, PageIndex(page): PageIndex) -> bool {
        self.published.get((page / 64) as usize).is_some_and(|word| word >> (page % 64) & 1 != 0)
    }

    /// A page that showed zeros shows zeros for good, also when it can be read again.
    fn keep_zeros(&self, pages: PageRange, cell: &mut crate::sys::Cell) {
        let page_len = self.shape.page_size.bytes() as usize;
        if self.zeroed.is_empty() {
            return;
        }
        let pages_in = (pages.start.0..pages.end.0).map(PageIndex);
        for page in pages_in.filter(|page| self.zeroed.contains(page)) {
            let at = page.since(pages.start).0 as usize * page_len;
            cell.bytes_mut()[at..at + page_len].fill(0);
        }
    }

    fn mark_published(&mut self, pages: PageRange) {
        if self.published.is_empty() {
            return;
        }
        (pages.start.0..pages.end.0)
            .for_each(|page| self.published[(page / 64) as usize] |= 1 << (page % 64));
    }

    /// A read failed for good. Whoever waits gets its page read alone, so that the bytes around a
    /// bad block are right; a page that fails alone is lost.
    fn failed(&mut self, flight: Flight, cell: crate::sys::Cell, error: &io::Error) {
        let Flight { goal, pages, .. } = flight;
        Counters::add(&self.counters.io_errors, 1);
        let (slot, wanted) = match goal {
            Goal::Large { slot, frame } => {
                self.frames.give_back(frame, cell);
                self.frames.release(frame);
                let wanted = match self.slots.remove(&slot) {
                    Some(Slot::Large(Large {
                        state: LargeState::Reading { wanted, .. }, ..
                    })) => wanted,
                    _ => Vec::new(),
                };
                if !wanted.is_empty() {
                    self.begin_small(slot, PageCount(1));
                }
                (slot, wanted)
            }
            Goal::Small { slot, is_urgent, .. } => {
                self.urgent -= usize::from(is_urgent);
                self.staging.push(cell);
                self.frames.return_small(pages.count());
                (slot, self.give_up_pieces(slot, pages))
            }
        };
        if pages.count() == PageCount(1) {
            wanted.into_iter().for_each(|page| self.lose(page, error));
        } else {
            wanted.into_iter().for_each(|page| self.serve(page));
        }
        self.forget_if_empty(slot);
    }

    /// Ends the reading of `pages` and says which of them are waited for.
    fn give_up_pieces(&mut self, slot: SlotIndex, pages: PageRange) -> Vec<PageIndex> {
        let within = self.shape.within(slot, pages);
        let Some(Slot::Small(small)) = self.slots.get_mut(&slot) else { return Vec::new() };
        small.reading.clear(within.clone());
        small.unit = PageCount(1);
        let wanted = within.filter(|&at| small.wanted.contains(at));
        let page = |at| PageIndex(self.shape.pages_of(slot).start.0 + at);
        wanted.map(page).collect()
    }

    /// The disk does not give `page`.
    fn lose(&mut self, page: PageIndex, error: &io::Error) {
        let slot = self.shape.slot_of(page);
        let within = self.shape.within(slot, PageRange::at(page, PageCount(1)));
        if let Some(Slot::Small(small)) = self.slots.get_mut(&slot) {
            small.wanted.clear(within);
        }
        let offset = self.shape.offset(page);
        self.report.lost(offset, error);
        match self.report.on_io_error() {
            super::OnIoError::Zero if !self.was_published(page) => {
                self.zeroed.insert(page);
                self.show_zeros(page);
            }
            // What safe code has seen does not become zeros.
            super::OnIoError::Zero | super::OnIoError::Abort => {
                let page_len = self.shape.page_size.bytes() as usize;
                self.report.end(&self.uffd, offset as usize, page_len);
            }
        }
    }

    pub(super) fn show_zeros(&mut self, page: PageIndex) {
        self.was_small.insert(self.shape.slot_of(page));
        let page_len = self.shape.page_size.bytes() as usize;
        let offset = self.shape.offset(page) as usize;
        if let Err(error) = self.uffd.zero(offset, page_len) {
            self.report.give_up("UFFDIO_ZEROPAGE", &error);
        }
    }
}

/// Void entries are dropped once they are most of the queue.
pub(super) fn prune(queue: &mut VecDeque<(SlotIndex, u64)>, slots: &Slots, frames: usize) {
    if queue.len() > 4 * frames + 16 {
        queue.retain(|&(slot, stamp)| {
            matches!(slots.get(&slot), Some(Slot::Large(large)) if large.stamp == stamp)
        });
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}
