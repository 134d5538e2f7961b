//! Runs that go down through the file: the detector of forward runs in a mirror.

use super::claim::Claim;
use super::course::{self, Course};
use super::share::Share;
use super::tempo::Latency;
use super::{Event, Geometry, Outcome, Plan, StreamId};
use crate::detect::{RUNS_MAX, Runs, Seen};
use crate::page::{Nanos, PageCount, PageIndex, PageRange};

/// What is read ahead of one reader at most: 16 MiB, what a disk of 2 GB/s brings in 8 ms.
const AHEAD_BYTES_MAX: u64 = 16 << 20;
const AHEAD_BYTES_MIN: u64 = 256 << 10;
/// The least that is watched and read as one step: what one fault of the reader maps.
const STEP_BYTES: u64 = 64 << 10;
/// What is read in one go of a run that is long enough: what may become one folio.
const BLOCK_BYTES: u64 = 2 << 20;

#[derive(Clone, Copy, Debug, Default)]
struct Ahead {
    id: u64,
    /// Up to where steps are planned, in the mirror.
    planned: PageIndex,
    course: Course,
}

/// The backward runs of a policy. Their pages are read in steps and left to the reader to map.
#[derive(Clone, Debug)]
pub(super) struct Backward {
    geometry: Geometry,
    step: PageCount,
    runs: Runs,
    ahead: [Ahead; RUNS_MAX],
    ids: u64,
    latency: Latency,
    share: Share,
}

impl Backward {
    /// Ids of its streams are even, where those of strides are odd: both may be parts of one policy.
    pub(super) fn new(geometry: Geometry) -> Backward {
        Backward {
            geometry,
            step: geometry.pages_of(STEP_BYTES).max(geometry.fault_around),
            runs: Runs::new(geometry.fault_around),
            ahead: [Ahead::default(); RUNS_MAX],
            ids: 0,
            latency: Latency::new(),
            share: Share::of(geometry.budget),
        }
    }

    /// Takes in what is no touch.
    pub(super) fn hear(&mut self, event: &Event<'_>) {
        if let Some((range, outcome)) = course::hear(event, &mut self.latency) {
            self.fetched(range, outcome);
        }
    }

    /// Whether `touched` belongs to a backward run.
    pub(super) fn claim(&mut self, touched: PageRange, at: Nanos) -> Claim {
        match self.runs.claim(self.mirror(touched)) {
            None => Claim::No,
            Some(Seen::Behind(_)) => Claim::Quiet,
            Some(Seen::Advanced { slot, by }) => {
                let rests = self.ahead[slot].course.went(by.0, by.0.div_ceil(self.step.0), at);
                let is_run = self.runs.run(slot).is_proven();
                if is_run && !rests { Claim::Plan(slot) } else { Claim::Quiet }
            }
        }
    }

    /// The pages ahead of all live readers, planned and not touched yet.
    pub(super) fn ahead(&self) -> PageCount {
        self.runs.ahead()
    }

    /// Memory is short, or is not any more.
    pub(super) fn allow(&mut self, budget: PageCount) {
        self.share.allow(budget);
    }

    /// The readers that are alive and read ahead of.
    pub(super) fn live(&self) -> u64 {
        self.runs.live()
    }

    /// A run may begin with `touched`.
    pub(super) fn begin(&mut self, touched: PageRange, at: Nanos) {
        let mirrored = self.mirror(touched);
        let slot = self.runs.begin(mirrored);
        self.ids += 2;
        let (id, planned) = (self.ids, mirrored.end);
        self.ahead[slot] = Ahead { id, planned, course: Course::begun(at) };
    }

    /// Plans ahead of the run in `slot`, beside what is ahead of streams of other kinds.
    pub(super) fn plan_ahead(&mut self, slot: usize, elsewhere: PageCount, plan: &mut Plan) {
        let run = *self.runs.run(slot);
        let ahead = self.ahead[slot];
        let from = ahead.planned.max(run.next);
        let to = run.next.plus(self.distance(slot, elsewhere));
        let whole = self.mirror(PageRange::new(from, to));
        // Whole steps, so that the next plan begins with one; less than one at the file's start only.
        let block = self.geometry.pages_of(BLOCK_BYTES);
        let unit = if to.since(run.next).0 < 2 * block.0 { self.step } else { block };
        let start = PageIndex(whole.start.0.next_multiple_of(unit.0));
        let start = if whole.start == PageIndex(0) { whole.start } else { start };
        let range = PageRange::new(start.min(whole.end), whole.end);
        if range.is_empty() {
            return;
        }
        let furthest = downwards(range, self.step).last().filter(|_| ahead.course.is_trying());
        let steps = downwards(furthest.unwrap_or(range), self.step);
        steps.for_each(|step| plan.step(StreamId(ahead.id), step));
        let reach = self.mirror(range).end;
        self.ahead[slot].planned = reach;
        self.runs.reached(slot, reach);
    }

    fn distance(&self, slot: usize, elsewhere: PageCount) -> PageCount {
        let run = self.runs.run(slot);
        let twice = PageCount(run.next.since(run.start).0 * 2);
        let others = PageCount(self.runs.ahead_of_others(slot).0 + elsewhere.0);
        let room = self.share.room(1 + self.runs.live_others(slot), others);
        let wanted = self.ahead[slot]
            .course
            .units_until(&self.latency)
            .map_or(u64::MAX, |pages| pages.saturating_mul(2));
        let (least, most) =
            (self.geometry.pages_of(AHEAD_BYTES_MIN), self.geometry.pages_of(AHEAD_BYTES_MAX));
        let wanted = PageCount(wanted).clamp(least, most);
        wanted.min(twice).min(room)
    }

    fn fetched(&mut self, range: PageRange, outcome: Outcome) {
        let mirrored = self.mirror(range);
        let owner = (0..RUNS_MAX).find(|&slot| {
            let run = self.runs.run(slot);
            run.next <= mirrored.start && mirrored.end <= self.ahead[slot].planned
        });
        if let Some(slot) = owner {
            self.ahead[slot].course.fetched(outcome);
        }
    }

    /// There and back again.
    fn mirror(&self, range: PageRange) -> PageRange {
        let end = self.geometry.pages.0;
        let other = |page: PageIndex| PageIndex(end.saturating_sub(page.0));
        PageRange::new(other(range.end), other(range.start))
    }
}

/// The pieces of `range` that begin at multiples of `step`, the last one first.
fn downwards(range: PageRange, step: PageCount) -> impl Iterator<Item = PageRange> {
    let mut end = range.end;
    std::iter::from_fn(move || {
        let last = end.minus(PageCount(1));
        let start = last.minus(PageCount(last.0 % step.0)).max(range.start);
        let piece = PageRange::new(start, std::mem::replace(&mut end, start));
        (!piece.is_empty()).then_some(piece)
    })
}
