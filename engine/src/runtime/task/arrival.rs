//! How long the device takes, and whether pages come before their reader: one read at a time is looked
//! out for.

use std::collections::VecDeque;

use super::Kit;
use crate::page::{Nanos, PageRange};
use crate::policy::Event;
use crate::residency::Residency;
use crate::stats::Counters;

/// A read that is seen to end later than this says nothing.
const ARRIVAL_NANOS_MAX: u64 = 1_000_000_000;
/// Reads that have come and wait for their reader; the oldest are forgotten first.
const WAITING_MAX: usize = 64;

/// Reads that are looked out for.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// What the device was started on, and when.
    under_way: Option<(PageRange, Nanos)>,
    /// What came since the last look, and how long the device took.
    came: Option<(PageRange, Nanos)>,
    /// What came before its reader.
    waiting: VecDeque<PageRange>,
}

impl Kit {
    /// Tells the policy how long the device took for what is looked out for, if it has come.
    pub(super) fn look_for_arrival(&mut self, now: Nanos) {
        let Some((range, begun)) = self.arrivals.under_way else { return };
        let took = now.since(begun);
        match self.fetch.residency(self.view.span_of(range)) {
            // Nobody looked for so long, or it was evicted, or the device is stuck.
            _ if took.0 >= ARRIVAL_NANOS_MAX => self.arrivals.under_way = None,
            Residency::Resident => {
                self.policy.on(&Event::Arrived { range, took }, &mut self.plan);
                self.arrivals.under_way = None;
                self.arrivals.came = Some((range, took));
            }
            Residency::Absent => {}
            Residency::Unknown => self.arrivals.under_way = None,
        }
    }

    pub(super) fn look_out_for(&mut self, range: PageRange, begun: Nanos) {
        self.arrivals.under_way.get_or_insert((range, begun));
    }

    /// Which of them their readers have touched, by this look: those that came before it were in time. One
    /// that came with its reader is late by no more than the reader has not been seen to go on.
    pub(super) fn judge_arrivals(&mut self, now: Nanos, counters: &Counters) {
        let Kit { arrivals, ledger, touches, pace, .. } = self;
        let is_touched = |range: &PageRange| {
            !ledger.holds(range.start) || touches.passed.iter().any(|&page| range.contains(page))
        };
        let before = arrivals.waiting.len();
        arrivals.waiting.retain(|range| !is_touched(range));
        let in_time = before - arrivals.waiting.len();
        Counters::add(&counters.arrived_in_time, in_time as u64);
        let Some((range, took)) = arrivals.came.take() else { return };
        if is_touched(&range) {
            let late_by = now.since(pace.progress_at()).min(took);
            Counters::add(counter_of(late_by, counters), 1);
        } else {
            if arrivals.waiting.len() == WAITING_MAX {
                arrivals.waiting.pop_front();
            }
            arrivals.waiting.push_back(range);
        }
    }
}

fn counter_of(late_by: Nanos, counters: &Counters) -> &std::sync::atomic::AtomicU64 {
    match late_by.0 {
        0..100_000 => &counters.arrived_late_100us,
        100_000..1_000_000 => &counters.arrived_late_1ms,
        1_000_000..10_000_000 => &counters.arrived_late_10ms,
        _ => &counters.arrived_late_longer,
    }
}
