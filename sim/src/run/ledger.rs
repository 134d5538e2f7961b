//! Who brought which page, and who used it.

use mmap_ahead::page::{PageCount, PageIndex, PageRange};

/// A plan brought it.
const FETCHED: u8 = 1;
/// A reader was there.
const TOUCHED: u8 = 2;

/// A byte for each page of the file.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pages: Vec<u8>,
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
            pages: vec![0; usize::try_from(count.0).expect("a file's pages fit into memory")],
            passed: PageIndex(0),
            ahead: PageCount(0),
            fetched: PageCount(0),
            used: PageCount(0),
        }
    }

    /// Every page.
    pub(crate) fn all(&self) -> PageRange {
        PageRange::at(PageIndex(0), PageCount(self.pages.len() as u64))
    }

    /// A reader was at `page`.
    #[inline]
    pub(crate) fn touch(&mut self, page: PageIndex) {
        let flags = &mut self.pages[page.0 as usize];
        self.used.0 += u64::from(*flags == FETCHED);
        *flags |= TOUCHED;
        if page >= self.passed {
            self.pass(page);
        }
    }

    fn pass(&mut self, page: PageIndex) {
        let next = PageIndex(page.0 + 1);
        let left = &self.pages[self.passed.0 as usize..next.0 as usize];
        self.ahead.0 -= left.iter().filter(|flags| **flags & FETCHED != 0).count() as u64;
        self.passed = next;
    }

    /// Whether a plan brought `page`, or is about to.
    pub(crate) fn is_fetched(&self, page: PageIndex) -> bool {
        self.pages[page.0 as usize] & FETCHED != 0
    }

    /// Whether a reader was at `page`.
    pub(crate) fn is_touched(&self, page: PageIndex) -> bool {
        self.pages[page.0 as usize] & TOUCHED != 0
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
            if self.pages[at as usize] == 0 && is_missing(page) {
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
            if self.pages[at as usize] == 0 && is_missing(page) {
                self.pages[at as usize] = FETCHED;
                self.fetched.0 += 1;
                self.ahead.0 += u64::from(page >= self.passed);
            }
        }
    }

    /// Pages that plans brought, and how many of them were touched later.
    pub(crate) fn fetched_and_used(&self) -> (PageCount, PageCount) {
        (self.fetched, self.used)
    }

    /// How many different pages were touched.
    pub(crate) fn touched(&self) -> PageCount {
        PageCount(self.pages.iter().filter(|flags| **flags & TOUCHED != 0).count() as u64)
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
