//! The service's part in what threads serve themselves: pages they added, permits, answers.

use super::asks::Answer;
use super::desk::BATCH;
use super::notes::NOTES_MAX;
use super::pager::Pager;
use super::slots::{Slot, SlotIndex};
use crate::page::{PageCount, PageIndex, PageRange};
use crate::policy::{Event, Source};
use crate::runtime::now;

impl Pager {
    /// Takes in what threads did and what they ask for. False when nobody waits for that.
    pub(super) fn attend(&mut self) -> bool {
        let Some(desk) = self.desk.clone() else { return false };
        let has_news = desk.take_news();
        self.read_notes();
        if has_news {
            for (ask, page) in desk.asks.hear() {
                self.waiting.push((ask, page));
                if self.lost.contains(&page) {
                    self.answer(PageRange::at(page, PageCount(1)), Answer::Lost);
                } else {
                    self.fault(self.shape.offset(page) as usize);
                }
            }
        }
        self.give_permits();
        has_news
    }

    /// Lets go who waits for one of `pages`: at once, since they may be taken away again soon.
    pub(super) fn answer(&mut self, pages: PageRange, answer: Answer) {
        let Some(desk) = &self.desk else { return };
        self.waiting.retain(|&(ask, page)| {
            let is_answered = pages.contains(page);
            if is_answered {
                desk.asks.answer(ask, answer);
            }
            !is_answered
        });
    }

    pub(super) fn read_notes(&mut self) {
        let Some(desk) = self.desk.clone() else { return };
        while let Some(page) = desk.notes.read() {
            self.permitted -= 1;
            self.was_added(page);
            desk.note_is_read(self.shape.slot_of(page));
            self.plan.clear();
            let touch = Event::Touch { page, at: now(), source: Source::Userfault };
            self.policy.on(&touch, &mut self.plan);
            self.queue_plan();
        }
    }

    /// A thread put `page` under the reader; its memory was set aside with the permit.
    fn was_added(&mut self, page: PageIndex) {
        let slot = self.shape.slot_of(page);
        if !self.slots.contains_key(&slot) {
            self.begin_small(slot, self.unit);
        }
        self.is_small_lately = true;
        let range = PageRange::at(page, PageCount(1));
        let within = self.shape.within(slot, range);
        match self.slots.get_mut(&slot) {
            Some(Slot::Small(small)) if !small.mapped.contains(within.start) => {
                small.mapped.set(within);
                self.queue_small(range);
            }
            // The service was bringing it too.
            _ => self.frames.return_small(PageCount(1)),
        }
    }

    /// Sets memory aside for pages that threads may add, while they do.
    fn give_permits(&mut self) {
        let Some(desk) = &self.desk else { return };
        if !self.is_small_lately || desk.is_over() {
            return;
        }
        let share = self.frames.count() * self.shape.pages_per_slot().0 as usize / 8;
        let batch = PageCount(BATCH as u64);
        while self.permitted + BATCH <= share.min(NOTES_MAX) && self.room_for_small(batch) {
            self.frames.reserve_small(batch);
            self.permitted += BATCH;
            if let Some(desk) = &self.desk {
                desk.permit(BATCH);
            }
        }
    }

    /// Takes back what was set aside and is not used. False when there was nothing.
    pub(super) fn take_permits_back(&mut self) -> bool {
        let count = self.desk.as_ref().map_or(0, |desk| desk.revoke());
        self.permitted -= count;
        self.frames.return_small(PageCount(count as u64));
        count > 0
    }

    /// From here on the service is asked for every page, and what threads added is known.
    pub(super) fn serve_all(&mut self) {
        if let Some(desk) = self.desk.clone() {
            desk.end();
            self.read_notes();
        }
    }

    /// Has `slot`, which is empty, for a frame. False when a thread is adding pages there.
    pub(super) fn close(&self, slot: SlotIndex) -> bool {
        self.desk.as_ref().is_none_or(|desk| desk.close(slot))
    }

    /// Whether threads are adding pages to `slot`, or did so unnoticed.
    pub(super) fn is_added_to(&self, slot: SlotIndex) -> bool {
        self.desk.as_ref().is_some_and(|desk| desk.is_added_to(slot))
    }

    /// `slot` is no frame any more.
    pub(super) fn remove_large(&mut self, slot: SlotIndex) -> Option<Slot> {
        if let Some(desk) = &self.desk {
            desk.open(slot);
        }
        self.slots.remove(&slot)
    }

    /// The service is bringing `pages`, or has them: who touches one asks.
    pub(super) fn mark_brought(&self, pages: PageRange) {
        if let Some(desk) = &self.desk {
            desk.brought.set(pages);
        }
    }

    /// The end of [`mark_brought`](Pager::mark_brought).
    pub(super) fn unmark_brought(&self, pages: PageRange) {
        if let Some(desk) = &self.desk {
            desk.brought.clear(pages);
        }
    }
}
