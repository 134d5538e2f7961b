//! Strides: steps of constant distance, of either sign, a page or a block read at each.
//!
//! A new stride is an arithmetic progression among the touches that nobody claimed lately, whatever
//! lies between them: other streams, strays, the order of a scan. That finds what the majority trend
//! of Leap (Al Maruf and Chowdhury, ATC 2020) finds, and streams that are interleaved besides.

use super::lru::Lru;
use super::progression::{Progression, Progressions};
use super::proven::Proven;
use super::stride::{Meant, Stride};
use super::windows::Windows;
use crate::page::{PageCount, PageIndex, PageRange};

/// Strides followed at once; the one that was quiet longest makes room. 64, and some room for those that
/// turn out to be none.
pub(crate) const STRIDES_MAX: usize = 80;
/// A stride with this score is believed after two touches when it goes on elsewhere.
const SCORE_PROVEN: i64 = 16;
/// A stride that was quiet for this many touches of others is abandoned.
const LIVE_TOUCHES: u64 = 4 * STRIDES_MAX as u64;

/// What a touch meant to a stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// The stride in this slot went on by so many steps.
    Advanced { slot: usize, by: u32 },
    /// It reads more of each step than was known, which was so many pages.
    Grew { slot: usize, from: PageCount },
    /// A step that it has passed.
    Behind(usize),
    /// A part of one of its latest steps.
    Inside(usize),
}

/// The strides that are alive. Allocates nothing after it is made.
#[derive(Clone, Debug)]
pub(crate) struct Strides {
    slots: [Stride; STRIDES_MAX],
    /// Where a touch may be one of the stride in the same slot.
    windows: Windows<STRIDES_MAX>,
    lru: Lru<STRIDES_MAX>,
    proven: Proven,
    tally: Tally,
    /// Half of it all by its size, in a box of its own: it is moved less.
    unclaimed: Box<Progressions>,
    clock: u64,
    looks: u64,
    /// Whether one was found to be none in this look.
    has_failed: bool,
}

/// The live strides and what is planned ahead of them: kept up with each change, and counted anew now
/// and then, since one that is abandoned claims nothing any more.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    ahead: u64,
    live: u64,
    counted_at: u64,
}

impl Strides {
    /// For a mapping of so many pages, of which one fault maps `block`.
    pub(crate) fn new(pages: PageCount, block: PageCount) -> Strides {
        Strides {
            slots: [Stride::default(); STRIDES_MAX],
            windows: Windows::new(),
            lru: Lru::full(),
            proven: Proven::new(),
            tally: Tally::default(),
            unclaimed: Box::new(Progressions::new(pages, block)),
            clock: 0,
            looks: 0,
            has_failed: false,
        }
    }

    pub(crate) fn stride(&self, slot: usize) -> &Stride {
        &self.slots[slot]
    }

    /// Says how many steps ahead are planned for the stride in `slot`.
    pub(crate) fn planned(&mut self, slot: usize, steps: u32) {
        self.put(slot, Stride { planned: steps, ..self.slots[slot] });
    }

    /// The pages ahead of all live strides, planned and not touched yet.
    pub(crate) fn ahead(&self) -> PageCount {
        PageCount(self.tally.ahead)
    }

    /// The same, but for the stride in `slot`.
    pub(crate) fn ahead_of_others(&self, slot: usize) -> PageCount {
        PageCount(self.tally.ahead - self.counts(&self.slots[slot]).unwrap_or(0))
    }

    /// How many strides are alive.
    pub(crate) fn live(&self) -> u64 {
        self.tally.live
    }

    /// The stride that `touched` belongs to goes on, if there is one.
    pub(crate) fn claim(&mut self, touched: PageRange) -> Option<Stepped> {
        let (slot, meant) = self.owner(touched)?;
        self.tick();
        self.lru.used(slot);
        let mut stride = Stride { used: self.clock, ..self.slots[slot] };
        let may_turn = stride.seen_in.take_if(|look| *look != self.looks).is_some();
        let stepped = match meant {
            Meant::Step(step) if step > 0 => {
                // In reach, which is far below 2^32.
                let by = step as u32;
                stride.advance(by, touched);
                Stepped::Advanced { slot, by }
            }
            Meant::Step(step) if may_turn && stride.is_before_first(step) => {
                let by = (-step) as u32 - stride.steps;
                stride.turn_around();
                stride.advance(by, touched);
                Stepped::Advanced { slot, by }
            }
            Meant::Step(_) => {
                stride.confirm();
                Stepped::Behind(slot)
            }
            Meant::Inside(_) => Stepped::Inside(slot),
            Meant::Growth(_, reads) => Stepped::Grew { slot, from: stride.grow(reads) },
        };
        self.put(slot, stride);
        Some(stepped)
    }

    /// All of a look has been told: strides that leave out more steps than they take are none.
    pub(crate) fn end_look(&mut self) {
        self.looks += 1;
        if !std::mem::take(&mut self.has_failed) {
            return;
        }
        for slot in 0..STRIDES_MAX {
            if self.slots[slot].score < 0 {
                self.put(slot, Stride::default());
                self.lru.freed(slot);
            }
        }
    }

    /// The slot of the stride that `planned` was planned for, if it is alive.
    pub(crate) fn planned_for(&self, planned: PageRange) -> Option<usize> {
        match self.owner(planned)? {
            (slot, Meant::Step(step)) if step > 0 => Some(slot),
            _ => None,
        }
    }

    /// A touch that nobody claimed: does it complete a progression? `extent_of` says how many pages
    /// were read from a page on, as far as anybody knows.
    pub(crate) fn learn(
        &mut self,
        touched: PageRange,
        extent_of: impl Fn(PageIndex) -> PageCount,
    ) -> Option<usize> {
        self.tick();
        let found = self.unclaimed.ending_at(touched, |distance| self.is_proven(distance));
        self.unclaimed.remember(touched);
        let Progression { first, steps, is_exact, extent } = found?;
        let slot = self.lru.oldest().unwrap_or(0);
        self.lru.used(slot);
        let stride = Stride::new(first, touched.start, steps, is_exact);
        let stride = stride.with_extent(extent_of(first).max(extent));
        // Odd, so that other streams of the same policy may have the even ones.
        let (id, seen_in) = (2 * self.clock + 1, Some(self.looks));
        self.put(slot, Stride { id, seen_in, used: self.clock, ..stride });
        Some(slot)
    }

    /// The stride that `touched` is nearest to, counted in steps, and what it means to it.
    fn owner(&self, touched: PageRange) -> Option<(usize, Meant)> {
        let slots = self.windows.touching(touched.start, touched.end);
        let owners = slots.filter_map(|slot| Some((slot, self.slots[slot].meaning(touched)?)));
        owners.min_by_key(|(_, meant)| meant.steps_away())
    }

    /// Whether a proven stride has this distance.
    fn is_proven(&self, distance: i64) -> bool {
        let mut slots = self.slots.iter();
        self.proven.may_have(distance) && slots.any(|slot| proves(slot) == Some(distance))
    }

    /// Puts `stride` into `slot` and keeps up what is derived from the slots.
    fn put(&mut self, slot: usize, stride: Stride) {
        let before = self.counts(&self.slots[slot]);
        let now = self.counts(&stride);
        self.proven.change(proves(&self.slots[slot]), proves(&stride));
        self.slots[slot] = stride;
        self.has_failed |= stride.score < 0;
        self.tally.ahead = self.tally.ahead - before.unwrap_or(0) + now.unwrap_or(0);
        self.tally.live = self.tally.live - u64::from(before.is_some()) + u64::from(now.is_some());
        match stride.used {
            0 => self.windows.clear(slot),
            _ => {
                let (low, high) = stride.window();
                self.windows.set(slot, low, high);
            }
        }
    }

    /// One touch more: every so often the strides that went quiet are left out of the tally.
    fn tick(&mut self) {
        self.clock += 1;
        if self.clock - self.tally.counted_at >= LIVE_TOUCHES / 2 {
            self.tally.counted_at = self.clock;
            self.tally.ahead = 0;
            self.tally.live = 0;
            for slot in 0..STRIDES_MAX {
                match self.counts(&self.slots[slot]) {
                    Some(ahead) => {
                        self.tally.ahead += ahead;
                        self.tally.live += 1;
                    }
                    None => {
                        self.slots[slot].used = 0;
                        self.windows.clear(slot);
                    }
                }
            }
        }
    }

    /// What is ahead of a stride that went on lately, as of the last count; none for others.
    fn counts(&self, stride: &Stride) -> Option<u64> {
        let is_live = stride.used > 0 && self.tally.counted_at < stride.used + LIVE_TOUCHES;
        is_live.then(|| stride.ahead().0)
    }
}

/// The distance that `stride` proves, if it does.
fn proves(stride: &Stride) -> Option<i64> {
    (stride.is_exact && stride.score >= SCORE_PROVEN).then(|| stride.distance())
}

#[cfg(test)]
#[path = "strides/tests.rs"]
mod tests;
