//! Putting what was read under the reader, and who has seen what.

use std::collections::VecDeque;
use std::io;

use super::asks::Answer;
use super::pager::{PIECE_BYTES, Pager};
use super::slots::{LargeState, Slot, SlotIndex, Slots};
use crate::page::{PageCount, PageIndex, PageRange};
use crate::stats::Counters;
use crate::sys::{Cell, Refused, Span, Stopped};

/// Looks for a page to become free of the device's hold, each a few hundred nanoseconds.
const PINNED_RETRIES: u32 = 2000;
/// Milliseconds that a page waits for memory before the process ends.
const COPY_RETRIES: u32 = 5000;

impl Pager {
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
        let Some(Slot::Large(large)) = self.remove_large(slot) else { return };
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
    pub(super) fn publish(&mut self, pages: PageRange, from: Span) {
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
    pub(super) fn queue_small(&mut self, pages: PageRange) {
        let piece = PageCount(PIECE_BYTES / self.shape.page_size.bytes());
        self.small_queue.extend(pages.pieces(piece));
        self.shown(pages);
    }

    /// `pages` are under the reader: what is held of them may be older, and is not needed.
    fn shown(&mut self, pages: PageRange) {
        self.held.forget_all(pages);
        self.mark_published(pages);
        self.answer(pages, Answer::Brought);
    }

    /// Pages that were under a reader before are shown again only if they are the same still.
    pub(super) fn check_again(&mut self, pages: PageRange) {
        if self.published.is_none() {
            return;
        }
        if self.desk.is_some() && !self.proof.holds() {
            // What a thread has read before is not shown after what is read now.
            self.serve_all();
        }
        let mut pages = (pages.start.0..pages.end.0).map(PageIndex);
        if pages.any(|page| self.was_published(page)) && !self.proof.holds() {
            self.report.changed();
        }
    }

    pub(super) fn was_published(&self, page: PageIndex) -> bool {
        self.published.as_ref().is_some_and(|published| published.contains(page))
    }

    /// A page that showed zeros shows zeros for good, also when it can be read again.
    pub(super) fn keep_zeros(&self, pages: PageRange, cell: &mut Cell) {
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

    fn mark_published(&self, pages: PageRange) {
        if let Some(published) = &self.published {
            published.set(pages);
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
