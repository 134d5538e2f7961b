//! What is read before anybody waits for it: in the order in which there comes to be room. The engine's
//! `paged/ahead.rs`, whose constants these are.

use mmap_ahead::page::{PageCount, PageIndex, PageRange};

use super::slots::{Arrival, SLOT_PAGES, Slot, Small, slot_of};
use super::{Need, PIECE, QUEUE_DEPTH, Service};
use crate::run::world::World;

/// Reads that are kept free for readers that wait.
const RESERVE: usize = 8;
/// Fetches that wait for room.
const AHEAD_MAX: usize = 1024;

/// A fetch that nobody waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ahead {
    Large(u64, Arrival),
    Small(PageRange, Arrival),
}

impl Service {
    /// Whether the plan goes from `page` through its slot: then a whole frame is worth it.
    pub(super) fn runs_through(&self, page: PageIndex) -> bool {
        let pages = self.pages_of(slot_of(page));
        let rest = PageRange::new(page.plus(PageCount(1)), pages.end);
        let is_early = page.since(pages.start).0 <= pages.count().0 / 2;
        let covers = |range: &PageRange| range.start <= rest.start && rest.end <= range.end;
        is_early && !rest.is_empty() && merge(self.plan.reads()).iter().any(covers)
    }

    /// Queues what the policy planned: whole frames where a run fills them, pieces where not.
    pub(super) fn queue_plan(&mut self) {
        let all = PageRange::at(PageIndex(0), self.pages);
        let mut ranges: Vec<_> = self.plan.reads().to_vec();
        ranges.extend(self.plan.windows().iter().map(|window| window.range));
        ranges.sort_unstable_by_key(|range| range.start);
        let triggers: Vec<_> = self.plan.windows().iter().filter_map(|w| w.trigger).collect();
        for range in merge(&ranges) {
            self.queue(range.intersect(all), &triggers);
        }
        let steps: Vec<_> = self.plan.steps().iter().map(|step| step.range).collect();
        for range in steps {
            // A short one waits for its touch, which the policy is to hear of.
            let range = range.intersect(all);
            let arrival = if range.count() < PIECE { Arrival::Park } else { Arrival::Map };
            let room = AHEAD_MAX.saturating_sub(self.ahead.len());
            let parts = pieces(range).take(room);
            self.ahead.extend(parts.map(|part| Ahead::Small(part, arrival)));
        }
        self.plan.clear();
    }

    fn queue(&mut self, range: PageRange, triggers: &[PageIndex]) {
        let arrival = |part: PageRange| {
            let parks = triggers.iter().any(|trigger| part.contains(*trigger));
            if parks { Arrival::Park } else { Arrival::Map }
        };
        for part in range.pieces(SLOT_PAGES) {
            let slot = slot_of(part.start);
            let whole = self.pages_of(slot);
            // A run that comes from the slot before and fills half of this one will fill it all.
            let is_filled = part == whole
                || (range.start < whole.start && part.count().0 * 2 >= whole.count().0)
                || matches!(self.slots.get(&slot), Some(Slot::Large { .. }));
            if self.ahead.len() >= AHEAD_MAX {
                return;
            }
            if is_filled {
                self.ahead.push_back(Ahead::Large(slot, arrival(part)));
            } else {
                self.ahead.extend(pieces(part).map(|part| Ahead::Small(part, arrival(part))));
            }
        }
    }

    /// Starts what is stalled, then what is planned, as far as there is room.
    pub(super) fn pump(&mut self, world: &mut World<'_>) {
        for _ in 0..self.stalled.len() {
            let Some(page) = self.stalled.pop_front() else { break };
            self.serve(page, world);
        }
        while let Some(&next) = self.ahead.front() {
            let is_crowded = self.flights.len() + RESERVE >= QUEUE_DEPTH;
            if is_crowded || !self.stalled.is_empty() || !self.start_ahead(next, world) {
                break;
            }
        }
    }

    /// False when it has to wait for room.
    fn start_ahead(&mut self, ahead: Ahead, world: &mut World<'_>) -> bool {
        match ahead {
            Ahead::Large(slot, arrival) => match self.slots.get(&slot) {
                None => {
                    if !self.start_large(slot, false, arrival, Need::Ahead, world) {
                        return false;
                    }
                }
                Some(Slot::Large { .. }) => {}
                Some(Slot::Small(_)) => {
                    // It is small until it is empty: piece by piece then.
                    self.ahead.pop_front();
                    let parts: Vec<_> = pieces(self.pages_of(slot)).collect();
                    let parts = parts.into_iter().rev();
                    parts.for_each(|part| self.ahead.push_front(Ahead::Small(part, Arrival::Map)));
                    return true;
                }
            },
            Ahead::Small(range, arrival) => {
                if !self.start_pieces(range, arrival, world) {
                    return false;
                }
            }
        }
        self.ahead.pop_front();
        true
    }

    fn start_pieces(&mut self, range: PageRange, arrival: Arrival, world: &mut World<'_>) -> bool {
        let slot = slot_of(range.start);
        self.slots.entry(slot).or_insert_with(|| Slot::Small(Small::new()));
        let mut has_room = true;
        let mut left = range;
        while has_room {
            let run = self.missing(left);
            if run.is_empty() {
                break;
            }
            has_room = self.start_small(run, arrival, Need::Ahead, world);
            left = PageRange::new(run.end, range.end);
        }
        self.forget_if_empty(slot);
        has_room
    }
}

fn pieces(range: PageRange) -> impl Iterator<Item = PageRange> {
    range.pieces(PIECE)
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
