//! Who brought which page, and who used it.

use mmap_ahead::page::{PageCount, PageIndex, PageRange};

/// Two bits for each page of the file: small enough to stay in a processor's cache.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    count: PageCount,
    /// Pages that plans brought.
    brought: Pages,
    /// Pages where readers were.
    touched: Pages,
    /// The page after the furthest touch.
    passed: PageIndex,
    /// Pages beyond `passed` that plans brought.
    ahead: PageCount,
    fetched: PageCount,
    used: PageCount,
}

impl Ledger {
    pub(crate) fn new(count: PageCount) -> Ledger {
        Ledger {
            count,
            brought: Pages::none_of(count),
            touched: Pages::none_of(count),
            passed: PageIndex(0),
            ahead: PageCount(0),
            fetched: PageCount(0),
            used: PageCount(0),
        }
    }

    /// Every page.
    pub(crate) fn all(&self) -> PageRange {
        PageRange::at(PageIndex(0), self.count)
    }

    /// A reader was at `page`.
    #[inline]
    pub(crate) fn touch(&mut self, page: PageIndex) {
        if self.touched.add(page) {
            self.used.0 += u64::from(self.brought.has(page));
        }
        if page >= self.passed {
            self.pass(page);
        }
    }

    fn pass(&mut self, page: PageIndex) {
        let left = (self.passed.0..=page.0).filter(|page| self.brought.has(PageIndex(*page)));
        self.ahead.0 -= left.count() as u64;
        self.passed = PageIndex(page.0 + 1);
    }

    /// Whether a plan brought `page`, or is about to.
    pub(crate) fn is_fetched(&self, page: PageIndex) -> bool {
        self.brought.has(page)
    }

    /// Whether a reader was at `page`.
    pub(crate) fn is_touched(&self, page: PageIndex) -> bool {
        self.touched.has(page)
    }

    /// The page after the furthest touch.
    pub(crate) fn passed(&self) -> PageIndex {
        self.passed
    }

    /// How many pages beyond the furthest touch were brought by a plan.
    pub(crate) fn ahead(&self) -> PageCount {
        self.ahead
    }

    /// The longest start of `range` that brings at most `room` pages more [`Ledger::ahead`]: pages
    /// that are ahead already, passed, or not missing cost nothing.
    pub(crate) fn clip(
        &self,
        range: PageRange,
        room: PageCount,
        is_missing: impl Fn(PageIndex) -> bool,
    ) -> PageRange {
        let mut left = room.0;
        for at in range.start.0.max(self.passed.0)..range.end.0 {
            let page = PageIndex(at);
            if self.is_new(page) && is_missing(page) {
                if left == 0 {
                    return PageRange::new(range.start, page);
                }
                left -= 1;
            }
        }
        range
    }

    /// Notes that a plan brings `range`: what was missing, and what nobody had before, counts.
    pub(crate) fn fetch(&mut self, range: PageRange, is_missing: impl Fn(PageIndex) -> bool) {
        for at in range.start.0..range.end.0 {
            let page = PageIndex(at);
            if self.is_new(page) && is_missing(page) {
                self.brought.add(page);
                self.fetched.0 += 1;
                self.ahead.0 += u64::from(page >= self.passed);
            }
        }
    }

    fn is_new(&self, page: PageIndex) -> bool {
        !self.brought.has(page) && !self.touched.has(page)
    }

    /// Pages that plans brought, and how many of them were touched later.
    pub(crate) fn fetched_and_used(&self) -> (PageCount, PageCount) {
        (self.fetched, self.used)
    }

    /// How many different pages were touched.
    pub(crate) fn touched(&self) -> PageCount {
        PageCount(self.touched.0.iter().map(|word| u64::from(word.count_ones())).sum())
    }
}

/// A set of pages: a bit for each.
#[derive(Clone, Debug)]
struct Pages(Vec<u64>);

impl Pages {
    fn none_of(count: PageCount) -> Pages {
        let words = usize::try_from(count.0.div_ceil(64)).expect("a file's pages fit into memory");
        Pages(vec![0; words])
    }

    #[inline]
    fn has(&self, page: PageIndex) -> bool {
        self.0[(page.0 / 64) as usize] >> (page.0 % 64) & 1 == 1
    }

    /// Whether it was not in it before.
    #[inline]
    fn add(&mut self, page: PageIndex) -> bool {
        let (word, bit) = (&mut self.0[(page.0 / 64) as usize], 1 << (page.0 % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(start: u64, end: u64) -> PageRange {
        PageRange::new(PageIndex(start), PageIndex(end))
    }

    #[test]
    fn only_pages_beyond_the_furthest_touch_count_as_ahead() {
        let mut ledger = Ledger::new(PageCount(16));
        ledger.fetch(pages(4, 12), |_| true);
        assert_eq!(ledger.ahead(), PageCount(8));
        ledger.touch(PageIndex(7));
        assert_eq!(ledger.ahead(), PageCount(4), "4..8 are passed");
        ledger.touch(PageIndex(5));
        ledger.touch(PageIndex(5));
        assert_eq!(ledger.fetched_and_used(), (PageCount(8), PageCount(2)));
        assert_eq!(ledger.touched(), PageCount(2));
        assert_eq!(ledger.clip(pages(6, 16), PageCount(1), |_| true), pages(6, 13));
        assert_eq!(ledger.clip(pages(6, 16), PageCount(0), |_| true), pages(6, 12));
        assert_eq!(ledger.clip(pages(6, 16), PageCount(0), |_| false), pages(6, 16));
    }

    #[test]
    fn what_was_there_or_touched_before_is_not_fetched() {
        let mut ledger = Ledger::new(PageCount(16));
        ledger.touch(PageIndex(1));
        ledger.fetch(pages(0, 4), |page| page != PageIndex(2));
        assert_eq!(ledger.fetched_and_used().0, PageCount(2), "0 and 3");
        assert!(ledger.is_fetched(PageIndex(3)) && !ledger.is_fetched(PageIndex(1)));
    }
}
