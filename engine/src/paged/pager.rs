//! What is under the reader, what is on its way there, and what comes next: the state of one
//! `Paged`, driven by its service thread.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::disk::Disk;
use super::frames::Frames;
use super::held::Held;
use super::options::OnIoError;
use super::report::Report;
use super::slots::{Arrival, LargeState, Shape, Slot, SlotIndex, Slots, Small};
use super::stats::PagedCounters;
use super::{Proof, flight::Flights};
use crate::page::{PageCount, PageIndex, PageRange};
use crate::policy::{Event, Plan, Policy, Source};
use crate::runtime::now;
use crate::stats::Counters;
use crate::sys::{Cell, Uffd};

/// Pages that are read ahead come in pieces of this many bytes where no whole frame is read: what
/// one staging cell holds.
pub(super) const PIECE_BYTES: u64 = 64 << 10;
/// Reads and staging cells that are kept free for readers that wait.
const RESERVE: usize = 8;

/// Fetches that wait for room; who asks for more ahead than that is not heard: 1,024 pieces are
/// 64 MiB, as many frames 2 GiB.
const AHEAD_MAX: usize = 1024;

/// What a pager is made of.
pub(super) struct Parts {
    pub(super) uffd: Arc<Uffd>,
    pub(super) disk: Box<dyn Disk>,
    pub(super) proof: Proof,
    pub(super) report: Report,
    pub(super) shape: Shape,
    pub(super) frames: Frames,
    pub(super) staging: Vec<Cell>,
    pub(super) held: Held,
    pub(super) policy: Box<dyn Policy>,
    pub(super) unit: PageCount,
    pub(super) counters: Arc<PagedCounters>,
}

pub(super) struct Pager {
    pub(super) uffd: Arc<Uffd>,
    pub(super) disk: Box<dyn Disk>,
    pub(super) proof: Proof,
    pub(super) report: Report,
    pub(super) shape: Shape,
    pub(super) slots: Slots,
    pub(super) frames: Frames,
    /// Where small pages are read before they are copied under the reader.
    pub(super) staging: Vec<Cell>,
    pub(super) held: Held,
    /// What is under the reader, oldest first; entries whose stamp is old are void.
    pub(super) large_queue: VecDeque<(SlotIndex, u64)>,
    pub(super) small_queue: VecDeque<PageRange>,
    /// Frames taken back from behind the reader, oldest first.
    pub(super) spent: VecDeque<(SlotIndex, u64)>,
    pub(super) stamps: u64,
    pub(super) flights: Flights,
    /// Small reads in flight that somebody waits for.
    pub(super) urgent: usize,
    pub(super) is_small_lately: bool,
    pub(super) policy: Box<dyn Policy>,
    pub(super) plan: Plan,
    ahead: VecDeque<Ahead>,
    /// Pages that somebody waits for and that could not be read yet.
    stalled: VecDeque<PageIndex>,
    /// Pages that were under a reader once; empty where nobody asks.
    pub(super) published: Vec<u64>,
    /// Slots that were small since they were last emptied as a whole.
    pub(super) was_small: HashSet<SlotIndex>,
    /// Pages that could not be read and show zeros for good.
    pub(super) zeroed: HashSet<PageIndex>,
    pub(super) unit: PageCount,
    pub(super) counters: Arc<PagedCounters>,
}

/// A fetch that nobody waits for.
#[derive(Clone, Copy, Debug)]
enum Ahead {
    Large(SlotIndex, Arrival),
    Small(PageRange, Arrival),
}

/// What is about to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    /// The next fault of a reader that was just served.
    Fault,
    /// The end of a small read that a reader waits for.
    Read,
}

/// Whether a reader waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Demand,
    Ahead,
}

impl Pager {
    pub(super) fn new(parts: Parts) -> Pager {
        let Parts { uffd, disk, proof, report, shape, frames, staging, held, .. } = parts;
        let is_asked = matches!(proof, Proof::Lease(_)) || report.on_io_error() == OnIoError::Zero;
        let published = match is_asked {
            true => vec![0; shape.pages().count().0.div_ceil(64) as usize],
            false => Vec::new(),
        };
        Pager {
            uffd,
            disk,
            proof,
            report,
            shape,
            slots: Slots::new(),
            frames,
            staging,
            held,
            large_queue: VecDeque::new(),
            small_queue: VecDeque::new(),
            spent: VecDeque::new(),
            stamps: 0,
            flights: Flights::default(),
            urgent: 0,
            is_small_lately: false,
            policy: parts.policy,
            plan: Plan::new(),
            ahead: VecDeque::new(),
            stalled: VecDeque::new(),
            published,
            was_small: HashSet::new(),
            zeroed: HashSet::new(),
            unit: parts.unit,
            counters: parts.counters,
        }
    }

    /// Somebody waits at `offset`.
    pub(super) fn fault(&mut self, offset: usize) {
        if offset as u64 >= self.shape.len.next_multiple_of(self.shape.page_size.bytes()) {
            return;
        }
        let page = self.shape.page_size.index_of(offset as u64);
        Counters::add(&self.counters.faults, 1);
        if self.is_mapped(page) {
            // Another reader's fault was served meanwhile.
            return self.wake(page);
        }
        self.plan.clear();
        let touch = Event::Touch { page, at: now(), source: Source::Userfault };
        self.policy.on(&touch, &mut self.plan);
        self.is_small_lately =
            matches!(self.slots.get(&self.shape.slot_of(page)), None | Some(Slot::Small(_)));
        self.serve(page);
        self.queue_plan();
    }

    /// Has `page` brought, by whatever is quickest.
    pub(super) fn serve(&mut self, page: PageIndex) {
        let slot = self.shape.slot_of(page);
        // A frame holds the zeros already.
        let is_large = matches!(self.slots.get(&slot), Some(Slot::Large(_)));
        if !is_large && self.zeroed.contains(&page) {
            return self.show_zeros(page);
        }
        let is_run = self.runs_through(page) && self.held.find(page).is_none();
        match self.slots.get_mut(&slot) {
            Some(Slot::Large(large)) => match &mut large.state {
                LargeState::Reading { wanted, .. } => {
                    if !wanted.contains(&page) {
                        wanted.push(page);
                        Counters::add(&self.counters.late, 1);
                    }
                }
                LargeState::Parked | LargeState::Spent => self.map_frame(slot),
                LargeState::Mapped => self.wake(page),
            },
            Some(Slot::Small(_)) => self.serve_small(page),
            None if is_run => {
                if !self.start_large(slot, vec![page], Arrival::Map, Need::Demand) {
                    self.begin_small(slot, self.unit);
                    self.serve_small(page);
                }
            }
            None => {
                self.begin_small(slot, self.unit);
                self.serve_small(page);
            }
        }
    }

    fn serve_small(&mut self, page: PageIndex) {
        let slot = self.shape.slot_of(page);
        let at = self.shape.within(slot, PageRange::at(page, PageCount(1)));
        let Some(Slot::Small(small)) = self.slots.get_mut(&slot) else { return };
        if small.mapped.contains(at.start) {
            return self.wake(page);
        }
        small.wanted.set(at.clone());
        if small.reading.contains(at.start) {
            Counters::add(&self.counters.late, 1);
            return;
        }
        let unit = self.shape.unit_of(page, small.unit);
        if self.put_back(page) {
            return;
        }
        let run = self.missing_around(slot, unit, page);
        if !self.start_small(slot, run, Arrival::Map, Need::Demand) {
            self.stalled.push_back(page);
        }
    }

    pub(super) fn begin_small(&mut self, slot: SlotIndex, unit: PageCount) {
        self.was_small.insert(slot);
        self.slots.insert(slot, Slot::Small(Box::new(Small::new(unit))));
    }

    /// Whether the plan goes from `page` through its slot: then a whole frame is worth it.
    fn runs_through(&self, page: PageIndex) -> bool {
        let pages = self.shape.pages_of(self.shape.slot_of(page));
        let rest = PageRange::new(page.plus(PageCount(1)), pages.end);
        let is_early = page.since(pages.start).0 <= pages.count().0 / 2;
        let merged = merge(self.plan.reads());
        let covers = |range: &PageRange| range.start <= rest.start && rest.end <= range.end;
        is_early && !rest.is_empty() && merged.iter().any(covers)
    }

    /// The pages of `unit` around `page` that are neither there nor on their way.
    fn missing_around(&self, slot: SlotIndex, unit: PageRange, page: PageIndex) -> PageRange {
        let Some(Slot::Small(small)) = self.slots.get(&slot) else {
            return PageRange::at(page, PageCount(1));
        };
        let base = self.shape.pages_of(slot).start;
        let missing = |page: PageIndex| {
            let at = page.since(base).0;
            !small.mapped.contains(at) && !small.reading.contains(at)
        };
        let mut run = PageRange::at(page, PageCount(1));
        while run.start > unit.start && missing(run.start.minus(PageCount(1))) {
            run.start = run.start.minus(PageCount(1));
        }
        while run.end < unit.end && missing(run.end) {
            run.end = run.end.plus(PageCount(1));
        }
        run
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
        let piece = self.shape.page_size.pages_for(crate::page::ByteLen(PIECE_BYTES));
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

    /// Whether it should look again soon although nothing may tell it to.
    pub(super) fn is_stalled(&mut self) -> bool {
        !self.stalled.is_empty() || self.disk.has_backlog()
    }

    fn queue(&mut self, range: PageRange, triggers: &[PageIndex]) {
        let arrival = |part: PageRange| {
            let parks = triggers.iter().any(|&trigger| part.contains(trigger));
            if parks { Arrival::Park } else { Arrival::Map }
        };
        let piece = self.shape.page_size.pages_for(crate::page::ByteLen(PIECE_BYTES));
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
                Some(Slot::Small(_)) => {
                    // It is small until it is empty: piece by piece then.
                    self.ahead.pop_front();
                    let piece = self.shape.page_size.pages_for(crate::page::ByteLen(PIECE_BYTES));
                    let pieces: Vec<_> = self.shape.pages_of(slot).pieces(piece).collect();
                    for part in pieces.into_iter().rev() {
                        self.ahead.push_front(Ahead::Small(part, Arrival::Map));
                    }
                    return true;
                }
                None => {
                    if !self.start_large(slot, Vec::new(), arrival, Need::Ahead) {
                        return false;
                    }
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
            let piece = self.shape.page_size.pages_for(crate::page::ByteLen(PIECE_BYTES));
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

    pub(super) fn forget_if_empty(&mut self, slot: SlotIndex) {
        if matches!(self.slots.get(&slot), Some(Slot::Small(small)) if small.is_empty()) {
            self.slots.remove(&slot);
        }
    }

    pub(super) fn is_mapped(&self, page: PageIndex) -> bool {
        let slot = self.shape.slot_of(page);
        match self.slots.get(&slot) {
            Some(Slot::Large(large)) => matches!(large.state, LargeState::Mapped),
            Some(Slot::Small(small)) => {
                let at = self.shape.within(slot, PageRange::at(page, PageCount(1)));
                small.mapped.contains(at.start)
            }
            None => false,
        }
    }

    /// What is worth a moment of looking out for, if anything.
    pub(super) fn watch(&self) -> Option<Watch> {
        match self.urgent {
            _ if !self.is_small_lately => None,
            0 => Some(Watch::Fault),
            _ => Some(Watch::Read),
        }
    }

    pub(super) fn wake(&self, page: PageIndex) {
        let page_len = self.shape.page_size.bytes() as usize;
        if let Err(error) = self.uffd.wake(self.shape.offset(page) as usize, page_len) {
            self.report.give_up("UFFDIO_WAKE", &error);
        }
    }

    pub(super) fn next_stamp(&mut self) -> u64 {
        self.stamps += 1;
        self.stamps
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
