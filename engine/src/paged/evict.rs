//! Keeping to the memory limit: what is behind a reader goes first, then what is oldest, and what
//! went a moment ago can come back without I/O.

use super::pager::{Need, Pager};
use super::show::prune;
use super::slots::{FrameIndex, LargeState, Slot, SlotIndex};
use crate::page::{PageCount, PageIndex, PageRange};
use crate::policy::Event;
use crate::stats::Counters;
use crate::sys::Cell;

/// Pages taken away at once: one system call, one flush of the other processors' page tables.
const BATCH: usize = 32;
/// Frames behind a reader that are kept for it while there is memory for new ones: what it has read
/// is used again before fresh memory is asked for, which is dear.
const SPARE: usize = 2;
/// A frame that waits for its reader is given up for another one's after this many changes of
/// frames for every frame of the pool.
const PATIENCE: u64 = 4;

impl Pager {
    /// A frame to read into, if need be one that is taken from somewhere else.
    pub(super) fn room_for_frame(&mut self, need: Need) -> Option<FrameIndex> {
        if self.spent.len() > SPARE
            && let Some(frame) = self.reuse_spent()
        {
            return Some(frame);
        }
        loop {
            if let Some(frame) = self.frames.claim(&self.uffd) {
                return Some(frame);
            }
            if let Some(frame) = self.reuse_spent() {
                return Some(frame);
            }
            let is_below_share = self.frames.whole() < self.frames.count() - self.small_share();
            let freed = self.take_permits_back()
                || (is_below_share && self.evict_small())
                || self.evict_large(need)
                || (need == Need::Demand && self.evict_small());
            if !freed {
                return None;
            }
        }
    }

    /// Makes room for `count` small pages. False when everything is on its way from the disk.
    pub(super) fn room_for_small(&mut self, count: PageCount) -> bool {
        while self.frames.small_room() < count {
            if self.frames.take_apart(&self.uffd) {
                continue;
            }
            let is_below_share = self.frames.small_frames() < self.small_share();
            let freed = (is_below_share && self.take_frame_apart())
                || self.evict_small()
                || self.take_frame_apart()
                || self.take_permits_back();
            if !freed {
                return false;
            }
        }
        true
    }

    /// Takes small pages away before room for others is needed, while nobody waits.
    pub(super) fn make_headroom(&mut self) {
        if self.is_small_lately && self.frames.small_room().0 < BATCH as u64 {
            self.evict_small();
        }
    }

    /// While both kinds want more than there is, small pages get a quarter.
    fn small_share(&self) -> usize {
        (self.frames.count() / 4).max(1)
    }

    fn take_frame_apart(&mut self) -> bool {
        if let Some(frame) = self.reuse_spent() {
            self.frames.release(frame);
            return self.frames.take_apart(&self.uffd);
        }
        self.evict_large(Need::Demand)
    }

    /// The frame that was taken back longest ago; what it held is gone for good.
    fn reuse_spent(&mut self) -> Option<FrameIndex> {
        while let Some((slot, stamp)) = self.spent.pop_front() {
            if let Some(Slot::Large(large)) = self.slots.get(&slot)
                && large.stamp == stamp
            {
                let frame = large.frame;
                self.remove_large(slot);
                Counters::add(&self.counters.frames_evicted, 1);
                return Some(frame);
            }
        }
        None
    }

    /// Takes back the frame that has been under a reader longest, or gives up one that no reader
    /// came for. True if a frame became spent or free.
    fn evict_large(&mut self, need: Need) -> bool {
        for _ in 0..self.large_queue.len() {
            let Some((slot, stamp)) = self.large_queue.pop_front() else { break };
            let Some(Slot::Large(large)) = self.slots.get(&slot) else { continue };
            if large.stamp != stamp {
                continue;
            }
            if matches!(large.state, LargeState::Mapped) {
                if self.take_back(slot) {
                    return true;
                }
                continue;
            }
            let is_recent = self.stamps - stamp < PATIENCE * self.frames.count() as u64;
            if need == Need::Ahead && is_recent {
                // It waits for its reader: to read ahead is no reason to give it up.
                self.large_queue.push_front((slot, stamp));
                return false;
            }
            let frame = large.frame;
            self.remove_large(slot);
            self.frames.release(frame);
            Counters::add(&self.counters.frames_wasted, 1);
            let range = self.shape.pages_of(slot);
            self.policy.on(&Event::Evicted { range }, &mut self.plan);
            return true;
        }
        false
    }

    /// Moves the frame of `slot` back into the pool. It keeps its bytes until it is used again.
    fn take_back(&mut self, slot: SlotIndex) -> bool {
        let offset = self.shape.offset(self.shape.pages_of(slot).start) as usize;
        let stamp = self.next_stamp();
        let Some(Slot::Large(large)) = self.slots.get_mut(&slot) else { return false };
        if matches!(*self.proof, super::Proof::Once) {
            // No page is read twice: that is the proof.
            large.stamp = stamp;
            self.large_queue.push_back((slot, stamp));
            return false;
        }
        match self.uffd.take(offset, self.frames.cell_mut(large.frame)) {
            Ok(()) => {
                large.state = LargeState::Spent;
                large.stamp = stamp;
                let frame = large.frame;
                if self.mend(frame) {
                    // It has left a page table of small pages behind.
                    self.was_small.insert(slot);
                }
                self.spent.push_back((slot, stamp));
                prune(&mut self.spent, &self.slots, self.frames.count());
                true
            }
            Err(_) => {
                // Somebody holds it (a system call on a slice of it): another time (TRAPS 16).
                large.stamp = stamp;
                self.large_queue.push_back((slot, stamp));
                Counters::add(&self.counters.frames_pinned, 1);
                false
            }
        }
    }

    /// Makes a frame in the pool huge again; true if it was not.
    pub(super) fn mend(&mut self, frame: FrameIndex) -> bool {
        let was_apart = self.frames.mend(frame);
        Counters::add(&self.counters.frames_mended, u64::from(was_apart));
        was_apart
    }

    /// A reader came to `slot`: what lies two slots behind it, and was under a reader, is not
    /// needed any more.
    pub(super) fn drop_behind(&mut self, slot: SlotIndex) {
        let is_mapped = |slot: Option<SlotIndex>| {
            let slot = slot.and_then(|slot| self.slots.get(&slot));
            matches!(slot, Some(Slot::Large(large)) if matches!(large.state, LargeState::Mapped))
        };
        let (before, after) = (slot.checked_sub(1), Some(slot + 1));
        let behind = if is_mapped(before) {
            slot.checked_sub(2)
        } else if is_mapped(after) {
            Some(slot + 2)
        } else {
            None
        };
        if is_mapped(behind)
            && let Some(behind) = behind
        {
            self.take_back(behind);
        }
    }

    /// Takes the oldest small pages away and keeps them for a moment. False when there are none.
    fn evict_small(&mut self) -> bool {
        if matches!(*self.proof, super::Proof::Once) {
            return false;
        }
        let count = BATCH.min(self.small_queue.len().div_ceil(4));
        let mut spans = Vec::with_capacity(count);
        for range in self.small_queue.drain(..count).collect::<Vec<_>>() {
            let slot = self.shape.slot_of(range.start);
            let within = self.shape.within(slot, range);
            let Some(Slot::Small(small)) = self.slots.get_mut(&slot) else { continue };
            // Not those that a thread added while they were read here, and that went before.
            let runs = small.mapped.runs(within.clone());
            small.mapped.clear(within);
            for run in runs {
                spans.push(self.keep_a_moment(slot, run));
            }
            self.forget_if_empty(slot);
        }
        if let Err(error) = self.uffd.empty_all(&spans) {
            self.report.give_up("MADV_DONTNEED", &error);
        }
        !spans.is_empty()
    }

    /// Keeps what is about to be taken away, given by its place in `slot`; answers where it is.
    fn keep_a_moment(&mut self, slot: SlotIndex, run: std::ops::Range<u64>) -> (usize, usize) {
        let first = self.shape.pages_of(slot).start.0;
        let page_len = self.shape.page_size.bytes() as usize;
        let count = run.end - run.start;
        for page in run.clone().map(|at| PageIndex(first + at)) {
            let offset = self.shape.offset(page) as usize;
            self.held.keep(page, |bytes| self.uffd.copy_out(offset, bytes));
        }
        self.frames.return_small(PageCount(count));
        Counters::add(&self.counters.pages_evicted, count);
        (self.shape.offset(PageIndex(first + run.start)) as usize, count as usize * page_len)
    }

    /// Keeps pages that have been read and that nobody has asked for.
    pub(super) fn hold(&mut self, pages: PageRange, cell: &Cell) {
        let page_len = self.shape.page_size.bytes() as usize;
        for (at, page) in (pages.start.0..pages.end.0).enumerate() {
            let content = &cell.bytes()[at * page_len..(at + 1) * page_len];
            self.held.keep(PageIndex(page), |bytes| bytes.copy_from_slice(content));
        }
    }

    /// Puts `page`, and the pages of its unit, back under the reader if they are held. False when
    /// `page` is not.
    pub(super) fn put_back(&mut self, page: PageIndex) -> bool {
        if self.held.find(page).is_none() {
            return false;
        }
        let slot = self.shape.slot_of(page);
        let Some(Slot::Small(small)) = self.slots.get(&slot) else { return false };
        let unit = self.shape.unit_of(page, small.unit);
        // The page itself first: room for it may push the others out.
        let others = (unit.start.0..unit.end.0).map(PageIndex).filter(|&other| other != page);
        for page in std::iter::once(page).chain(others) {
            self.put_back_one(slot, page);
        }
        self.is_mapped(page)
    }

    fn put_back_one(&mut self, slot: SlotIndex, page: PageIndex) {
        if self.held.find(page).is_none() || !self.room_for_small(PageCount(1)) {
            return;
        }
        // Making room may have pushed it out.
        let Some(from) = self.held.find(page) else { return };
        let range = PageRange::at(page, PageCount(1));
        let within = self.shape.within(slot, range);
        if !self.slots.contains_key(&slot) {
            return;
        }
        let Some(Slot::Small(small)) = self.slots.get_mut(&slot) else { return };
        if small.mapped.any(within.clone()) || small.reading.any(within.clone()) {
            return;
        }
        small.mapped.set(within.clone());
        small.wanted.clear(within);
        self.frames.reserve_small(range.count());
        self.publish(range, from);
        Counters::add(&self.counters.second_chances, 1);
    }
}
