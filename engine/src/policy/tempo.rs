//! How fast a reader goes and how long the device takes, and so how far ahead is early enough.

use crate::page::Nanos;

/// What the device is taken to need before anything was measured: a guess between a fast SSD (0.1 ms)
/// and a network file system (several ms).
const LATENCY_NANOS_GUESS: u64 = 1_000_000;
/// The engine may learn of a reader's progress this much later: the longest pause between two looks
/// at a reader that goes on.
const NOTICE_NANOS: u64 = 500_000;
/// How much a new measurement counts: one part in 4.
const WEIGHT: u64 = 4;
/// Parts of a unit that a way is kept in.
const PARTS: u64 = 1024;

/// The device, as it was lately.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency(u64);

impl Latency {
    pub(crate) fn new() -> Latency {
        Latency(LATENCY_NANOS_GUESS)
    }

    /// Pages arrived `took` after they were asked for.
    pub(crate) fn measured(&mut self, took: Nanos) {
        self.0 = mix(self.0, took.0);
    }

    /// How long before its touch a page should be asked for: twice the latency, and the notice.
    pub(crate) fn lead(&self) -> Nanos {
        Nanos(self.0.saturating_mul(2).saturating_add(NOTICE_NANOS))
    }
}

/// A reader's pace: its way lately over the time it took.
///
/// Both are sums: of a reader whose steps are seen in spurts, a few after a long wait and many at once, the mean
/// of the times for one unit would be that of the waits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tempo {
    /// The last two times it was seen, and how far it came from the first to the second.
    before: Nanos,
    seen_at: Nanos,
    units: u64,
    /// The way lately in parts of a unit, and the time that it took; the older the less it counts. No time
    /// before it was measured.
    way: u64,
    time: u64,
}

impl Tempo {
    /// It was seen at `at`, and has gone `units` since the last time; by parts, if one look finds several.
    pub(crate) fn went(&mut self, units: u64, at: Nanos) {
        if at == self.seen_at {
            self.units += units;
            return;
        }
        if self.units > 0 && self.before > Nanos(0) {
            let took = self.seen_at.since(self.before).0.max(1);
            self.way = faded(self.way).saturating_add(self.units.saturating_mul(PARTS));
            self.time = faded(self.time).saturating_add(took);
        }
        (self.before, self.seen_at, self.units) = (self.seen_at, at, units);
    }

    /// How many units it goes in `time`; none while nobody knows.
    pub(crate) fn units_in(&self, time: Nanos) -> Option<u64> {
        self.way.saturating_mul(time.0).checked_div(self.time.saturating_mul(PARTS))
    }
}

fn mix(old: u64, new: u64) -> u64 {
    (old.saturating_mul(WEIGHT - 1).saturating_add(new)) / WEIGHT
}

/// What is left of a sum when another part comes to it.
fn faded(sum: u64) -> u64 {
    sum - sum / WEIGHT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_needs_little_lead_and_a_fast_one_much() {
        let mut latency = Latency::new();
        (0..50).for_each(|_| latency.measured(Nanos(100_000)));
        assert!((690_000..710_000).contains(&latency.lead().0), "{latency:?}");
        let mut tempo = Tempo::default();
        assert_eq!(tempo.units_in(latency.lead()), None);
        (1..50).for_each(|turn| tempo.went(10, Nanos(turn * 1_000_000)));
        assert_eq!(tempo.units_in(Nanos(1_000_000)), Some(10));
        (50..99).for_each(|turn| tempo.went(100, Nanos(turn * 1_000_000)));
        assert!((95..=100).contains(&tempo.units_in(Nanos(1_000_000)).unwrap()));
    }

    #[test]
    fn a_reader_that_is_seen_in_spurts_is_as_fast_as_it_gets_on() {
        let mut tempo = Tempo::default();
        // A step after a millisecond, and fifteen more within 100 us: 16 steps in 1.1 ms.
        let mut at = 1_000_000;
        for _ in 0..50 {
            for (took, units) in [(1_000_000, 1), (100_000, 15)] {
                at += took;
                tempo.went(units, Nanos(at));
            }
        }
        let units = tempo.units_in(Nanos(11_000_000)).unwrap();
        assert!((120..=200).contains(&units), "{units}, where it goes 160");
    }
}
