//! When to look again: as often as the reader moves, seldom when it does not, and hardly ever when
//! looking wins nothing.

use crate::page::{Nanos, PageIndex};

const LOOK_NANOS_MIN: u64 = 20_000;
/// A reader that goes on is looked at this often at least.
const LOOK_NANOS_MOVING: u64 = 500_000;
/// The same for one that waits for the disk: what it brings is taken in a moment.
const LOOK_NANOS_DISK: u64 = 1_000_000;
const LOOK_NANOS_MAX: u64 = 10_000_000;
/// The first look at a new mapping.
pub(super) const LOOK_NANOS_FIRST: u64 = 100_000;
/// Looks in vain at the slowest rate, after which a mapping is left to the idle check.
const VAIN_LOOKS_MAX: u32 = 8;
/// The shortest and the longest rest of a calm mapping.
const CALM_NANOS_FIRST: u64 = 1_000_000;
const CALM_NANOS_MAX: u64 = 16_000_000;

/// What to do after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Come back at this time.
    At(Nanos),
    /// Nobody reads: look again when the process has faulted.
    Dormant,
    /// The bell says when.
    Rings,
}

/// The rhythm of one mapping.
#[derive(Debug)]
pub(super) struct Pace {
    interval: u64,
    vain_looks: u32,
    calm: u32,
    progress_at: Nanos,
    progress_to: PageIndex,
    pages_per_milli: u64,
}

impl Pace {
    pub(super) fn new() -> Pace {
        Pace {
            interval: LOOK_NANOS_FIRST,
            vain_looks: 0,
            calm: 0,
            progress_at: Nanos(0),
            progress_to: PageIndex(0),
            pages_per_milli: 0,
        }
    }

    /// A reader was seen, now at `page`.
    pub(super) fn progressed(&mut self, now: Nanos, page: PageIndex) {
        let took = now.since(self.progress_at).0.max(1);
        let is_first = self.progress_at == Nanos(0);
        self.pages_per_milli = page.since(self.progress_to).0.saturating_mul(1_000_000) / took;
        let interval = if is_first { LOOK_NANOS_MIN } else { took / 4 };
        self.interval = interval.clamp(LOOK_NANOS_MIN, LOOK_NANOS_MOVING);
        self.progress_at = now;
        self.progress_to = page;
        self.vain_looks = 0;
    }

    /// Where the reader was last seen.
    pub(super) fn reader(&self) -> PageIndex {
        self.progress_to
    }

    /// When the reader was last seen to go on; 0 if it never was.
    pub(super) fn progress_at(&self) -> Nanos {
        self.progress_at
    }

    /// Nobody was seen.
    pub(super) fn waited(&mut self) {
        self.interval = (self.interval * 3 / 2).min(LOOK_NANOS_MAX);
        if self.interval == LOOK_NANOS_MAX {
            self.vain_looks += 1;
        }
    }

    /// Nobody was seen, but the disk is at work for somebody, who goes on when it is done.
    pub(super) fn waited_for_disk(&mut self) {
        self.interval = (self.interval * 3 / 2).min(LOOK_NANOS_DISK);
    }

    /// Everything ahead is in memory and mapping it wins nothing: rest, longer each time. Returns
    /// how many pages the reader may pass until the next look.
    pub(super) fn rest(&mut self) -> u64 {
        self.calm = (self.calm + 1).min(8);
        self.pages_per_milli.saturating_mul(2 * self.calm_nanos()) / 1_000_000
    }

    /// Whether it rests.
    pub(super) fn is_calm(&self) -> bool {
        self.calm > 0
    }

    /// There is something to do after all.
    pub(super) fn wake(&mut self) {
        self.calm = 0;
    }

    pub(super) fn next(&self, now: Nanos) -> Next {
        if self.vain_looks >= VAIN_LOOKS_MAX {
            return Next::Dormant;
        }
        Next::At(Nanos(now.0 + self.interval.max(self.calm_nanos())))
    }

    fn calm_nanos(&self) -> u64 {
        match self.calm {
            0 => 0,
            calm => (CALM_NANOS_FIRST << (calm - 1)).min(CALM_NANOS_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_that_nobody_reads_becomes_dormant_within_a_second() {
        let mut pace = Pace::new();
        let mut now = Nanos(0);
        while let Next::At(at) = pace.next(now) {
            now = at;
            pace.waited();
        }
        assert!(now.0 < 1_000_000_000, "{now:?}");
    }

    #[test]
    fn a_moving_reader_is_looked_at_four_times_between_its_steps() {
        let mut pace = Pace::new();
        pace.progressed(Nanos(1_000_000), PageIndex(512));
        pace.progressed(Nanos(1_400_000), PageIndex(1024));
        assert_eq!(pace.next(Nanos(1_400_000)), Next::At(Nanos(1_500_000)));
    }

    #[test]
    fn a_reader_that_waits_for_the_disk_is_looked_for_every_millisecond() {
        let mut pace = Pace::new();
        (0..100).for_each(|_| pace.waited_for_disk());
        assert_eq!(pace.next(Nanos(0)), Next::At(Nanos(1_000_000)));
    }

    #[test]
    fn rests_grow_and_say_how_far_the_reader_gets() {
        let mut pace = Pace::new();
        pace.progressed(Nanos(1_000_000), PageIndex(0));
        pace.progressed(Nanos(2_000_000), PageIndex(1000));
        assert_eq!(pace.rest(), 2000);
        assert_eq!(pace.rest(), 4000);
        assert_eq!(pace.next(Nanos(0)), Next::At(Nanos(2_000_000)));
        pace.wake();
        assert_eq!(pace.next(Nanos(0)), Next::At(Nanos(250_000)));
    }
}
