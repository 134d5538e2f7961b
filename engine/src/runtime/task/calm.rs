//! Rest where everything ahead is in memory, and mapping it wins nothing.

use super::Kit;
use crate::fetch::samples_are_cached;
use crate::page::{PageCount, PageRange};

/// Bytes between two pages that are asked about when everything ahead seems to be in memory.
const CALM_SAMPLE_BYTES: usize = 8 << 20;
const CALM_SAMPLES_MAX: usize = 32;

impl Kit {
    /// Large folios, all in memory: there is nothing to win.
    pub(super) fn rest_if_calm(&mut self) {
        if self.started > 0 || !self.observer.is_still() {
            self.pace.wake();
        } else if self.resident > 0 && !self.pace.is_calm() {
            self.rest();
        }
    }

    /// Looks ahead as far as the reader can get until the next look, and at all that is planned for
    /// whomever, and rests until then if all of that is in memory. Returns whether it does.
    pub(super) fn rest(&mut self) -> bool {
        let reader = self.pace.reader();
        let ahead = PageRange::at(reader, PageCount(self.pace.rest())).intersect(self.view.pages());
        let is_cached = |range: PageRange| {
            let span = self.view.span_of(range.intersect(self.view.pages()));
            let samples = (span.len / CALM_SAMPLE_BYTES).clamp(1, CALM_SAMPLES_MAX);
            samples_are_cached(span, samples)
        };
        let rests = !ahead.is_empty()
            && is_cached(ahead)
            && self.plan.steps().iter().all(|step| is_cached(step.range))
            && runs_of(self.plan.reads()).into_iter().all(is_cached);
        if !rests {
            self.pace.wake();
        }
        rests
    }
}

/// `ranges` with those that follow each other made one.
fn runs_of(ranges: &[PageRange]) -> Vec<PageRange> {
    let mut runs: Vec<PageRange> = Vec::new();
    for &range in ranges {
        match runs.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => runs.push(range),
        }
    }
    runs
}
