//! Reads that failed, and pages that cannot be had.

use std::io;

use super::OnIoError;
use super::asks::Answer;
use super::flight::{Flight, Goal};
use super::pager::Pager;
use super::slots::{Large, LargeState, Slot, SlotIndex};
use crate::page::{PageCount, PageIndex, PageRange};
use crate::stats::Counters;
use crate::sys::Cell;

impl Pager {
    /// A read failed for good. Whoever waits gets its page read alone, so that the bytes around a
    /// bad block are right; a page that fails alone is lost.
    pub(super) fn failed(&mut self, flight: Flight, cell: Cell, error: &io::Error) {
        let Flight { goal, pages, .. } = flight;
        Counters::add(&self.counters.io_errors, 1);
        let (slot, wanted) = match goal {
            Goal::Large { slot, frame } => {
                self.frames.give_back(frame, cell);
                self.frames.release(frame);
                let wanted = match self.remove_large(slot) {
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
        if let Some(desk) = &self.desk {
            desk.brought.clear(pages);
        }
        small.unit = PageCount(1);
        let wanted = within.filter(|&at| small.wanted.contains(at));
        let page = |at| PageIndex(self.shape.pages_of(slot).start.0 + at);
        wanted.map(page).collect()
    }

    /// The disk does not give `page`.
    fn lose(&mut self, page: PageIndex, error: &io::Error) {
        self.serve_all();
        if self.is_mapped(page) {
            // A thread was luckier.
            return self.wake(page);
        }
        let slot = self.shape.slot_of(page);
        let within = self.shape.within(slot, PageRange::at(page, PageCount(1)));
        if let Some(Slot::Small(small)) = self.slots.get_mut(&slot) {
            small.wanted.clear(within);
        }
        let offset = self.shape.offset(page);
        self.report.lost(offset, error);
        match self.report.on_io_error() {
            OnIoError::Zero if !self.was_published(page) => {
                self.zeroed.insert(page);
                self.show_zeros(page);
            }
            // What safe code has seen does not become zeros.
            OnIoError::Zero | OnIoError::Abort => {
                self.lost.insert(page);
                let page_len = self.shape.page_size.bytes() as usize;
                self.report.end(&self.uffd, offset as usize, page_len);
                self.answer(PageRange::at(page, PageCount(1)), Answer::Lost);
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
        self.answer(PageRange::at(page, PageCount(1)), Answer::Brought);
    }
}
