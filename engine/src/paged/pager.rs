//! What is under the reader, what is on its way there, and what comes next: the state of one
//! `Paged`, driven by its service thread.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::ahead::Ahead;
use super::asks::{Answer, AskIndex};
use super::desk::Desk;
use super::disk::Disk;
use super::frames::Frames;
use super::held::Held;
use super::marks::Marks;
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
/// What a pager is made of.
pub(super) struct Parts {
    pub(super) uffd: Arc<Uffd>,
    pub(super) disk: Box<dyn Disk>,
    pub(super) proof: Arc<Proof>,
    pub(super) published: Option<Arc<Marks>>,
    pub(super) desk: Option<Arc<Desk>>,
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
    pub(super) proof: Arc<Proof>,
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
    pub(super) ahead: VecDeque<Ahead>,
    /// Pages that somebody waits for and that could not be read yet.
    pub(super) stalled: VecDeque<PageIndex>,
    /// Pages that were under a reader once; none where nobody asks.
    pub(super) published: Option<Arc<Marks>>,
    /// Slots that were small since they were last emptied as a whole.
    pub(super) was_small: HashSet<SlotIndex>,
    /// Pages that could not be read and show zeros for good.
    pub(super) zeroed: HashSet<PageIndex>,
    /// Pages that could not be read and are a SIGBUS.
    pub(super) lost: HashSet<PageIndex>,
    /// With threads that serve themselves: what they and this have in common, who of them waits, and
    /// how many pages they may add or have added without its being known.
    pub(super) desk: Option<Arc<Desk>>,
    pub(super) waiting: Vec<(AskIndex, PageIndex)>,
    pub(super) permitted: usize,
    pub(super) unit: PageCount,
    pub(super) counters: Arc<PagedCounters>,
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
            published: parts.published,
            was_small: HashSet::new(),
            zeroed: HashSet::new(),
            lost: HashSet::new(),
            desk: parts.desk,
            waiting: Vec::new(),
            permitted: 0,
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

    /// The pages of `unit` around `page` that are neither there nor on their way.
    pub(super) fn missing_around(
        &self,
        slot: SlotIndex,
        unit: PageRange,
        page: PageIndex,
    ) -> PageRange {
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

    /// Whether it should look again soon although nothing may tell it to.
    pub(super) fn is_stalled(&mut self) -> bool {
        !self.stalled.is_empty() || self.disk.has_backlog()
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
            // Who serves itself does not come here.
            0 if self.desk.is_some() => None,
            0 => Some(Watch::Fault),
            _ => Some(Watch::Read),
        }
    }

    pub(super) fn wake(&mut self, page: PageIndex) {
        self.answer(PageRange::at(page, PageCount(1)), Answer::Brought);
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
