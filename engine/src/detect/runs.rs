//! Forward runs: several readers that each walk up through the file, interleaved in any order.

use super::lru::Lru;
use super::windows::Windows;
use crate::page::{PageCount, PageIndex, PageRange};

/// How many runs are remembered at once: 64, and some room for what may become one.
pub(crate) const RUNS_MAX: usize = 80;

/// A touch further behind a run's reader than this is no straggler of it: somebody reads there again.
/// 2 MiB, the largest window, in pages of 4 KiB.
const BEHIND_PAGES: PageCount = PageCount(512);

/// A run that was quiet for this many touches of others is abandoned.
const LIVE_TOUCHES: u64 = 4 * RUNS_MAX as u64;

/// A run counts once it has gone on so often.
const ADVANCES_PROVEN: u32 = 2;

/// One reader's forward run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    /// The first page of the run.
    pub(crate) start: PageIndex,
    /// The page after the last one that was touched: where the reader is.
    pub(crate) next: PageIndex,
    /// Up to where pages are fetched: a touch below it is this reader's.
    pub(crate) reach: PageIndex,
    /// How often the reader was seen to go on.
    pub(crate) advances: u32,
    used: u64,
}

impl Run {
    /// Whether a reader goes on here, page after page, and not just once.
    pub(crate) fn is_proven(&self) -> bool {
        self.advances >= ADVANCES_PROVEN
    }
}

/// What a touch meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The run in this slot went on by so many pages.
    Advanced { slot: usize, by: PageCount },
    /// Pages that the run in this slot had passed already.
    Behind(usize),
}

/// The runs that are alive. Allocates nothing.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    slots: [Run; RUNS_MAX],
    /// Where a touch must begin to be one of the run in the same slot.
    claims: Windows<RUNS_MAX>,
    /// The slots of the runs that are proven, and all others: a stray takes no room from a run.
    proven: Lru<RUNS_MAX>,
    on_trial: Lru<RUNS_MAX>,
    tally: Tally,
    clock: u64,
    slack: PageCount,
}

/// What is ahead of all live readers, and how many there are: kept up with each change, and counted anew
/// now and then, since a run that is abandoned claims nothing any more.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    ahead: u64,
    live: u64,
    counted_at: u64,
}

impl Runs {
    /// No runs yet. `slack` is how far a touch may miss the expected page: the fault-around.
    pub(crate) fn new(slack: PageCount) -> Runs {
        Runs {
            slots: [Run::default(); RUNS_MAX],
            claims: Windows::new(),
            proven: Lru::empty(),
            on_trial: Lru::full(),
            tally: Tally::default(),
            clock: 0,
            slack,
        }
    }

    /// The run that `touched` belongs to goes on, if there is one.
    pub(crate) fn claim(&mut self, touched: PageRange) -> Option<Seen> {
        let slot = self.owner(touched)?;
        self.tick();
        let run = self.slots[slot];
        if touched.end <= run.next {
            return Some(Seen::Behind(slot));
        }
        let by = touched.end.since(run.next);
        let advances = run.advances.saturating_add(1);
        let advanced = Run { next: touched.end, advances, used: self.clock, ..run };
        self.lru_of(&run).take_out(slot);
        self.lru_of(&advanced).put_newest(slot);
        self.put(slot, advanced);
        Some(Seen::Advanced { slot, by })
    }

    /// A run begins with `touched`; the answer is its slot.
    pub(crate) fn begin(&mut self, touched: PageRange) -> usize {
        self.tick();
        let slot = self.make_room();
        let run = Run {
            start: touched.start,
            next: touched.end,
            reach: touched.end,
            advances: 0,
            used: self.clock,
        };
        self.put(slot, run);
        slot
    }

    /// The slot of a run that is abandoned, or else of the quietest on trial: it is on trial anew.
    fn make_room(&mut self) -> usize {
        let proven = self.proven.oldest();
        let is_abandoned = |&slot: &usize| self.clock >= self.slots[slot].used + LIVE_TOUCHES;
        let slot = proven.filter(is_abandoned).or(self.on_trial.oldest()).or(proven).unwrap_or(0);
        let run = self.slots[slot];
        self.lru_of(&run).take_out(slot);
        self.on_trial.put_newest(slot);
        slot
    }

    fn lru_of(&mut self, run: &Run) -> &mut Lru<RUNS_MAX> {
        if run.is_proven() { &mut self.proven } else { &mut self.on_trial }
    }

    pub(crate) fn run(&self, slot: usize) -> &Run {
        &self.slots[slot]
    }

    /// How many pages the run that began at `page` has come, if one did.
    pub(crate) fn len_from(&self, page: PageIndex) -> PageCount {
        let mut runs = self.slots.iter().filter(|run| run.used > 0 && run.start == page);
        runs.next().map_or(PageCount(0), |run| run.next.since(run.start))
    }

    /// Says that pages up to `reach` are fetched for the run in `slot`.
    pub(crate) fn reached(&mut self, slot: usize, reach: PageIndex) {
        let run = self.slots[slot];
        self.put(slot, Run { reach: run.reach.max(reach), ..run });
    }

    /// The pages fetched ahead of all live readers, and not touched yet.
    pub(crate) fn ahead(&self) -> PageCount {
        PageCount(self.tally.ahead)
    }

    /// The same, but for the reader of the run in `slot`.
    pub(crate) fn ahead_of_others(&self, slot: usize) -> PageCount {
        PageCount(self.tally.ahead - self.counts(&self.slots[slot]))
    }

    /// How many readers are alive and read ahead of.
    pub(crate) fn live(&self) -> u64 {
        self.tally.live
    }

    /// How many other readers are alive and read ahead of.
    pub(crate) fn live_others(&self, slot: usize) -> u64 {
        self.tally.live - u64::from(self.counts(&self.slots[slot]) > 0)
    }

    /// Puts `run` into `slot` and keeps up what is derived from the slots.
    fn put(&mut self, slot: usize, run: Run) {
        let before = self.counts(&self.slots[slot]);
        self.slots[slot] = run;
        let now = self.counts(&run);
        self.tally.ahead = self.tally.ahead - before + now;
        self.tally.live = self.tally.live - u64::from(before > 0) + u64::from(now > 0);
        // A run that is none yet skips no whole block: whoever does may take strides. Of a block that one
        // fault maps only one page may be known.
        let unproven = PageCount(self.slack.0.saturating_sub(1));
        let slack = if run.is_proven() { self.slack } else { unproven };
        let back = run.start.max(run.next.minus(BEHIND_PAGES));
        self.claims.set(slot, back, run.reach.max(run.next).plus(slack));
    }

    /// One touch more: every so often the runs that went quiet are left out of the tally.
    fn tick(&mut self) {
        self.clock += 1;
        if self.clock - self.tally.counted_at >= LIVE_TOUCHES / 2 {
            self.tally.counted_at = self.clock;
            let counts = self.slots.map(|run| self.counts(&run));
            self.tally.ahead = counts.iter().sum();
            self.tally.live = counts.iter().filter(|&&pages| pages > 0).count() as u64;
        }
    }

    /// The pages that are ahead of a reader that went on lately, as of the last count.
    fn counts(&self, run: &Run) -> u64 {
        let is_live = run.used > 0 && self.tally.counted_at < run.used + LIVE_TOUCHES;
        if is_live { run.reach.since(run.next).0 } else { 0 }
    }

    /// The live run whose next page is nearest to the touch, if any can claim it.
    fn owner(&self, touched: PageRange) -> Option<usize> {
        let claims = self.claims.touching(touched.start, touched.start);
        claims.min_by_key(|&slot| self.slots[slot].next.0.abs_diff(touched.start.0))
    }
}

#[cfg(test)]
mod tests;
