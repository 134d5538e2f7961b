//! Plans carried out, a piece at a time.

use std::io;

use super::{BeforeFetch, Kit, Work};
use crate::fetch::Read;
use crate::page::{ByteLen, PageCount, PageRange};
use crate::policy::{self, Event, Outcome, Window};
use crate::runtime::clock;
use crate::runtime::ledger::How;
use crate::runtime::shared::Shared;
use crate::stats::Counters;
use crate::sys::{self, Span};

impl Kit {
    /// Remembers what was carried out, until somebody passes it.
    pub(super) fn note(&mut self, range: PageRange, how: How, counters: &Counters) {
        Counters::add(&counters.pages_ahead, self.ledger.add(range, how).0);
    }

    pub(super) fn carry_out(&mut self, work: Work, shared: &Shared, before_fetch: BeforeFetch<'_>) {
        let begun = clock::now();
        let counters = &shared.counters;
        let (what, range, result) = match work {
            Work::Read(range) => {
                (policy::Fetch::Read, range, self.read(range, counters, before_fetch))
            }
            Work::Map(window) => {
                (policy::Fetch::Window, window.range, self.map(window, counters, before_fetch))
            }
            Work::Step(step) => return self.take_steps(step, counters, before_fetch),
        };
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => {
                Counters::add(&counters.refused, 1);
                tracing::debug!(%error, %range, "mmap-ahead: a fetch was refused");
                Outcome::Refused
            }
        };
        let took = clock::now().since(begun);
        self.plan.clear();
        self.policy.on(&Event::Fetched { what, range, took, outcome }, &mut self.plan);
        self.queue_plan();
    }

    fn read(
        &mut self,
        range: PageRange,
        counters: &Counters,
        before_fetch: BeforeFetch<'_>,
    ) -> io::Result<Outcome> {
        let span = self.view.span_of(range);
        let found = self.fetch.to_read(span);
        match found {
            Read::Left => {
                self.is_cold = false;
                self.note(range, How::LEFT, counters);
            }
            Read::Resident => {
                self.resident += 1;
                self.note(range, How::LEFT, counters);
            }
            Read::Absent => {
                self.is_cold = true;
                let range = self.within_process(range, counters);
                let fresh = self.ledger.missing(range);
                if fresh == PageCount(0) {
                    // Left out, or on its way since an earlier plan.
                    return Ok(Outcome::Done);
                }
                let span = self.view.span_of(range);
                self.look_out_for(range, clock::now());
                before_fetch();
                self.start(&[span], fresh, counters)?;
                self.note(range, How::READ, counters);
            }
        }
        Ok(Outcome::Done)
    }

    /// Has the device started on `spans`, of which so many pages are `fresh`.
    pub(super) fn start(
        &mut self,
        spans: &[Span],
        fresh: PageCount,
        counters: &Counters,
    ) -> io::Result<()> {
        let in_blocks = self.fetch.start(spans)? as u64;
        let in_blocks = self.view.page_size.pages_for(ByteLen(in_blocks)).min(fresh);
        Counters::add(&counters.pages_in_blocks, in_blocks.0);
        Counters::add(&counters.pages_read_ahead, fresh.0);
        self.started += 1;
        Ok(())
    }

    fn map(
        &mut self,
        window: Window,
        counters: &Counters,
        before_fetch: BeforeFetch<'_>,
    ) -> io::Result<Outcome> {
        let Kit { view, observer, fetch, .. } = self;
        if observer.leaves_window(view, window, &mut **fetch, counters)? {
            self.note(window.range, How::WINDOW_LEFT, counters);
            return Ok(Outcome::Done);
        }
        let range = self.within_process(window.range, counters);
        if range.is_empty() {
            return Ok(Outcome::Done);
        }
        let trigger = window.trigger.filter(|&page| range.contains(page));
        let window = Window { range, trigger };
        let Kit { view, observer, fetch, .. } = self;
        before_fetch();
        observer.map_window(view, window, &mut **fetch, counters)?;
        sys::tell_own_faults();
        // What is left out for the reader to fault in.
        let marker = trigger.map(|page| view.block_of(page).intersect(range)).unwrap_or_default();
        let before = PageRange::new(range.start, marker.start);
        self.note(before, How::MAPPED, counters);
        self.note(marker, How::WINDOW_LEFT, counters);
        self.note(PageRange::new(before.end.max(marker.end), range.end), How::MAPPED, counters);
        Ok(Outcome::Done)
    }
}
