//! Strides: steps of constant distance, of either sign, a page or a block read at each.
//!
//! A new stride is an arithmetic progression among the touches that nobody claimed lately, whatever
//! lies between them: other streams, strays, the order of a scan. That finds what the majority trend
//! of Leap (Al Maruf and Chowdhury, ATC 2020) finds, and streams that are interleaved besides.

use super::recent::Recent;
use crate::page::{PageCount, PageIndex, PageRange};

/// Strides followed at once; the one that was quiet longest makes room.
pub(crate) const STRIDES_MAX: usize = 64;
/// The longest step: 64 MiB in pages of 4 KiB. A guess: tables of column stores are cut finer.
const DISTANCE_PAGES_MAX: u64 = 16 << 10;
/// Steps that a reader may leave out beyond all that are planned for it, and still be the same.
const SKIPPED_MAX: i64 = 8;
/// Steps behind a reader that are its own still: stragglers of several threads.
const BEHIND_MAX: i64 = 64;
/// How many steps back a reader may be found to have read on.
const GROWN_BEHIND_MAX: i64 = 8;
/// A stride that has come this far is believed after two touches when it goes on elsewhere.
const PROVEN_STEPS: u32 = 16;

/// One reader's steps.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stride {
    /// Tells it from all others that ever were.
    pub(crate) id: u64,
    /// Where the first step that is remembered and the last one begin.
    pub(crate) first: PageIndex,
    pub(crate) last: PageIndex,
    /// How many steps lie from `first` to `last`.
    pub(crate) steps: u32,
    /// How many pages of a step are read.
    pub(crate) extent: PageCount,
    /// How many steps beyond `last` are planned.
    pub(crate) planned: u32,
    /// Whether all steps were equally long, to the page.
    pub(crate) is_exact: bool,
    used: u64,
}

/// What a touch meant to a stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// The stride in this slot went on by so many steps.
    Advanced(usize, u32),
    /// It reads more of each step than was known.
    Grew(usize),
    /// A step that it has passed.
    Behind(usize),
}

/// What a touch means to the stride that owns it: the step that it is, counted from the last one, or
/// the one behind which it reads on.
#[derive(Clone, Copy, Debug)]
enum Meant {
    Step(i64),
    Growth(i64),
}

impl Meant {
    fn steps_away(self) -> u64 {
        let (Meant::Step(step) | Meant::Growth(step)) = self;
        step.unsigned_abs()
    }
}

impl Stride {
    /// Pages from one step to the next, rounded towards zero; negative when it goes backwards.
    pub(crate) fn distance(&self) -> i64 {
        signed(self.first, self.last) / i64::from(self.steps.max(1))
    }

    /// Where the step `ahead` of the last one begins (`ahead` may be negative); none before page 0.
    pub(crate) fn position(&self, ahead: i64) -> Option<PageIndex> {
        let steps = i64::from(self.steps.max(1));
        let from_last = i128::from(signed(self.first, self.last)) * i128::from(ahead);
        let offset = from_last.div_euclid(i128::from(steps));
        let at = i128::from(self.last.0) + offset;
        u64::try_from(at).ok().map(PageIndex)
    }

    /// The pages that are read at the step `ahead` of the last one. A page more at each end where
    /// steps are not whole pages apart.
    pub(crate) fn step(&self, ahead: u32) -> Option<PageRange> {
        let at = self.position(i64::from(ahead))?;
        let slack = self.slack();
        Some(PageRange::new(at.minus(slack), at.plus(self.extent).plus(slack)))
    }

    fn slack(&self) -> PageCount {
        PageCount(u64::from(!self.is_exact))
    }

    /// The step nearest to the last one that `touched` may be, give or take `slack` pages, if any.
    fn step_in(&self, touched: PageRange, slack: PageCount) -> Option<i64> {
        let distance = self.distance();
        let (low, high) = (signed(self.last, touched.start), signed(self.last, touched.end) - 1);
        let slack = slack.0 as i64;
        // The edge of `touched` that the reader comes to first.
        let near = if distance > 0 { low - slack } else { high + slack };
        let guess = near.div_euclid(distance);
        // Rounding, and distances that are not whole, are one step off at most on either side.
        (guess - 1..=guess + 2).find(|&step| {
            let at = self.position(step).map(|at| signed(self.last, at));
            at.is_some_and(|at| low - slack <= at && at <= high + slack)
        })
    }

    /// The step behind whose known pages `touched` goes on, if it is one of the latest.
    fn grown_step(&self, touched: PageRange) -> Option<i64> {
        let start = PageIndex(touched.start.0.checked_sub(self.extent.0)?);
        let step = self.step_in(PageRange::at(start, PageCount(1)), self.slack())?;
        (-GROWN_BEHIND_MAX..=0).contains(&step).then_some(step)
    }
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
    recent: Recent,
    clock: u64,
}

impl Strides {
    pub(crate) fn new() -> Strides {
        Strides { slots: [Stride::default(); STRIDES_MAX], recent: Recent::new(), clock: 0 }
    }

    pub(crate) fn stride(&self, slot: usize) -> &Stride {
        &self.slots[slot]
    }

    /// Says how many steps ahead are planned for the stride in `slot`.
    pub(crate) fn planned(&mut self, slot: usize, steps: u32) {
        self.slots[slot].planned = steps;
    }

    /// The strides that are followed, with their slots.
    pub(crate) fn live(&self) -> impl Iterator<Item = (usize, &Stride)> {
        let horizon = self.clock.saturating_sub(4 * STRIDES_MAX as u64);
        let is_live = move |stride: &Stride| stride.used > horizon && stride.steps > 0;
        self.slots.iter().enumerate().filter(move |(_, stride)| is_live(stride))
    }

    /// The stride that `touched` belongs to goes on, if there is one.
    pub(crate) fn claim(&mut self, touched: PageRange) -> Option<Stepped> {
        let (slot, meant) = self.owner(touched)?;
        self.clock += 1;
        let stride = &mut self.slots[slot];
        stride.used = self.clock;
        Some(match meant {
            Meant::Step(step) if step > 0 => stride.advance(slot, step, touched),
            Meant::Step(_) => Stepped::Behind(slot),
            Meant::Growth(_) => {
                let more = touched.count().max(stride.extent);
                let most = PageCount(stride.distance().unsigned_abs());
                stride.extent = PageCount(stride.extent.0 + more.0).min(most);
                Stepped::Grew(slot)
            }
        })
    }

    /// The slot of the stride that `planned` was planned for, if it is alive.
    pub(crate) fn planned_for(&self, planned: PageRange) -> Option<usize> {
        match self.owner(planned)? {
            (slot, Meant::Step(step)) if step > 0 => Some(slot),
            _ => None,
        }
    }

    /// The stride that `touched` is nearest to, counted in steps, and what it means to it.
    fn owner(&self, touched: PageRange) -> Option<(usize, Meant)> {
        let mut best: Option<(usize, Meant)> = None;
        for (slot, stride) in self.slots.iter().enumerate() {
            if stride.used == 0 || !stride.may_own(touched) {
                continue;
            }
            let reach = i64::from(stride.planned) + SKIPPED_MAX;
            let step = |slack| stride.step_in(touched, slack);
            let exact = step(stride.slack()).filter(|step| (-BEHIND_MAX..=reach).contains(step));
            let growth = || stride.grown_step(touched).map(Meant::Growth);
            // A page off: then its steps are not whole pages apart after all.
            let near = || step(PageCount(1)).filter(|step| (1..=reach).contains(step));
            let meant = exact.map(Meant::Step).or_else(growth).or_else(|| near().map(Meant::Step));
            let Some(meant) = meant else { continue };
            if best.is_none_or(|(_, other)| meant.steps_away() < other.steps_away()) {
                best = Some((slot, meant));
            }
        }
        best
    }

    /// A touch that nobody claimed: does it complete a progression? `extent_of` says how many pages
    /// were read from a page on, as far as anybody knows.
    pub(crate) fn learn(
        &mut self,
        touched: PageRange,
        extent_of: impl Fn(PageIndex) -> PageCount,
    ) -> Option<usize> {
        self.clock += 1;
        let found = self.progression(touched);
        self.recent.push(touched);
        let Progression { first, steps, is_exact, extent } = found?;
        let slot = (0..STRIDES_MAX).min_by_key(|&slot| self.slots[slot].used).unwrap_or(0);
        let distance = signed(first, touched.start).unsigned_abs() / u64::from(steps);
        let extent = extent_of(first).max(extent).min(PageCount(distance));
        self.slots[slot] = Stride {
            id: self.clock,
            first,
            last: touched.start,
            steps,
            extent,
            planned: 0,
            is_exact,
            used: self.clock,
        };
        Some(slot)
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
        let mut live = self.slots.iter().filter(|stride| stride.used > 0);
        live.any(|s| s.is_exact && s.steps >= PROVEN_STEPS && s.distance() == distance)
    }
}

impl Stride {
    fn advance(&mut self, slot: usize, step: i64, touched: PageRange) -> Stepped {
        let Some(at) = self.position(step) else { return Stepped::Behind(slot) };
        // In reach, which is far below 2^32.
        let step = step as u32;
        self.is_exact &= touched.contains(at);
        // A single page is where it was; of a block only the step itself is known.
        let is_seen = !self.is_exact && touched.count() == PageCount(1);
        self.last = if is_seen { touched.start } else { at };
        self.steps = self.steps.saturating_add(step);
        self.planned = self.planned.saturating_sub(step);
        self.settle();
        Stepped::Advanced(slot, step)
    }

    /// A quick no for what is far from it: `step_in` divides.
    fn may_own(&self, touched: PageRange) -> bool {
        let distance = self.distance().unsigned_abs();
        if touched.count().0 > distance {
            // Whoever reads what lies between the steps too takes no steps.
            return false;
        }
        let reach = distance * (u64::from(self.planned) + SKIPPED_MAX as u64 + 1);
        let behind = (distance * BEHIND_MAX as u64).max(self.extent.0 + 1);
        let (up, down) = if self.last >= self.first { (reach, behind) } else { (behind, reach) };
        let low = self.last.minus(PageCount(down.max(1)));
        touched.end >= low && touched.start <= self.last.plus(PageCount(up))
    }

    /// Forgets the oldest steps, so that a distance that is not whole stays an average of the
    /// latest ones, and the numbers stay small.
    fn settle(&mut self) {
        const STEPS_KEPT: u32 = 1 << 16;
        if self.steps > STEPS_KEPT
            && let Some(first) = self.position(-i64::from(STEPS_KEPT / 2))
        {
            self.first = first;
            self.steps = STEPS_KEPT / 2;
        }
    }
}

/// Pages from `from` to `to`, negative when `to` lies before.
fn signed(from: PageIndex, to: PageIndex) -> i64 {
    // Indexes are below 2^52: a mapping is shorter than the address space.
    to.0 as i64 - from.0 as i64
}

#[cfg(test)]
#[path = "strides/tests.rs"]
mod tests;
