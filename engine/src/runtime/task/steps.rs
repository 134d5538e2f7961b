//! Steps of streams: read in batches, each alone, and watched.

use std::io;

use super::{BeforeFetch, Kit, Work};
use crate::page::{ByteLen, PageCount, PageRange};
use crate::policy::{self, Event, Outcome, Step};
use crate::residency::Residency;
use crate::runtime::clock;
use crate::runtime::ledger::How;
use crate::stats::Counters;
use crate::sys::Span;

/// Steps read by one call, and how many bytes of them: what a drop may have to wait for.
const STEPS_AT_ONCE: usize = 32;
const STEPS_BYTES_MAX: u64 = 2 << 20;
/// Steps of so many bytes are left to a kernel that reads a disk at its speed by itself, as runs are: a
/// run whose windows arrive in spurts looks like blocks of MiBs, and cost half its speed when it was read
/// so (cold ext4, 8 MiB of read-ahead, 2 of 31 runs).
const LEFT_BYTES: u64 = 512 << 10;

impl Kit {
    /// Reads `first` and the steps that are queued right behind it in one go, those that follow each
    /// other in the file as one range, and watches them.
    pub(super) fn take_steps(
        &mut self,
        first: Step,
        counters: &Counters,
        before_fetch: BeforeFetch<'_>,
    ) {
        let begun = clock::now();
        let steps = self.steps_with(first);
        let mut absent = Vec::new();
        let found = steps.iter().map(|&step| self.found(step, &mut absent, counters));
        let mut outcomes: Vec<_> = found.collect();
        if !absent.is_empty() {
            before_fetch();
            if let Err(error) = self.start_steps(&absent, counters) {
                Counters::add(&counters.refused, 1);
                tracing::debug!(%error, "mmap-ahead: steps were refused");
                outcomes.fill(Some(Outcome::Refused));
            }
        }
        for (step, outcome) in steps.iter().zip(&outcomes) {
            if *outcome == Some(Outcome::Done) {
                let how = if step.stream.is_some() { How::READ } else { How::TAIL };
                self.note(step.range, how, counters);
            }
        }
        let took = clock::now().since(begun);
        self.plan.clear();
        for (step, outcome) in steps.iter().zip(outcomes) {
            let (what, range) = (policy::Fetch::Step, step.range);
            if let Some(outcome) = outcome {
                self.policy.on(&Event::Fetched { what, range, took, outcome }, &mut self.plan);
            }
        }
        self.queue_plan();
    }

    /// `first` and those that are queued right behind it, as many as one call may read.
    fn steps_with(&mut self, first: Step) -> Vec<Step> {
        let most = self.view.page_size.pages_for(ByteLen(STEPS_BYTES_MAX));
        let mut left = PageCount(most.0.saturating_sub(first.range.count().0));
        let mut steps = vec![first];
        while let Some(&Work::Step(step)) = self.pending.front()
            && steps.len() < STEPS_AT_ONCE
            && step.range.count() <= left
        {
            left = PageCount(left.0 - step.range.count().0);
            steps.push(step);
            self.pending.pop_front();
        }
        steps
    }

    /// Watches `step` and adds it to `absent`, unless it is in memory. How it went, or none for one that
    /// its reader came to first: that says nothing.
    fn found(
        &mut self,
        step: Step,
        absent: &mut Vec<PageRange>,
        counters: &Counters,
    ) -> Option<Outcome> {
        if self.fetch.residency(self.view.span_of(step.range)) == Residency::Resident {
            return match self.view.any_present(step.range) {
                Ok(true) => {
                    Counters::add(&counters.late, 1);
                    None
                }
                Ok(false) => Some(Outcome::Resident),
                Err(_) => Some(Outcome::Refused),
            };
        }
        let (span, pages) = (self.view.span_of(step.range), step.range.count());
        if pages >= self.view.page_size.pages_for(ByteLen(LEFT_BYTES)) && self.fetch.leaves(span) {
            return None;
        }
        if self.within_process(step.range, counters) != step.range {
            self.ledger.unplan(step.range);
            return None;
        }
        let watched = self.observer.watch_step(&self.view, step, counters);
        match absent.last_mut() {
            Some(last) if last.end == step.range.start => last.end = step.range.end,
            Some(last) if last.start == step.range.end => last.start = step.range.start,
            _ => absent.push(step.range),
        }
        Some(if watched.is_ok() { Outcome::Done } else { Outcome::Refused })
    }

    fn start_steps(&mut self, absent: &[PageRange], counters: &Counters) -> io::Result<()> {
        if let Some(&last) = absent.last() {
            self.look_out_for(last, clock::now());
        }
        let spans: Vec<Span> = absent.iter().map(|&range| self.view.span_of(range)).collect();
        let pages = absent.iter().map(|range| range.count().0).sum();
        self.start(&spans, PageCount(pages), counters)
    }
}
