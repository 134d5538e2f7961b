//! A bit for each page, and quick questions about runs of them.

/// As many bits as it was made with, all clear at first. Bits beyond its end read as clear.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
    len: u64,
}

impl Bits {
    pub(crate) fn new(len: u64) -> Bits {
        let words = usize::try_from(len.div_ceil(64)).expect("the pages of a file fit into memory");
        Bits { words: vec![0; words], len }
    }

    #[inline]
    pub(crate) fn get(&self, at: u64) -> bool {
        self.words.get((at / 64) as usize).is_some_and(|word| word >> (at % 64) & 1 != 0)
    }

    pub(crate) fn set(&mut self, at: u64) {
        debug_assert!(at < self.len);
        self.words[(at / 64) as usize] |= 1 << (at % 64);
    }

    /// Sets `from..to`; returns how many of them were clear.
    pub(crate) fn set_range(&mut self, from: u64, to: u64) -> u64 {
        self.over_words(from, to, |word, mask| {
            let new = u64::from((mask & !*word).count_ones());
            *word |= mask;
            new
        })
    }

    /// Clears `from..to`; returns how many of them were set.
    pub(crate) fn clear_range(&mut self, from: u64, to: u64) -> u64 {
        self.over_words(from, to, |word, mask| {
            let old = u64::from((mask & *word).count_ones());
            *word &= !mask;
            old
        })
    }

    /// Whether any of `from..to` is set.
    pub(crate) fn any(&self, from: u64, to: u64) -> bool {
        self.first(from, to, 0) < to
    }

    /// How many from `from` on are set without a gap.
    #[inline]
    pub(crate) fn ones_from(&self, from: u64) -> u64 {
        let Some(word) = self.words.get((from / 64) as usize) else { return 0 };
        let here = u64::from((word >> (from % 64)).trailing_ones());
        if here < 64 - from % 64 { here } else { self.first(from + here, self.len, !0) - from }
    }

    /// The runs of set bits in `from..to`.
    pub(crate) fn runs(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let to = to.min(self.len);
        let mut next = from;
        std::iter::from_fn(move || {
            let start = self.first(next, to, 0);
            next = self.first(start, to, !0);
            (start < next).then_some((start, next))
        })
    }

    /// The first of `from..to` that is set (`flip` 0) or clear (`flip` !0); `to` when there is none.
    fn first(&self, from: u64, to: u64, flip: u64) -> u64 {
        let to = to.min(self.len);
        let mut at = from;
        while at < to {
            let word = (self.words[(at / 64) as usize] ^ flip) >> (at % 64);
            if word != 0 {
                return to.min(at + u64::from(word.trailing_zeros()));
            }
            at = (at / 64 + 1) * 64;
        }
        to.max(from)
    }

    fn over_words(
        &mut self,
        from: u64,
        to: u64,
        mut each: impl FnMut(&mut u64, u64) -> u64,
    ) -> u64 {
        debug_assert!(to <= self.len || from >= to, "{from}..{to} of {}", self.len);
        let mut at = from;
        let mut sum = 0;
        while at < to {
            let end = to.min((at / 64 + 1) * 64);
            let mask = (!0 >> (64 - (end - at))) << (at % 64);
            sum += each(&mut self.words[(at / 64) as usize], mask);
            at = end;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn runs_cross_words_and_stop_at_gaps() {
        let mut bits = Bits::new(300);
        assert_eq!(bits.set_range(60, 200), 140);
        assert_eq!(bits.set_range(190, 300), 100);
        assert_eq!(bits.clear_range(128, 129), 1);
        assert_eq!(bits.runs(0, 300).collect::<Vec<_>>(), [(60, 128), (129, 300)]);
        assert_eq!(bits.runs(64, 130).collect::<Vec<_>>(), [(64, 128), (129, 130)]);
        assert_eq!(bits.ones_from(61), 67);
        assert_eq!(bits.ones_from(129), 171);
        assert_eq!((bits.ones_from(0), bits.ones_from(128), bits.ones_from(1000)), (0, 0, 0));
    }

    #[test]
    fn beyond_the_end_nothing_is_set() {
        let mut bits = Bits::new(64);
        bits.set_range(0, 64);
        assert_eq!(bits.ones_from(3), 61);
        assert!(!bits.get(64) && bits.get(63));
        assert!(bits.any(63, 64) && !bits.any(64, 64));
        bits.clear_range(63, 64);
        assert!(!bits.any(63, 64));
        bits.set(63);
        assert!(bits.get(63));
    }
}
