//! Which slots may own a touch: one window of pages for each, asked before anything is computed.

use crate::page::PageIndex;

/// Slots that are asked at once.
const GROUP: usize = 16;

/// A window for each of `N` slots, both ends in it. Empty at first.
#[derive(Clone, Debug)]
pub(super) struct Windows<const N: usize> {
    /// The ends, cut to 32 bits: four of them are compared at once on any x86-64, of 64 bits hardly two.
    low: [i32; N],
    high: [i32; N],
    /// The ends as they are.
    whole: [(PageIndex, PageIndex); N],
}

impl<const N: usize> Windows<N> {
    pub(super) fn new() -> Windows<N> {
        const { assert!(N.is_multiple_of(GROUP)) };
        Windows { low: [1; N], high: [0; N], whole: [(PageIndex(1), PageIndex(0)); N] }
    }

    pub(super) fn set(&mut self, slot: usize, low: PageIndex, high: PageIndex) {
        (self.low[slot], self.high[slot]) = (cut(low), cut(high));
        self.whole[slot] = (low, high);
    }

    pub(super) fn clear(&mut self, slot: usize) {
        self.set(slot, PageIndex(1), PageIndex(0));
    }

    /// The slots whose windows have a page between `first` and `last`.
    pub(super) fn touching(
        &self,
        first: PageIndex,
        last: PageIndex,
    ) -> impl Iterator<Item = usize> {
        let groups = (0..N).step_by(GROUP).filter(move |&at| self.is_any_met(at, first, last));
        groups.flat_map(|at| at..at + GROUP).filter(move |&slot| {
            let (low, high) = self.whole[slot];
            low <= last && first <= high
        })
    }

    /// Whether a slot of the group from `at` on may be met. Without a branch for each: most touches are nobody's,
    /// and where they lie is no pattern.
    fn is_any_met(&self, at: usize, first: PageIndex, last: PageIndex) -> bool {
        let (first, last) = (cut(first), cut(last));
        let ends = self.low[at..at + GROUP].iter().zip(&self.high[at..at + GROUP]);
        ends.fold(false, |met, (&low, &high)| met | ((low <= last) & (first <= high)))
    }
}

/// `page` in 32 bits, in the same order. All pages from 8 TiB on are one: there the whole numbers decide.
fn cut(page: PageIndex) -> i32 {
    i32::try_from(page.0).unwrap_or(i32::MAX)
}
