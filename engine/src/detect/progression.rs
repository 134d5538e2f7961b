//! Arithmetic progressions among the touches that nobody claimed lately.

use super::recent::{RECENT_MAX, Recent};
use super::stride::signed;
use crate::page::{PageCount, PageIndex, PageRange};

/// The longest step: 64 MiB in pages of 4 KiB. A guess: tables of column stores are cut finer.
const DISTANCE_PAGES_MAX: u64 = 16 << 10;
/// Steps that go into a mapping at least: of fewer there are none left to read ahead when they are known.
const STEPS_IN_FILE_MIN: u64 = 8;
/// The last but one touch of a new stride is among so many of the latest: one of each of 64 streams, twice over.
const AGE_MAX: u32 = 128;
/// Touches that make a stride, at least and at most: as many as chance hardly ever makes.
const TOUCHES_MIN: u32 = 4;
const TOUCHES_MAX: u32 = 8;
/// Strides that random touches may seem to make, for each touch.
const CHANCE_MAX: f64 = 0.001;
/// Steps that are not whole pages apart are looked for from this distance on.
const INEXACT_PAGES_MIN: u64 = 8;

/// Touches at a constant distance.
pub(super) struct Progression {
    pub(super) first: PageIndex,
    /// From the first touch to the last one.
    pub(super) steps: u32,
    /// Whether all steps were equally long, to the page.
    pub(super) is_exact: bool,
    /// How many pages of each touch are known to be read.
    pub(super) extent: PageCount,
}

/// The touches that nobody claimed, and what they make. Allocates nothing.
#[derive(Clone, Debug)]
pub(super) struct Progressions {
    recent: Recent,
    distance_max: u64,
    /// How many touches make a stride where pages are known exactly, and where only blocks are.
    touches_exact: Option<u32>,
    touches_blocks: Option<u32>,
}

impl Progressions {
    /// For a mapping of so many pages, of which one fault maps `block`.
    pub(super) fn new(pages: PageCount, block: PageCount) -> Progressions {
        let distance_max = (pages.0 / STEPS_IN_FILE_MIN).clamp(1, DISTANCE_PAGES_MAX);
        Progressions {
            // A region is at least as long as a step: those beside it are all that need be looked at.
            recent: Recent::new(distance_max.next_power_of_two().trailing_zeros()),
            distance_max,
            touches_exact: touches_needed(pages.0),
            touches_blocks: touches_needed(pages.0 / block.0.max(1)),
        }
    }

    /// Nobody claimed `touched`.
    pub(super) fn remember(&mut self, touched: PageRange) {
        self.recent.push(touched);
    }

    /// The latest progression that ends at `touched`: of enough touches, or of two where their distance is that of
    /// a proven stride.
    pub(super) fn ending_at(
        &self,
        touched: PageRange,
        is_proven: impl Fn(i64) -> bool,
    ) -> Option<Progression> {
        let latest = [0, -1, 1].map(|side| {
            let before = self.recent.in_region(touched.start, side);
            let mut before = before.take_while(|&(age, _)| age < AGE_MAX);
            before.find_map(|(age, before)| Some((age, self.leads(before, touched, &is_proven)?)))
        });
        let latest = latest.into_iter().flatten().min_by_key(|&(age, _)| age);
        latest.map(|(_, found)| found)
    }

    /// A progression of which `before` and `touched` are the last two touches.
    fn leads(
        &self,
        before: PageRange,
        touched: PageRange,
        is_proven: impl Fn(i64) -> bool,
    ) -> Option<Progression> {
        let distance = signed(before.start, touched.start);
        let apart = touched.count().max(before.count()).0;
        if distance.unsigned_abs() <= apart || distance.unsigned_abs() > self.distance_max {
            return None;
        }
        // Of some touches the page is known, of others only the block around it.
        let extent = touched.count().min(before.count());
        if is_proven(distance) {
            return Some(Progression { first: before.start, steps: 1, is_exact: true, extent });
        }
        self.leads_through(before.start, distance, extent)
    }

    /// A progression whose last but one touch is `before`, `distance` before the last.
    fn leads_through(
        &self,
        before: PageIndex,
        distance: i64,
        extent: PageCount,
    ) -> Option<Progression> {
        let slack = PageCount(u64::from(distance.unsigned_abs() >= INEXACT_PAGES_MIN));
        let needed = if extent.0 > 1 { self.touches_blocks? } else { self.touches_exact? };
        let (mut first, mut is_exact) = (before, true);
        for _ in 2..needed {
            // Give or take a page of the distance itself: steps that shrink lead nowhere.
            let earlier = self.recent.find_near(first, -distance, slack)?;
            is_exact &= signed(earlier, first) == distance;
            first = earlier;
        }
        Some(Progression { first, steps: needed - 1, is_exact, extent })
    }
}

/// How many touches of one distance chance hardly ever makes among `units` places: each of the touches
/// that are remembered may be the last but one, and each earlier one must be there, give or take a page. Among
/// few places no number is enough: strides are not looked for there.
fn touches_needed(units: u64) -> Option<u32> {
    let density = (3.0 * RECENT_MAX as f64 / units.max(1) as f64).min(0.9);
    let chance = |touches: u32| RECENT_MAX as f64 * density.powi(touches as i32 - 2);
    (TOUCHES_MIN..=TOUCHES_MAX).find(|&touches| chance(touches) < CHANCE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the last of `starts` ends a progression, nothing being proven.
    fn leads_somewhere(starts: &[u64]) -> bool {
        let mut progressions = Progressions::new(PageCount(1 << 26), PageCount(16));
        let (last, before) = starts.split_last().unwrap();
        let at = |&page: &u64| PageRange::at(PageIndex(page), PageCount(1));
        before.iter().for_each(|page| progressions.remember(at(page)));
        progressions.ending_at(at(last), |_| false).is_some()
    }

    #[test]
    fn the_longest_step_is_found_from_either_side_and_a_longer_one_is_none() {
        for distance in [DISTANCE_PAGES_MAX, DISTANCE_PAGES_MAX - 1] {
            let up: Vec<_> = (0..4).map(|step| 1_000_003 + step * distance).collect();
            let down: Vec<_> = up.iter().rev().copied().collect();
            assert!(leads_somewhere(&up) && leads_somewhere(&down), "{distance}");
        }
        let too_long = DISTANCE_PAGES_MAX + 1;
        assert!(!leads_somewhere(&[0, too_long, 2 * too_long, 3 * too_long]));
    }

    #[test]
    fn the_last_but_one_touch_may_lie_behind_one_of_each_of_64_streams() {
        let stride = |strays: u64| {
            let strays = (0..strays).map(|stray| 30_000_000 + stray * stray * 977);
            let stride = [1000, 1040, 1080].into_iter();
            stride.chain(strays).chain([1120]).collect::<Vec<_>>()
        };
        assert!(leads_somewhere(&stride(64)) && leads_somewhere(&stride(127)));
        assert!(!leads_somewhere(&stride(128)));
    }
}
