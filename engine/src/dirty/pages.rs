use std::ops::Range;

const WORD_BITS: usize = u64::BITS as usize;

/// A set of pages, one bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageSet {
    words: Vec<u64>,
    len: usize,
}

impl PageSet {
    /// None of `len` pages.
    pub(crate) fn empty(len: usize) -> PageSet {
        PageSet { words: vec![0; len.div_ceil(WORD_BITS)], len }
    }

    /// Puts in those of `pages` that there are.
    pub(crate) fn insert(&mut self, pages: Range<usize>) {
        let end = pages.end.min(self.len);
        let mut at = pages.start;
        while at < end {
            let bit = at % WORD_BITS;
            let count = (WORD_BITS - bit).min(end - at);
            self.words[at / WORD_BITS] |= (u64::MAX >> (WORD_BITS - count)) << bit;
            at += count;
        }
    }

    /// Makes it a set of `len` pages; those that are new are in it.
    pub(crate) fn resize(&mut self, len: usize) {
        let before = self.len;
        self.words.resize(len.div_ceil(WORD_BITS), 0);
        self.len = len;
        self.insert(before..len);
        if let Some(last) = self.words.last_mut().filter(|_| len % WORD_BITS != 0) {
            *last &= u64::MAX >> (WORD_BITS - len % WORD_BITS);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.words.fill(0);
    }

    /// The runs of pages that are in it, ascending.
    pub(crate) fn runs(&self) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for (index, &word) in self.words.iter().enumerate() {
            let mut rest = word;
            while rest != 0 {
                let bit = rest.trailing_zeros() as usize;
                let count = (rest >> bit).trailing_ones() as usize;
                let start = index * WORD_BITS + bit;
                match runs.last_mut() {
                    Some(run) if run.end == start => run.end = start + count,
                    _ => runs.push(start..start + count),
                }
                rest =
                    if bit + count == WORD_BITS { 0 } else { rest & (u64::MAX << (bit + count)) };
            }
        }
        runs
    }
}

/// Where a mapping was stored to.
///
/// Default: nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirtyPages {
    ranges: Vec<Range<usize>>,
}

impl DirtyPages {
    /// Ranges of bytes of the slice, in whole pages (cut to the slice), `lead` bytes after the start of
    /// the first page.
    pub(super) fn of(set: &PageSet, page: usize, lead: usize, len: usize) -> DirtyPages {
        let bytes = |pages: Range<usize>| {
            let start = (pages.start * page).saturating_sub(lead);
            start..(pages.end * page - lead).min(len)
        };
        let ranges = set.runs().into_iter().map(bytes).filter(|range| !range.is_empty());
        DirtyPages { ranges: ranges.collect() }
    }

    /// The ranges: bytes of the slice, half-open, ascending, apart from each other, in whole pages.
    #[must_use]
    pub fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// How many bytes they are together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.len() as u64).sum()
    }

    /// Whether nothing was stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_are_what_was_put_in(
            len in 1_usize..300,
            put in prop::collection::vec((0_usize..320, 0_usize..150), 0..8),
        ) {
            let mut set = PageSet::empty(len);
            let mut model = vec![false; len];
            for (start, count) in put {
                set.insert(start..start + count);
                model.iter_mut().skip(start).take(count).for_each(|page| *page = true);
            }
            let mut seen = vec![false; len];
            let runs = set.runs();
            for pair in runs.windows(2) {
                prop_assert!(pair[0].end < pair[1].start, "they touch: {pair:?}");
            }
            for page in runs.into_iter().flatten() {
                seen[page] = true;
            }
            prop_assert_eq!(seen, model);
        }
    }

    #[test]
    fn what_is_new_counts_as_stored_to_and_what_is_gone_does_not_come_back() {
        let mut set = PageSet::empty(70);
        set.insert(60..70);
        set.resize(64);
        assert_eq!(set.runs(), [60..64]);
        set.resize(130);
        assert_eq!(set.runs(), [60..130]);
        set.clear();
        assert!(set.runs().is_empty());
    }

    #[test]
    fn bytes_are_those_of_the_slice() {
        let mut set = PageSet::empty(4);
        set.insert(0..1);
        set.insert(2..4);
        // The slice begins 100 bytes into its first page and ends within its last.
        let pages = DirtyPages::of(&set, 4096, 100, 3 * 4096);
        assert_eq!(pages.ranges(), [0..3996, 8092..12288]);
        assert_eq!((pages.bytes(), pages.is_empty()), (3996 + 4196, false));
        assert!(DirtyPages::of(&PageSet::empty(4), 4096, 0, 9).is_empty());
    }
}
