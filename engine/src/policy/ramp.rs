use super::claim::Claim;
use super::share::Share;
use super::squeeze::Squeeze;
use super::tempo::Tempo;
use super::{Event, Fetch, Geometry, Plan, Policy};
use crate::detect::{RUNS_MAX, Runs, Seen};
use crate::page::{Nanos, PageCount, PageIndex, PageRange};

/// The first window: 128 KiB, the kernel's usual read-ahead.
const WINDOW_BYTES_FIRST: u64 = 128 << 10;
/// The largest window: 2 MiB, the reach of one page-table page.
const WINDOW_BYTES_MAX: u64 = 2 << 20;
/// Windows that are read and mapped ahead of the reader: 32 MiB, half the default budget. Measured with
/// 4, 8 and 16 of them: warm tmpfs 1.92, 1.97 and 2.09 times plain mmap; a cold disk (2 to 3 GB/s)
/// is busy with 16 MiB, and twice that rides out its pauses and ours.
const WINDOWS_AHEAD: u64 = 16;
/// The same by the reader's own pace, where that is followed: so long before it comes, beside the
/// time that the device needs. Whoever reads at 0.5 GB/s has the 32 MiB above; who reads slowly has
/// less.
const LEAD_NANOS: u64 = 64_000_000;
/// Who has read more than this in one go by the first look is a run: eight faults.
const RUN_BYTES: u64 = 512 << 10;
/// What is read ahead at once of a reader that begins at the beginning: 2 MiB.
const AHEAD_BYTES_FIRST: u64 = 2 << 20;

/// Doubles like the kernel's read-ahead: a run that goes on gets windows of 128 KiB, 256 KiB, up to
/// 2 MiB, each with a trigger on its first page (the async threshold), so that the next window is
/// asked for when the reader enters this one.
///
/// It is never read further ahead than the run is long, twice over, or 2 MiB where it began at the
/// start of the mapping: a short run wastes no more than it used.
///
/// A run counts when it has gone on twice, or is seen half a MiB long; up to 64 runs at once. A single reader gets half the budget ahead of it, several share it.
#[derive(Clone, Debug)]
pub struct Ramp {
    geometry: Geometry,
    runs: Runs,
    /// What is planned for the run in the same slot.
    ahead: [Ahead; RUNS_MAX],
    share: Share,
    squeeze: Squeeze,
    /// How long before its reader a page is wanted; without it the distance is the same for all.
    lead: Option<Nanos>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ahead {
    window: PageCount,
    /// Up to where windows and reads are planned.
    mapped: PageIndex,
    read: PageIndex,
    /// Up to where windows were carried out.
    done: PageIndex,
    /// Where the first window lies that the reader has not been at: it is overtaken no sooner.
    met_at: PageIndex,
    tempo: Tempo,
}

impl Ramp {
    /// A ramp for a mapping of this shape.
    #[must_use]
    pub fn new(geometry: Geometry) -> Ramp {
        Ramp {
            geometry,
            runs: Runs::new(geometry.fault_around),
            ahead: [Ahead::default(); RUNS_MAX],
            share: Share::of(geometry.budget),
            squeeze: Squeeze::new(geometry.budget),
            lead: None,
        }
    }

    /// From now on the reader's pace decides how far ahead is far enough, and the device, which is
    /// to be asked `latency` before.
    pub(super) fn follow_pace(&mut self, latency: Nanos) {
        self.lead = Some(Nanos(LEAD_NANOS.saturating_add(latency.0)));
    }

    fn touched(&mut self, pages: PageRange, at: Nanos, plan: &mut Plan) {
        let claim = match self.claim(pages, at) {
            Claim::No => self.begin(pages, at),
            claim => claim,
        };
        if let Claim::Plan(slot) = claim {
            self.plan_ahead(slot, PageCount(0), plan);
        }
    }

    /// Whether `pages` belong to a run.
    pub(super) fn claim(&mut self, pages: PageRange, at: Nanos) -> Claim {
        match self.runs.claim(pages) {
            None => Claim::No,
            Some(Seen::Behind(_)) => Claim::Quiet,
            Some(Seen::Advanced { slot, by }) => {
                let window_max = self.geometry.pages_of(WINDOW_BYTES_MAX);
                let ahead = &mut self.ahead[slot];
                ahead.window = PageCount(ahead.window.0 * 2).min(window_max);
                ahead.tempo.went(by.0, at);
                self.plan_if_run(slot)
            }
        }
    }

    /// A run may begin with `pages`.
    pub(super) fn begin(&mut self, pages: PageRange, at: Nanos) -> Claim {
        let slot = self.runs.begin(pages);
        let window = self.geometry.pages_of(WINDOW_BYTES_FIRST);
        let next = pages.end;
        let mut tempo = Tempo::default();
        tempo.went(0, at);
        self.ahead[slot] =
            Ahead { window, mapped: next, read: next, done: next, met_at: next, tempo };
        self.plan_if_run(slot)
    }

    fn plan_if_run(&self, slot: usize) -> Claim {
        if self.is_run(slot) { Claim::Plan(slot) } else { Claim::Quiet }
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

    /// A run counts when it has gone on twice, or has come this far when it is first seen. One touch,
    /// of the first page of a file too, may be the first step of a stride.
    fn is_run(&self, slot: usize) -> bool {
        let run = self.runs.run(slot);
        let far = self.geometry.pages_of(RUN_BYTES).max(self.geometry.fault_around);
        run.is_proven() || run.next.since(run.start) > far
    }

    /// Takes in what is no touch.
    pub(super) fn hear(&mut self, event: &Event<'_>) {
        match *event {
            Event::Fetched { what: Fetch::Window, range, .. } => self.carried_out(range),
            Event::Evicted { range } => self.evicted(range),
            _ => {}
        }
    }

    /// How many pages were read in one go from `page` on, as far as is known.
    pub(super) fn run_from(&self, page: PageIndex) -> PageCount {
        self.runs.len_from(page)
    }

    /// How far ahead a run of this length may be read.
    fn trust(&self, slot: usize) -> PageCount {
        let run = self.runs.run(slot);
        let twice = PageCount(run.next.since(run.start).0 * 2);
        if run.start == PageIndex(0) {
            twice.max(self.geometry.pages_of(AHEAD_BYTES_FIRST))
        } else {
            twice
        }
    }

    /// How many pages the reader may come to within the lead; at least what a run begins with.
    fn soon_wanted(&self, slot: usize) -> PageCount {
        let pages = self.lead.and_then(|lead| self.ahead[slot].tempo.units_in(lead));
        let least = self.geometry.pages_of(AHEAD_BYTES_FIRST);
        pages.map_or(PageCount(u64::MAX), |pages| PageCount(pages).max(least))
    }

    /// A window was carried out: remembered for the run that it was planned for.
    fn carried_out(&mut self, range: PageRange) {
        for (slot, ahead) in self.ahead.iter_mut().enumerate() {
            let run = self.runs.run(slot);
            if run.start <= range.start && range.end <= ahead.mapped && ahead.done < range.end {
                ahead.done = range.end;
            }
        }
    }

    /// Pages ahead of a reader are gone: they are planned again when it goes on.
    fn evicted(&mut self, range: PageRange) {
        for (slot, ahead) in self.ahead.iter_mut().enumerate() {
            let run = self.runs.run(slot);
            if run.next <= range.start && range.start < ahead.read.max(ahead.mapped) {
                ahead.read = ahead.read.min(range.start);
                ahead.mapped = ahead.mapped.min(range.start);
                ahead.done = ahead.done.min(range.start);
            }
        }
    }

    /// Plans from what is planned already up to the distance. A reader that has reached the end of
    /// what was carried out is faster than a window can be mapped under its feet: it is left a
    /// window to itself, and met behind it. `elsewhere` is ahead of streams of other kinds.
    pub(super) fn plan_ahead(&mut self, slot: usize, elsewhere: PageCount, plan: &mut Plan) {
        let next = self.runs.run(slot).next;
        let others = PageCount(self.runs.ahead_of_others(slot).0 + elsewhere.0);
        let room = self.share.room(1 + self.runs.live_others(slot), others);
        let end = PageIndex(self.geometry.pages.0);
        let Ahead { mapped, read, done, met_at, .. } = self.ahead[slot];
        let room = room.min(self.trust(slot)).min(self.soon_wanted(slot));
        let window = self.ahead[slot].window.min(PageCount(1 << room.0.max(1).ilog2()));
        let far = next.plus(PageCount(window.0 * WINDOWS_AHEAD).min(room));
        let to = if far >= end { end } else { whole_windows(next, far, window) };
        let is_overtaken = done.max(met_at) <= next && self.runs.run(slot).advances > 0;
        let lead = if is_overtaken { next.plus(window) } else { next };
        plan.overtaken(PageRange::new(next, lead));
        let map_from = mapped.max(lead);
        for piece in PageRange::new(read.max(next), to).pieces(window) {
            plan.read(piece);
        }
        for piece in PageRange::new(map_from, to).pieces(window) {
            plan.window(piece, Some(piece.start));
        }
        let ahead = &mut self.ahead[slot];
        ahead.read = read.max(to);
        if is_overtaken {
            ahead.met_at = lead;
        }
        ahead.mapped = map_from.max(to).min(end);
        self.runs.reached(slot, ahead.read.max(ahead.mapped));
    }
}

/// `far` moved back to where a window ends, so that the next plan begins with a whole one; but a
/// short window is better than none.
fn whole_windows(next: PageIndex, far: PageIndex, window: PageCount) -> PageIndex {
    let whole = PageIndex(far.0 - far.0 % window.0.max(1));
    if whole > next { whole } else { far }
}

impl Policy for Ramp {
    fn name(&self) -> &'static str {
        "ramp"
    }

    fn on(&mut self, event: &Event<'_>, plan: &mut Plan) {
        if let Some(budget) = self.squeeze.hear(event) {
            self.allow(budget);
        }
        match *event {
            Event::Touch { page, at, .. } => {
                self.touched(self.geometry.around(page), at, plan);
            }
            Event::Touched { pages, at } => {
                for &range in pages.iter().filter(|_| !is_scattered(pages)) {
                    self.touched(range, at, plan);
                }
            }
            _ => self.hear(event),
        }
    }

    fn streams(&self) -> u64 {
        self.live()
    }
}

/// More places at once than readers that can be told apart: nobody runs there.
pub(super) fn is_scattered(touched: &[PageRange]) -> bool {
    touched.len() > RUNS_MAX
}

#[cfg(test)]
#[path = "ramp/tests.rs"]
mod tests;
