//! Finding readers that nobody expected, by walking the page table.

use std::io;
use std::time::Instant;

use super::View;
use super::blocks::{Blocks, Known};
use crate::page::{ByteLen, Nanos, PageCount, PageIndex, PageRange};
use crate::stats::Counters;

/// A sweep that took one unit of time is followed by this many without: 0.4% of a core at most.
const REST_FACTOR: u64 = 256;
/// A mapping that hardly has page tables yet is swept in microseconds; it may be swept more often,
/// since that ends with the first readers.
const REST_FACTOR_SHORT: u64 = 64;
const SHORT_NANOS: u64 = 30_000;
/// A reader that waits for the disk is worth being found: each of its waits, of 100 us and more, pays for
/// so much of a sweep. A twentieth of a core while all that somebody does is wait.
const EARNED_NANOS: u64 = 8000;
/// What was earned is spent within this many waits, or lost.
const EARNED_MAX: u64 = 64;
/// So many sweeps in a row that found nobody, and somebody who waits is taken to wait elsewhere. The first ones find
/// nobody, who has not begun.
const VAIN_MAX: u32 = 8;
/// What a sweep takes is believed to have doubled since the last one at most, and the first to have taken twice
/// this: one that was interrupted, or ran through cold code, would be rested from for tens of milliseconds.
const TOOK_NANOS_FIRST: u64 = 10_000;
/// The shortest rest.
const REST_NANOS_MIN: u64 = 50_000;
/// One sweep stops after this long and goes on where it stopped.
const RUN_NANOS_MAX: u64 = 300_000;
/// Address space of one scan call at first. It doubles while calls stay quick (empty page tables
/// are skipped in large steps) and halves when they do not.
const CHUNK_BYTES_FIRST: u64 = 64 << 20;
const CHUNK_NANOS: u64 = 50_000;
/// Runs of present pages taken from one scan call.
const RUNS_MAX: usize = 256;

/// Walks a mapping again and again, as seldom as it is dear.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    cursor: PageIndex,
    chunk: PageCount,
    not_before: Nanos,
    /// What the last one took, how much was earned since, and how many found nobody lately.
    took: u64,
    earned: u64,
    vain: u32,
}

impl Sweep {
    /// Readers waited for the disk so often since the last time.
    pub(crate) fn earn(&mut self, waits: u64) {
        self.earned = (self.earned + waits * EARNED_NANOS).min(EARNED_MAX * EARNED_NANOS);
    }

    fn is_due(&self, now: Nanos) -> bool {
        let is_earned = self.earned > 0 && self.earned >= self.took;
        now >= self.not_before || (self.vain < VAIN_MAX && is_earned)
    }

    /// Adds to `found` every run of pages that are present and not `known`, and makes them known.
    /// Blocks that are gone are forgotten, so that they are found again when a reader comes back.
    pub(crate) fn run(
        &mut self,
        view: &View,
        now: Nanos,
        known: &mut Blocks,
        found: &mut Vec<PageRange>,
        counters: &Counters,
    ) -> io::Result<()> {
        if !self.is_due(now) {
            return Ok(());
        }
        let begun = Instant::now();
        let found_before = found.len();
        let elapsed = |since: Instant| since.elapsed().as_nanos() as u64;
        let mut swept = PageCount(0);
        while elapsed(begun) < RUN_NANOS_MAX && swept < view.pages().count() {
            let chunk_begun = Instant::now();
            swept = PageCount(swept.0 + self.chunk_at_cursor(view, known, found)?.0);
            Counters::add(&counters.polls, 1);
            self.resize_chunk(view, elapsed(chunk_begun));
        }
        self.rest(now, elapsed(begun), found.len() - found_before);
        Ok(())
    }

    /// A sweep has `took` so many nanoseconds, and found so many readers.
    fn rest(&mut self, now: Nanos, took: u64, found: usize) {
        let took = took.min(2 * self.took.max(TOOK_NANOS_FIRST));
        let factor = if took < SHORT_NANOS { REST_FACTOR_SHORT } else { REST_FACTOR };
        let rest = (took * factor).max(REST_NANOS_MIN);
        self.not_before = Nanos(now.0 + rest);
        (self.took, self.earned) = (took, 0);
        self.vain = if found > 0 { 0 } else { self.vain.saturating_add(1) };
    }

    /// Sweeps one chunk from the cursor on and returns how many pages that were.
    fn chunk_at_cursor(
        &mut self,
        view: &View,
        known: &mut Blocks,
        found: &mut Vec<PageRange>,
    ) -> io::Result<PageCount> {
        if self.chunk.0 == 0 {
            self.chunk = view.page_size.pages_for(ByteLen(CHUNK_BYTES_FIRST));
        }
        let pages = PageRange::at(self.cursor, self.chunk).intersect(view.pages());
        let page_at =
            |offset: usize| pages.start.plus(view.page_size.whole_pages_in(ByteLen(offset as u64)));
        let mut seen = pages.start;
        let span = view.span_of(pages);
        let walked = view.pagemap.present(span, RUNS_MAX, |from, to| {
            let run = PageRange::new(page_at(from), page_at(to));
            known.forget_within(PageRange::new(seen, run.start));
            known.unknown_in(run, |range| found.push(range));
            known.assign(run, Known::Yes);
            seen = run.end;
        })?;
        let walked = page_at(walked);
        known.forget_within(PageRange::new(seen, walked));
        self.cursor = if walked >= view.pages().end { PageIndex(0) } else { walked };
        Ok(walked.since(pages.start).max(PageCount(1)))
    }

    fn resize_chunk(&mut self, view: &View, took_nanos: u64) {
        let least = view.page_size.pages_for(ByteLen(CHUNK_BYTES_FIRST / 16));
        self.chunk = if took_nanos < CHUNK_NANOS {
            PageCount(self.chunk.0.saturating_mul(2)).min(view.pages().count())
        } else {
            PageCount(self.chunk.0 / 2)
        };
        self.chunk = self.chunk.max(least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_reader_that_waits_for_the_disk_is_looked_for_after_its_third_wait() {
        let mut sweep = Sweep::default();
        let now = Nanos(1_000_000);
        assert!(sweep.is_due(now));
        // Interrupted, maybe.
        sweep.rest(now, 400_000, 0);
        sweep.earn(2);
        assert!(!sweep.is_due(now), "not paid for");
        sweep.earn(1);
        assert!(sweep.is_due(now));
    }

    #[test]
    fn sweeps_that_go_on_taking_long_are_rested_from_accordingly() {
        let mut sweep = Sweep::default();
        let now = Nanos(1_000_000);
        (0..5).for_each(|_| sweep.rest(now, 100_000, 0));
        assert!(!sweep.is_due(Nanos(now.0 + 100_000 * REST_FACTOR - 1)));
        assert!(sweep.is_due(Nanos(now.0 + 100_000 * REST_FACTOR)));
    }

    #[test]
    fn whoever_is_not_found_by_some_sweeps_waits_elsewhere_until_somebody_is() {
        let mut sweep = Sweep::default();
        let now = Nanos(1_000_000);
        for _ in 0..VAIN_MAX {
            sweep.earn(64);
            assert!(sweep.is_due(now));
            sweep.rest(now, 100_000, 0);
        }
        sweep.earn(64);
        assert!(!sweep.is_due(now));
        sweep.rest(now, 100_000, 1);
        sweep.earn(64);
        assert!(sweep.is_due(now));
    }
}
