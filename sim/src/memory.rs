//! The page cache and the page table of the one mapped file: when each page is where.

use mmap_ahead::page::{Nanos, PageCount, PageIndex, PageRange};

/// Later than any moment of a run.
const NEVER: Nanos = Nanos(u64::MAX);

/// Where a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Nobody has asked for it.
    Absent,
    /// It will be in the page cache at this moment.
    Reading(Nanos),
    /// It is cached, and will be in the page table at this moment.
    Mapping(Nanos),
    /// It is in the page cache.
    Cached,
    /// It is in the page table.
    Mapped,
}

#[derive(Clone, Copy, Debug)]
struct Page {
    cached_at: Nanos,
    mapped_at: Nanos,
    fetched: bool,
    touched: bool,
}

/// Every page of the file.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pages: Vec<Page>,
    /// The page after the furthest touch.
    passed: PageIndex,
    /// Pages beyond `passed` that were fetched by a plan.
    ahead: PageCount,
    fetched: PageCount,
    used: PageCount,
}

impl Memory {
    /// `count` pages that are in the page cache since `cached_at`, if at all.
    pub(crate) fn new(count: PageCount, cached_at: Option<Nanos>) -> Memory {
        let cached_at = cached_at.unwrap_or(NEVER);
        let page = Page { cached_at, mapped_at: NEVER, fetched: false, touched: false };
        Memory {
            pages: vec![page; usize::try_from(count.0).expect("a trace's pages fit into memory")],
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

    /// Where `page` is at `now`.
    pub(crate) fn presence(&self, page: PageIndex, now: Nanos) -> Presence {
        let Page { cached_at, mapped_at, .. } = self.pages[page.0 as usize];
        match (cached_at, mapped_at) {
            (_, mapped) if mapped <= now => Presence::Mapped,
            (NEVER, _) => Presence::Absent,
            (cached, _) if cached > now => Presence::Reading(cached),
            (_, NEVER) => Presence::Cached,
            (_, mapped) => Presence::Mapping(mapped),
        }
    }

    /// Whether any page of `range` is in the page table at `now`.
    pub(crate) fn any_mapped(&self, range: PageRange, now: Nanos) -> bool {
        self.slice(range).iter().any(|page| page.mapped_at <= now)
    }

    /// The reader was at `page`.
    pub(crate) fn touch(&mut self, page: PageIndex) {
        let state = &mut self.pages[page.0 as usize];
        if state.fetched && !state.touched {
            self.used.0 += 1;
        }
        state.touched = true;
        let next = page.plus(PageCount(1));
        if next > self.passed {
            let passed = PageRange::new(self.passed, next);
            let left_behind = self.slice(passed).iter().filter(|page| page.fetched).count();
            self.ahead.0 -= left_behind as u64;
            self.passed = next;
        }
    }

    /// The runs of `range` that are neither cached nor on their way.
    pub(crate) fn absent(&self, range: PageRange) -> Vec<PageRange> {
        self.runs(range, |page| page.cached_at == NEVER)
    }

    /// `range` will be in the page cache at `at`, unless it is earlier.
    pub(crate) fn cache(&mut self, range: PageRange, at: Nanos) {
        for page in self.slice_mut(range) {
            page.cached_at = page.cached_at.min(at);
        }
    }

    /// When the last page of `range` is cached: 0 when it is empty.
    pub(crate) fn cached_at(&self, range: PageRange) -> Nanos {
        self.slice(range).iter().map(|page| page.cached_at).max().unwrap_or_default()
    }

    /// Puts those pages of `range` that are cached at `at` into the page table at that moment;
    /// returns the runs that were not there yet.
    pub(crate) fn map(&mut self, range: PageRange, at: Nanos) -> Vec<PageRange> {
        let new = self.runs(range, |page| page.cached_at <= at && page.mapped_at > at);
        for run in &new {
            self.slice_mut(*run).iter_mut().for_each(|page| page.mapped_at = at);
        }
        new
    }

    /// The page after the furthest touch.
    pub(crate) fn passed(&self) -> PageIndex {
        self.passed
    }

    /// How many pages beyond the furthest touch were fetched by a plan.
    pub(crate) fn ahead(&self) -> PageCount {
        self.ahead
    }

    /// The longest start of `range` that brings at most `room` pages more [`Memory::ahead`]: pages
    /// that are ahead already, passed, or where they are wanted cost nothing.
    pub(crate) fn clip(&self, range: PageRange, room: PageCount, want: Want) -> PageRange {
        let mut left = room.0;
        let costs = |at: u64| PageIndex(at) >= self.passed && self.is_news(at, want);
        for at in range.start.0..range.end.0 {
            if costs(at) {
                if left == 0 {
                    return PageRange::new(range.start, PageIndex(at));
                }
                left -= 1;
            }
        }
        range
    }

    /// Notes that a plan fetches `range`: what was not there counts from now on.
    pub(crate) fn fetch(&mut self, range: PageRange, want: Want) {
        for at in range.start.0..range.end.0 {
            if self.is_news(at, want) {
                self.pages[at as usize].fetched = true;
                self.fetched.0 += 1;
                self.ahead.0 += u64::from(PageIndex(at) >= self.passed);
            }
        }
    }

    /// Pages that plans fetched, and how many of them were touched later.
    pub(crate) fn fetched_and_used(&self) -> (PageCount, PageCount) {
        (self.fetched, self.used)
    }

    /// Whether fetching this page changes anything, and nobody fetched or touched it before.
    fn is_news(&self, at: u64, want: Want) -> bool {
        let page = &self.pages[at as usize];
        let missing = match want {
            Want::Cached => page.cached_at == NEVER,
            Want::Mapped => page.mapped_at == NEVER,
        };
        missing && !page.fetched && !page.touched
    }

    fn runs(&self, range: PageRange, is_in: impl Fn(&Page) -> bool) -> Vec<PageRange> {
        let mut runs: Vec<PageRange> = Vec::new();
        for (at, page) in (range.start.0..).zip(self.slice(range)) {
            match runs.last_mut() {
                _ if !is_in(page) => {}
                Some(run) if run.end.0 == at => run.end = PageIndex(at + 1),
                _ => runs.push(PageRange::at(PageIndex(at), PageCount(1))),
            }
        }
        runs
    }

    fn slice(&self, range: PageRange) -> &[Page] {
        &self.pages[range.start.0 as usize..range.end.0 as usize]
    }

    fn slice_mut(&mut self, range: PageRange) -> &mut [Page] {
        &mut self.pages[range.start.0 as usize..range.end.0 as usize]
    }
}

/// How far a fetch brings a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Into the page cache.
    Cached,
    /// Into the page table.
    Mapped,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(start: u64, end: u64) -> PageRange {
        PageRange::new(PageIndex(start), PageIndex(end))
    }

    #[test]
    fn a_page_is_read_then_cached_then_mapped() {
        let mut memory = Memory::new(PageCount(8), None);
        let at = |memory: &Memory, now| memory.presence(PageIndex(2), Nanos(now));
        assert_eq!(at(&memory, 0), Presence::Absent);
        memory.cache(pages(2, 4), Nanos(10));
        assert_eq!(at(&memory, 9), Presence::Reading(Nanos(10)));
        assert_eq!(at(&memory, 10), Presence::Cached);
        assert_eq!(memory.map(pages(0, 8), Nanos(20)), [pages(2, 4)], "only what is cached");
        assert_eq!(at(&memory, 15), Presence::Mapping(Nanos(20)));
        assert_eq!(at(&memory, 20), Presence::Mapped);
        assert_eq!(memory.absent(pages(0, 8)), [pages(0, 2), pages(4, 8)]);
    }

    #[test]
    fn only_pages_beyond_the_furthest_touch_count_as_ahead() {
        let mut memory = Memory::new(PageCount(16), None);
        memory.fetch(pages(4, 12), Want::Cached);
        assert_eq!(memory.ahead(), PageCount(8));
        memory.touch(PageIndex(7));
        assert_eq!(memory.ahead(), PageCount(4), "4..8 are passed");
        memory.touch(PageIndex(5));
        assert_eq!(memory.fetched_and_used(), (PageCount(8), PageCount(2)));
        assert_eq!(memory.clip(pages(6, 16), PageCount(1), Want::Cached), pages(6, 13));
        assert_eq!(memory.clip(pages(6, 16), PageCount(0), Want::Cached), pages(6, 12));
    }
}
