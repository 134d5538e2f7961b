//! A bitmap over blocks of pages: which parts of a mapping are accounted for.

use crate::page::{PageCount, PageIndex, PageRange};

/// One bit a block. Grows to the highest block that was ever set, so that a huge mapping costs
/// nothing until it is used.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    words: Vec<u64>,
    pages_per_block: u64,
    /// Pages by which the mapping's first page is late in its block of addresses.
    lead: u64,
}

impl Blocks {
    /// Blocks of `block` pages; the mapping starts `lead` pages into the first one.
    pub(crate) fn new(block: PageCount, lead: PageCount) -> Blocks {
        Blocks { words: Vec::new(), pages_per_block: block.0.max(1), lead: lead.0 }
    }

    /// Sets or clears every block that `range` touches.
    pub(crate) fn assign(&mut self, range: PageRange, value: Known) {
        let mut blocks = self.blocks_of(range);
        if value == Known::No {
            blocks.end = blocks.end.min(self.words.len() as u64 * 64);
        }
        for block in blocks {
            let (word, bit) = ((block / 64) as usize, 1 << (block % 64));
            match value {
                Known::Yes => {
                    if self.words.len() <= word {
                        self.words.resize(word + 1, 0);
                    }
                    self.words[word] |= bit;
                }
                Known::No => {
                    if let Some(word) = self.words.get_mut(word) {
                        *word &= !bit;
                    }
                }
            }
        }
    }

    /// Forgets every block that lies in `range` as a whole. One that reaches beyond it is known by what
    /// is there.
    pub(crate) fn forget_within(&mut self, range: PageRange) {
        let block = self.pages_per_block;
        let first = (range.start.0 + self.lead).div_ceil(block) * block;
        let end = (range.end.0 + self.lead) / block * block;
        if first < end {
            let page = |at: u64| PageIndex(at.saturating_sub(self.lead));
            self.assign(PageRange::new(page(first), page(end)), Known::No);
        }
    }

    /// Calls `f` for each run of unknown blocks in `range`, cut to it.
    pub(crate) fn unknown_in(&self, range: PageRange, mut f: impl FnMut(PageRange)) {
        let mut run: Option<PageRange> = None;
        for block in self.blocks_of(range) {
            if self.is_known(block) {
                run.take().into_iter().for_each(&mut f);
                continue;
            }
            let start = (block * self.pages_per_block).saturating_sub(self.lead);
            let end = (block + 1) * self.pages_per_block - self.lead;
            let pages = PageRange::new(PageIndex(start), PageIndex(end)).intersect(range);
            run = Some(run.map_or(pages, |run| PageRange::new(run.start, pages.end)));
        }
        run.into_iter().for_each(f);
    }

    /// The first page of the first known block that begins at or after `page`, or `end`.
    pub(crate) fn next_known(&self, page: PageIndex, end: PageIndex) -> PageIndex {
        let first = (page.0 + self.lead).div_ceil(self.pages_per_block);
        let (first_word, first_bit) = ((first / 64) as usize, first % 64);
        let words = self.words.iter().enumerate().skip(first_word);
        let masked = words.map(|(index, &word)| {
            let mask = if index == first_word { u64::MAX << first_bit } else { u64::MAX };
            (index as u64, word & mask)
        });
        let known = masked.filter(|&(_, word)| word != 0).map(|(index, word)| {
            let block = index * 64 + u64::from(word.trailing_zeros());
            PageIndex((block * self.pages_per_block).saturating_sub(self.lead))
        });
        known.map(|page| page.min(end)).next().unwrap_or(end)
    }

    /// Sets the unknown blocks right before the one of `page`, if they are at most `most` pages and a
    /// known one lies before them.
    pub(crate) fn fill_before(&mut self, page: PageIndex, most: PageCount) {
        let block = (page.0 + self.lead) / self.pages_per_block;
        let lowest = block.saturating_sub(most.0 / self.pages_per_block + 1);
        if let Some(known) = (lowest..block).rev().find(|&block| self.is_known(block)) {
            for block in known + 1..block {
                self.words[(block / 64) as usize] |= 1 << (block % 64);
            }
        }
    }

    fn is_known(&self, block: u64) -> bool {
        self.words.get((block / 64) as usize).is_some_and(|word| word & (1 << (block % 64)) != 0)
    }

    fn blocks_of(&self, range: PageRange) -> std::ops::Range<u64> {
        if range.is_empty() {
            return 0..0;
        }
        let block = self.pages_per_block;
        (range.start.0 + self.lead) / block..(range.end.0 + self.lead).div_ceil(block)
    }
}

/// Whether a block is accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(start: u64, end: u64) -> PageRange {
        PageRange::new(PageIndex(start), PageIndex(end))
    }

    #[test]
    fn unknown_runs_are_what_was_never_set() {
        let mut blocks = Blocks::new(PageCount(16), PageCount(0));
        blocks.assign(pages(16, 48), Known::Yes);
        blocks.assign(pages(2000, 2001), Known::Yes);
        blocks.assign(pages(32, 48), Known::No);
        let mut runs = Vec::new();
        blocks.unknown_in(pages(0, 100), |run| runs.push((run.start.0, run.end.0)));
        assert_eq!(runs, [(0, 16), (32, 100)]);
    }

    #[test]
    fn a_gap_inside_a_block_does_not_make_it_unknown() {
        let mut blocks = Blocks::new(PageCount(16), PageCount(0));
        blocks.assign(pages(0, 64), Known::Yes);
        blocks.forget_within(pages(8, 9));
        blocks.forget_within(pages(20, 48));
        let mut runs = Vec::new();
        blocks.unknown_in(pages(0, 64), |run| runs.push((run.start.0, run.end.0)));
        assert_eq!(runs, [(32, 48)]);
    }

    #[test]
    fn blocks_follow_the_addresses_not_the_file() {
        let mut blocks = Blocks::new(PageCount(16), PageCount(9));
        blocks.assign(pages(7, 23), Known::Yes);
        let mut runs = Vec::new();
        blocks.unknown_in(pages(0, 30), |run| runs.push((run.start.0, run.end.0)));
        assert_eq!(runs, [(0, 7), (23, 30)]);
        assert_eq!(blocks.next_known(PageIndex(0), PageIndex(99)), PageIndex(7));
        assert_eq!(blocks.next_known(PageIndex(8), PageIndex(99)), PageIndex(99));
    }

    #[test]
    fn only_a_short_gap_before_a_block_is_filled() {
        let unknown = |most: u64| {
            let mut blocks = Blocks::new(PageCount(16), PageCount(0));
            blocks.assign(pages(0, 16), Known::Yes);
            blocks.fill_before(PageIndex(64), PageCount(most));
            let mut runs = Vec::new();
            blocks.unknown_in(pages(0, 64), |run| runs.push((run.start.0, run.end.0)));
            runs
        };
        assert_eq!(unknown(48), []);
        assert_eq!(unknown(32), [(16, 64)]);
        let mut blocks = Blocks::new(PageCount(16), PageCount(0));
        blocks.fill_before(PageIndex(64), PageCount(512));
        assert_eq!(blocks.next_known(PageIndex(0), PageIndex(99)), PageIndex(99), "nothing before");
    }
}
