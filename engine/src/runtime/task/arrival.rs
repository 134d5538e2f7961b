//! How long the device takes: one read at a time is looked out for.

use super::Kit;
use crate::page::{Nanos, PageRange};
use crate::policy::Event;
use crate::residency::Residency;

/// A read that is seen to end later than this says nothing.
const ARRIVAL_NANOS_MAX: u64 = 1_000_000_000;

/// Pages that the device was started on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arriving {
    range: PageRange,
    begun: Nanos,
}

impl Kit {
    /// Tells the policy how long the device took for what is looked out for, if it has come.
    pub(super) fn look_for_arrival(&mut self, now: Nanos) {
        let Some(Arriving { range, begun }) = self.arriving else { return };
        let took = now.since(begun);
        match self.fetch.residency(self.view.span_of(range)) {
            // Nobody looked for so long, or it was evicted, or the device is stuck.
            _ if took.0 >= ARRIVAL_NANOS_MAX => self.arriving = None,
            Residency::Resident => {
                self.policy.on(&Event::Arrived { range, took }, &mut self.plan);
                self.arriving = None;
            }
            Residency::Absent => {}
            Residency::Unknown => self.arriving = None,
        }
    }

    pub(super) fn look_out_for(&mut self, range: PageRange, begun: Nanos) {
        self.arriving.get_or_insert(Arriving { range, begun });
    }
}
