//! Strides: steps of constant distance, of either sign, a page or a block read at each.
//!
//! A new stride is an arithmetic progression among the touches that nobody claimed lately, whatever
//! lies between them: other streams, strays, the order of a scan. That finds what the majority trend
//! of Leap (Al Maruf and Chowdhury, ATC 2020) finds, and streams that are interleaved besides.

use super::recent::Recent;
use super::stride::{Meant, Stride, signed};
use super::windows::Windows;
use crate::page::{PageCount, PageIndex, PageRange};

/// Strides followed at once; the one that was quiet longest makes room. 64, and some room for those that
/// turn out to be none.
pub(crate) const STRIDES_MAX: usize = 80;
/// The longest step: 64 MiB in pages of 4 KiB. A guess: tables of column stores are cut finer.
const DISTANCE_PAGES_MAX: u64 = 16 << 10;
/// A stride that has come this far is believed after two touches when it goes on elsewhere.
const PROVEN_STEPS: u32 = 16;
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
}

/// Touches at a constant distance.
struct Progression {
    first: PageIndex,
    steps: u32,
    is_exact: bool,
    extent: PageCount,
}

/// The strides that are alive. Allocates nothing after it is made.
#[derive(Clone, Debug)]
pub(crate) struct Strides {
    slots: [Stride; STRIDES_MAX],
    /// Where a touch may be one of the stride in the same slot.
    windows: Windows<STRIDES_MAX>,
    tally: Tally,
    recent: Recent,
    clock: u64,
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
    pub(crate) fn new() -> Strides {
        Strides {
            slots: [Stride::default(); STRIDES_MAX],
            windows: Windows::new(),
            tally: Tally::default(),
            recent: Recent::new(),
            clock: 0,
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
        let mut stride = Stride { used: self.clock, ..self.slots[slot] };
        let stepped = match meant {
            Meant::Step(step) if step > 0 => {
                // In reach, which is far below 2^32.
                let by = step as u32;
                stride.advance(by, touched);
                Stepped::Advanced { slot, by }
            }
            Meant::Step(_) => Stepped::Behind(slot),
            Meant::Growth(_) => Stepped::Grew { slot, from: stride.grow(touched.count()) },
        };
        self.put(slot, stride);
        Some(stepped)
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
        let found = self.progression(touched);
        self.recent.push(touched);
        let Progression { first, steps, is_exact, extent } = found?;
        let slot = (0..STRIDES_MAX).min_by_key(|&slot| self.slots[slot].used).unwrap_or(0);
        let stride = Stride::new(first, touched.start, steps, is_exact);
        let whole = PageCount(stride.distance().unsigned_abs());
        let extent = extent_of(first).max(extent).min(whole);
        self.put(slot, Stride { id: self.clock, extent, used: self.clock, ..stride });
        Some(slot)
    }

    /// The stride that `touched` is nearest to, counted in steps, and what it means to it.
    fn owner(&self, touched: PageRange) -> Option<(usize, Meant)> {
        let slots = self.windows.touching(touched.start, touched.end);
        let owners = slots.filter_map(|slot| Some((slot, self.slots[slot].meaning(touched)?)));
        owners.min_by_key(|(_, meant)| meant.steps_away())
    }

    /// A progression that ends at `touched`: of four touches, or of two where a stride of this distance
    /// is proven.
    fn progression(&self, touched: PageRange) -> Option<Progression> {
        let last = touched.start;
        for before in self.recent.newest_first() {
            let distance = signed(before.start, last);
            let apart = touched.count().max(before.count()).0;
            if distance.unsigned_abs() <= apart || distance.unsigned_abs() > DISTANCE_PAGES_MAX {
                continue;
            }
            // Of some touches the page is known, of others only the block around it.
            let extent = touched.count().min(before.count());
            if self.is_proven(distance) {
                return Some(Progression { first: before.start, steps: 1, is_exact: true, extent });
            }
            let Some(second) = self.recent.find_near(before.start, -distance) else { continue };
            let step = signed(second, before.start);
            let Some(first) = self.recent.find_near(second, -step) else { continue };
            let is_exact = step == distance && signed(first, second) == distance;
            return Some(Progression { first, steps: 3, is_exact, extent });
        }
        None
    }

    fn is_proven(&self, distance: i64) -> bool {
        let mut slots = self.slots.iter();
        slots.any(|s| s.distance() == distance && s.is_exact && s.steps >= PROVEN_STEPS)
    }

    /// Puts `stride` into `slot` and keeps up what is derived from the slots.
    fn put(&mut self, slot: usize, stride: Stride) {
        let before = self.counts(&self.slots[slot]);
        let now = self.counts(&stride);
        self.slots[slot] = stride;
        self.tally.ahead = self.tally.ahead - before.unwrap_or(0) + now.unwrap_or(0);
        self.tally.live = self.tally.live - u64::from(before.is_some()) + u64::from(now.is_some());
        let (low, high) = stride.window();
        self.windows.set(slot, low, high);
    }

    /// One touch more: every so often the strides that went quiet are left out of the tally.
    fn tick(&mut self) {
        self.clock += 1;
        if self.clock - self.tally.counted_at >= LIVE_TOUCHES / 2 {
            self.tally.counted_at = self.clock;
            let counts = self.slots.map(|stride| self.counts(&stride));
            self.tally.ahead = counts.iter().flatten().sum();
            self.tally.live = counts.iter().flatten().count() as u64;
        }
    }

    /// What is ahead of a stride that went on lately, as of the last count; none for others.
    fn counts(&self, stride: &Stride) -> Option<u64> {
        let is_live = stride.used > 0 && self.tally.counted_at < stride.used + LIVE_TOUCHES;
        is_live.then(|| stride.ahead().0)
    }
}

#[cfg(test)]
#[path = "strides/tests.rs"]
mod tests;
