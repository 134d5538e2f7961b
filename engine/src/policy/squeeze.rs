//! Less ahead while memory is short, and as much as before when it is not.

use super::Event;
use crate::page::{Nanos, PageCount};

/// After so long without pressure, twice as much is allowed again. A guess: the kernel's own averages of
/// pressure begin at 10 s, ours is looked at four times a second.
const EASE_NANOS: u64 = 1_000_000_000;
/// However short memory is, one part in so many of the budget stays: 1 MiB of the default.
const LEAST_PART: u64 = 64;

/// The budget, as it is at the moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Squeeze {
    full: PageCount,
    now: PageCount,
    /// When a reader was last seen, and when the budget last changed.
    seen: Nanos,
    changed: Nanos,
}

impl Squeeze {
    pub(super) fn new(full: PageCount) -> Squeeze {
        Squeeze { full, now: full, seen: Nanos(0), changed: Nanos(0) }
    }

    /// Takes in any event; the answer is the budget, when it has changed.
    pub(super) fn hear(&mut self, event: &Event<'_>) -> Option<PageCount> {
        match *event {
            Event::Pressure => {
                let least = PageCount(self.full.0 / LEAST_PART);
                self.change(PageCount(self.now.0 / 2).max(least))
            }
            Event::Touch { at, .. } | Event::Touched { at, .. } => {
                self.seen = at;
                let is_over = self.now < self.full && at.since(self.changed).0 >= EASE_NANOS;
                let twice = PageCount(self.now.0.max(1) * 2).min(self.full);
                if is_over { self.change(twice) } else { None }
            }
            _ => None,
        }
    }

    fn change(&mut self, now: PageCount) -> Option<PageCount> {
        (self.now, self.changed) = (now, self.seen);
        Some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pressure_halves_it_and_each_second_without_doubles_it() {
        let mut squeeze = Squeeze::new(PageCount(1024));
        let touch = |at| Event::Touched { pages: &[], at: Nanos(at) };
        assert_eq!(squeeze.hear(&touch(5_000_000_000)), None);
        assert_eq!(squeeze.hear(&Event::Pressure), Some(PageCount(512)));
        assert_eq!(squeeze.hear(&Event::Pressure), Some(PageCount(256)));
        assert_eq!(squeeze.hear(&touch(5_900_000_000)), None);
        assert_eq!(squeeze.hear(&touch(6_000_000_000)), Some(PageCount(512)));
        assert_eq!(squeeze.hear(&touch(6_500_000_000)), None);
        assert_eq!(squeeze.hear(&touch(9_000_000_000)), Some(PageCount(1024)));
        assert_eq!(squeeze.hear(&touch(19_000_000_000)), None);
        let least = (0..99).filter_map(|_| squeeze.hear(&Event::Pressure)).last();
        assert_eq!(least, Some(PageCount(16)));
    }
}
