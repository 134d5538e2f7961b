//! Whether asking ahead is faster than the kernel's own read-ahead: tried on the file itself.

use std::time::Duration;

/// How much of a run is read with the kernel's own read-ahead, for comparison: 2 MiB. A guess:
/// sixteen of its usual windows.
const KERNEL_LEN: u64 = 2 << 20;

/// How much is then read until what was asked ahead arrives, and is not counted: 1 MiB.
const FILLING_LEN: u64 = 1 << 20;

/// How much is read with asking ahead: 4 MiB. Twice the kernel's part, since there is more to lose.
const OURS_LEN: u64 = 4 << 20;

/// Where the trial stands. Time comes in as data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Trial {
    /// The kernel alone, since an offset and a moment.
    Kernel { from: u64, since: Duration },
    /// We ask ahead, and the first of it is under way. The kernel took so many seconds a byte.
    Filling { until: u64, kernel: f64 },
    /// We ask ahead, since an offset and a moment.
    Ours { from: u64, since: Duration, kernel: f64 },
    /// Asking ahead is faster here.
    Won,
    /// The kernel is at least about as fast: it is left alone.
    Lost,
}

impl Trial {
    /// Begins at the first wait of a run, unless it is decided.
    pub(super) fn begin(&mut self, offset: u64, now: Duration) {
        if !matches!(self, Trial::Won | Trial::Lost) {
            *self = Trial::Kernel { from: offset, since: now };
        }
    }

    /// Whether to ask ahead now.
    pub(super) fn asks(self) -> bool {
        matches!(self, Trial::Filling { .. } | Trial::Ours { .. } | Trial::Won)
    }

    /// The run has reached `offset`.
    pub(super) fn reached(&mut self, offset: u64, now: Duration) {
        let pace = |from: u64, since: Duration| {
            now.saturating_sub(since).as_secs_f64() / (offset - from) as f64
        };
        *self = match *self {
            Trial::Kernel { from, since } if offset >= from + KERNEL_LEN => {
                Trial::Filling { until: offset + FILLING_LEN, kernel: pace(from, since) }
            }
            Trial::Filling { until, kernel } if offset >= until => {
                Trial::Ours { from: offset, since: now, kernel }
            }
            Trial::Ours { from, since, kernel } if offset >= from + OURS_LEN => {
                // A tenth is what timing a few milliseconds is off by.
                if pace(from, since) < 0.9 * kernel { Trial::Won } else { Trial::Lost }
            }
            same => same,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a run in pieces of 256 KiB, which take so many microseconds each.
    fn run(kernel_us: u64, ours_us: u64) -> (Trial, u64) {
        let mut trial = Trial::Lost;
        trial.begin(0, Duration::ZERO);
        assert_eq!(trial, Trial::Lost, "what is decided stays");
        trial = Trial::Kernel { from: 0, since: Duration::ZERO };
        let (mut offset, mut now) = (7, Duration::from_secs(5));
        trial.begin(offset, now);
        while !matches!(trial, Trial::Won | Trial::Lost) {
            now += Duration::from_micros(if trial.asks() { ours_us } else { kernel_us });
            offset += 256 << 10;
            trial.reached(offset, now);
        }
        (trial, offset - 7)
    }

    #[test]
    fn the_faster_one_wins_after_seven_mebibytes() {
        assert_eq!(run(1000, 300), (Trial::Won, 7 << 20));
        assert_eq!(run(300, 1000), (Trial::Lost, 7 << 20));
        assert_eq!(run(1000, 950), (Trial::Lost, 7 << 20));
        assert!(Trial::Won.asks() && !Trial::Lost.asks());
    }
}
