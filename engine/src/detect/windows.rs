//! Which slots may own a touch: one window of pages for each, asked before anything is computed.

use crate::page::PageIndex;

/// A window for each of `N` slots, both ends in it. Empty at first.
#[derive(Clone, Debug)]
pub(super) struct Windows<const N: usize> {
    low: [u64; N],
    high: [u64; N],
}

impl<const N: usize> Windows<N> {
    pub(super) fn new() -> Windows<N> {
        Windows { low: [1; N], high: [0; N] }
    }

    pub(super) fn set(&mut self, slot: usize, low: PageIndex, high: PageIndex) {
        (self.low[slot], self.high[slot]) = (low.0, high.0);
    }

    pub(super) fn clear(&mut self, slot: usize) {
        (self.low[slot], self.high[slot]) = (1, 0);
    }

    /// The slots whose windows have a page between `first` and `last`.
    pub(super) fn touching(
        &self,
        first: PageIndex,
        last: PageIndex,
    ) -> impl Iterator<Item = usize> {
        let ends = self.low.iter().zip(&self.high);
        // Without a branch for each: most touches are nobody's, and where they lie is no pattern.
        let touches = move |low: u64, high: u64| (low <= last.0) & (first.0 <= high);
        let is_met = ends.clone().fold(false, |met, (&low, &high)| met | touches(low, high));
        let ends = ends.take(if is_met { N } else { 0 }).enumerate();
        ends.filter(move |&(_, (&low, &high))| touches(low, high)).map(|(slot, _)| slot)
    }
}
