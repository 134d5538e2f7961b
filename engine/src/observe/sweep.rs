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
    /// What the last one took, how much was earned since, and whether it found anything: nobody is known to
    /// wait for this mapping otherwise.
    took: u64,
    earned: u64,
    is_of_use: bool,
}

impl Sweep {
    /// Readers waited for the disk so often since the last time.
    pub(crate) fn earn(&mut self, waits: u64) {
        self.earned = (self.earned + waits * EARNED_NANOS).min(EARNED_MAX * EARNED_NANOS);
    }

    fn is_due(&self, now: Nanos) -> bool {
        now >= self.not_before || (self.is_of_use && self.earned > 0 && self.earned >= self.took)
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
        let took = elapsed(begun);
        let factor = if took < SHORT_NANOS { REST_FACTOR_SHORT } else { REST_FACTOR };
        let rest = (took * factor).max(REST_NANOS_MIN);
        self.not_before = Nanos(now.0 + rest);
        (self.took, self.earned) = (took, 0);
        self.is_of_use = found.len() > found_before;
        Ok(())
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
