//! What is read before anybody waits for it: what the policy plans and what a prefetch asks for, in the
//! order in which there comes to be room.

use super::pager::{Need, PIECE_BYTES, Pager};
use super::slots::{Arrival, Slot, SlotIndex};
use crate::page::{ByteLen, PageCount, PageIndex, PageRange};

/// Reads and staging cells that are kept free for readers that wait.
const RESERVE: usize = 8;

/// Fetches that wait for room; who asks for more ahead than that is not heard: 1,024 pieces are
/// 64 MiB, as many frames 2 GiB.
const AHEAD_MAX: usize = 1024;

/// A fetch that nobody waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ahead {
    Large(SlotIndex, Arrival),
    Small(PageRange, Arrival),
}

impl Pager {
    /// Whether the plan goes from `page` through its slot: then a whole frame is worth it.
    pub(super) fn runs_through(&self, page: PageIndex) -> bool {
        let pages = self.shape.pages_of(self.shape.slot_of(page));
        let rest = PageRange::new(page.plus(PageCount(1)), pages.end);
        let is_early = page.since(pages.start).0 <= pages.count().0 / 2;
        let merged = merge(self.plan.reads());
        let covers = |range: &PageRange| range.start <= rest.start && rest.end <= range.end;
        is_early && !rest.is_empty() && merged.iter().any(covers)
    }

    /// Queues what the policy planned: whole frames where a run fills them, pieces where not.
    pub(super) fn queue_plan(&mut self) {
        let mut ranges: Vec<_> = self.plan.reads().to_vec();
        ranges.extend(self.plan.windows().iter().map(|window| window.range));
        ranges.sort_unstable_by_key(|range| range.start);
        let triggers: Vec<_> = self.plan.windows().iter().filter_map(|w| w.trigger).collect();
        for range in merge(&ranges) {
            let range = range.intersect(self.shape.pages());
            self.queue(range, &triggers);
        }
        // In the order in which their readers come to them.
        let steps: Vec<_> = self.plan.steps().iter().map(|step| step.range).collect();
        for range in steps {
            self.queue_step(range.intersect(self.shape.pages()));
        }
        self.plan.clear();
    }

    /// A step alone. A short one waits for its touch, which the policy is to hear of: to be mapped unseen
    /// would also make it a page that was shown once. Long ones would not all find room to wait.
    fn queue_step(&mut self, range: PageRange) {
        let is_short = self.shape.page_size.len_of(range.count()).0 < PIECE_BYTES;
        let arrival = if is_short { Arrival::Park } else { Arrival::Map };
        let piece = self.shape.page_size.pages_for(ByteLen(PIECE_BYTES));
        let room = AHEAD_MAX.saturating_sub(self.ahead.len());
        self.ahead.extend(range.pieces(piece).take(room).map(|part| Ahead::Small(part, arrival)));
    }

    /// An explicit prefetch: as much of it as fits beside what is being read.
    pub(super) fn prefetch(&mut self, ranges: &[PageRange]) {
        let frames = self.frames.count().saturating_sub(2).max(1) as u64;
        let mut left = frames * self.shape.pages_per_slot().0;
        for &range in ranges {
            let range = range.intersect(self.shape.pages());
            let range = PageRange::at(range.start, range.count().min(PageCount(left)));
            left -= range.count().0;
            self.queue(range, &[]);
        }
    }

    fn queue(&mut self, range: PageRange, triggers: &[PageIndex]) {
        let arrival = |part: PageRange| {
            let parks = triggers.iter().any(|&trigger| part.contains(trigger));
            if parks { Arrival::Park } else { Arrival::Map }
        };
        let piece = self.shape.page_size.pages_for(ByteLen(PIECE_BYTES));
        for part in range.pieces(self.shape.pages_per_slot()) {
            let slot = self.shape.slot_of(part.start);
            let whole = self.shape.pages_of(slot);
            // A run that comes from the slot before and fills half of this one will fill it all.
            let comes_from_before = range.start < whole.start;
            let is_filled = part == whole
                || (comes_from_before && part.count().0 * 2 >= whole.count().0)
                || matches!(self.slots.get(&slot), Some(Slot::Large(_)));
            if self.ahead.len() >= AHEAD_MAX {
                return;
            }
            if is_filled && self.uffd.has_move() {
                self.ahead.push_back(Ahead::Large(slot, arrival(part)));
            } else {
                let pieces = part.pieces(piece).map(|part| Ahead::Small(part, arrival(part)));
                self.ahead.extend(pieces);
            }
        }
    }

    /// Starts what is stalled, then what is planned, as far as there is room.
    pub(super) fn pump(&mut self) {
        for _ in 0..self.stalled.len() {
            let Some(page) = self.stalled.pop_front() else { break };
            self.serve(page);
        }
        while let Some(&next) = self.ahead.front() {
            let is_crowded = self.disk.room() <= RESERVE || !self.stalled.is_empty();
            if is_crowded || !self.start_ahead(next) {
                break;
            }
        }
    }

    /// False when it has to wait for room.
    fn start_ahead(&mut self, ahead: Ahead) -> bool {
        match ahead {
            Ahead::Large(slot, arrival) => match self.slots.get(&slot) {
                Some(Slot::Large(_)) => {}
                None if !self.is_added_to(slot) => {
                    if !self.start_large(slot, Vec::new(), arrival, Need::Ahead) {
                        return false;
                    }
                }
                Some(Slot::Small(_)) | None => {
                    // It is small until it is empty: piece by piece then.
                    self.ahead.pop_front();
                    let piece = self.shape.page_size.pages_for(ByteLen(PIECE_BYTES));
                    let pieces: Vec<_> = self.shape.pages_of(slot).pieces(piece).collect();
                    for part in pieces.into_iter().rev() {
                        self.ahead.push_front(Ahead::Small(part, Arrival::Map));
                    }
                    return true;
                }
            },
            Ahead::Small(range, arrival) => {
                if !self.start_pieces(range, arrival) {
                    return false;
                }
            }
        }
        self.ahead.pop_front();
        true
    }

    fn start_pieces(&mut self, range: PageRange, arrival: Arrival) -> bool {
        let slot = self.shape.slot_of(range.start);
        if !self.slots.contains_key(&slot) {
            // What lies around a step is not read with it, nor by who touches it too early.
            let piece = self.shape.page_size.pages_for(ByteLen(PIECE_BYTES));
            let unit = if arrival == Arrival::Park { self.unit } else { piece };
            self.begin_small(slot, unit);
        }
        let mut at = range.start;
        while at < range.end {
            let Some(Slot::Small(small)) = self.slots.get(&slot) else { return true };
            let page = self.shape.within(slot, PageRange::at(at, PageCount(1))).start;
            let is_there = small.mapped.contains(page)
                || small.reading.contains(page)
                || self.held.find(at).is_some();
            if is_there {
                at = at.plus(PageCount(1));
                continue;
            }
            let run = self.missing_around(slot, PageRange::new(at, range.end), at);
            if self.staging.len() <= RESERVE || !self.start_small(slot, run, arrival, Need::Ahead) {
                self.forget_if_empty(slot);
                return false;
            }
            at = run.end;
        }
        self.forget_if_empty(slot);
        true
    }
}

/// Neighbouring ranges made one.
fn merge(ranges: &[PageRange]) -> Vec<PageRange> {
    let mut merged: Vec<PageRange> = Vec::new();
    for &range in ranges {
        match merged.last_mut() {
            Some(last) if (last.start..=last.end).contains(&range.start) => {
                last.end = last.end.max(range.end);
            }
            _ => merged.push(range),
        }
    }
    merged
}
