//! The touches that nobody claimed lately, found by page and by region.

use super::chains::{Chains, RING};
use crate::page::{PageCount, PageIndex, PageRange};

/// How many: four touches of each of 64 streams.
pub(super) const RECENT_MAX: usize = RING;
/// Pages that are neighbours share a key, 2^4 of them: a page and those beside it mostly have the same.
const NEIGHBOURS_SHIFT: u32 = 4;

/// A ring of touches with two indexes over where they begin. Allocates nothing.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    touches: [PageRange; RECENT_MAX],
    neighbours: Chains,
    regions: Chains,
    region_shift: u32,
}

impl Recent {
    /// None yet. They are looked for in regions of 2^`region_shift` pages.
    pub(crate) fn new(region_shift: u32) -> Recent {
        let (neighbours, regions) = (Chains::new(), Chains::new());
        let touches = [PageRange::default(); RECENT_MAX];
        Recent { touches, neighbours, regions, region_shift }
    }

    /// Remembers `touched` in place of the oldest.
    pub(crate) fn push(&mut self, touched: PageRange) {
        self.neighbours.push(touched.start.0 >> NEIGHBOURS_SHIFT);
        let place = self.regions.push(touched.start.0 >> self.region_shift);
        self.touches[place] = touched;
    }

    /// Those that begin in the region of `page`, or in one beside it on `side` (-1 or 1), the latest first: how many
    /// touches ago each was, and what was touched.
    pub(crate) fn in_region(
        &self,
        page: PageIndex,
        side: i64,
    ) -> impl Iterator<Item = (u32, PageRange)> {
        let region = (page.0 >> self.region_shift).wrapping_add_signed(side);
        let found = self.regions.find(region).map(|(age, place)| (age, self.touches[place]));
        found.filter(move |(_, touched)| touched.start.0 >> self.region_shift == region)
    }

    /// Where a touch begins that is `distance` pages from `page`: exactly, or else by `slack` (none or
    /// one) pages more or less.
    pub(crate) fn find_near(
        &self,
        page: PageIndex,
        distance: i64,
        slack: PageCount,
    ) -> Option<PageIndex> {
        let at = page.0.checked_add_signed(distance).map(PageIndex)?;
        let (low, high) = (at.minus(slack), at.plus(slack));
        let (key, last_key) = (low.0 >> NEIGHBOURS_SHIFT, high.0 >> NEIGHBOURS_SHIFT);
        let near = self.nearest(key, at, slack);
        if key == last_key {
            return near;
        }
        let other = self.nearest(last_key, at, slack);
        near.into_iter().chain(other).min_by_key(|&start| off(start, at))
    }

    /// The one of this key that begins nearest to `at`, at most `slack` pages off.
    fn nearest(&self, key: u64, at: PageIndex, slack: PageCount) -> Option<PageIndex> {
        let found = self.neighbours.find(key);
        let starts = found.map(|(_, place)| self.touches[place].start);
        let near = starts.filter(|&start| start.0.abs_diff(at.0) <= slack.0);
        near.min_by_key(|&start| off(start, at))
    }
}

/// How far `start` is off `at`; of two that are as far the lower one comes first.
fn off(start: PageIndex, at: PageIndex) -> (u64, PageIndex) {
    (start.0.abs_diff(at.0), start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_the_others_found() {
        let mut recent = Recent::new(14);
        for step in 0..1000 {
            recent.push(PageRange::at(PageIndex(step * 32), PageCount(1)));
        }
        let find = |page, distance, slack| {
            recent.find_near(PageIndex(page), distance, PageCount(slack)).map(|page| page.0)
        };
        assert_eq!(find(999 * 32, 0, 0), Some(999 * 32));
        let oldest = (1000 - RECENT_MAX as u64) * 32;
        assert_eq!(find(oldest + 33, -32, 1), Some(oldest));
        assert_eq!(find(oldest, -32, 1), None);
    }

    #[test]
    fn a_page_off_is_found_where_it_may_be_and_the_exact_one_first() {
        let mut recent = Recent::new(14);
        for page in [100, 98, 99, 203] {
            recent.push(PageRange::at(PageIndex(page), PageCount(1)));
        }
        let find =
            |page, slack| recent.find_near(PageIndex(page), 0, PageCount(slack)).map(|page| page.0);
        assert_eq!((find(99, 1), find(101, 1), find(101, 0)), (Some(99), Some(100), None));
        assert_eq!((find(97, 1), find(204, 1), find(205, 1)), (Some(98), Some(203), None));
    }

    #[test]
    fn those_around_a_page_are_found_with_their_age_and_once() {
        let mut recent = Recent::new(4);
        for page in [5, 20, 40, 70, 1 << 40] {
            recent.push(PageRange::at(PageIndex(page), PageCount(1)));
        }
        let around = |page| {
            let sides = [-1, 0, 1].into_iter();
            let found = sides.flat_map(|side| recent.in_region(PageIndex(page), side));
            found.map(|(age, touched)| (age, touched.start.0)).collect::<Vec<_>>()
        };
        assert_eq!(around(30), [(4, 5), (3, 20), (2, 40)]);
        assert_eq!(around(0), [(4, 5), (3, 20)]);
        assert_eq!(around(1 << 40), [(0, 1 << 40)]);
    }
}
