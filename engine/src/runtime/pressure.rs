//! Whether memory is short: the kernel's account of the time that somebody waited for memory (PSI), of
//! this process's cgroup where that can be read, else of the machine.
//!
//! Nobody polls: whoever has seen a reader looks, at most four times a second. Where nobody reads there is
//! nothing to hold back.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::page::Nanos;

/// Looks come no closer together: one takes some 10 us.
const LOOK_NANOS: u64 = 250_000_000;
/// What was waited before the last look, if that was longer ago, says nothing of now.
const STALE_NANOS: u64 = 2_000_000_000;
/// Memory is short when somebody waited for it one part in so many of the time. A guess: the example of
/// the kernel's documentation is 15%.
const STALLED_PART: u64 = 10;

const OF_THE_MACHINE: &str = "/proc/pressure/memory";
/// Where cgroup v2 is mounted, alone or beside v1.
const CGROUP_MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

static WATCH: Watch =
    Watch { short: AtomicU64::new(0), next: AtomicU64::new(0), last: Mutex::new(None) };

#[derive(Debug)]
struct Watch {
    /// How often memory was found short.
    short: AtomicU64,
    /// When to look again.
    next: AtomicU64,
    last: Mutex<Option<Sample>>,
}

/// The kernel's sum of the time that somebody waited, as of when it was read.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Nanos,
    stalled_us: u64,
}

/// How often memory was found short until now: whoever sees the number grow holds back.
pub(super) fn times_short(now: Nanos) -> u64 {
    if now.0 >= WATCH.next.load(Ordering::Relaxed)
        && let Ok(mut last) = WATCH.last.try_lock()
    {
        WATCH.next.store(now.0 + LOOK_NANOS, Ordering::Relaxed);
        let sample = read().map(|stalled_us| Sample { at: now, stalled_us });
        if let (Some(before), Some(sample)) = (*last, sample)
            && is_short(before, sample)
        {
            press();
        }
        *last = sample;
    }
    WATCH.short.load(Ordering::Relaxed)
}

/// Memory is short.
pub(crate) fn press() {
    WATCH.short.fetch_add(1, Ordering::Relaxed);
}

fn is_short(before: Sample, now: Sample) -> bool {
    let took = now.at.since(before.at).0;
    let stalled = now.stalled_us.saturating_sub(before.stalled_us).saturating_mul(1000);
    took <= STALE_NANOS && stalled > 0 && stalled.saturating_mul(STALLED_PART) >= took
}

fn read() -> Option<u64> {
    static PLACE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        let tells = |place: &PathBuf| fs::read_to_string(place).is_ok_and(|t| total(&t).is_some());
        of_the_cgroup().chain([OF_THE_MACHINE.into()]).find(tells)
    });
    total(&fs::read_to_string(place.as_ref()?).ok()?)
}

/// Where the pressure of this process's cgroup may be read.
fn of_the_cgroup() -> impl Iterator<Item = PathBuf> {
    let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = cgroups.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned);
    let place = |mount: &str, own: &str| PathBuf::from(format!("{mount}{own}/memory.pressure"));
    own.into_iter().flat_map(move |own| CGROUP_MOUNTS.map(|mount| place(mount, &own)))
}

/// The microseconds for which at least one task waited. Source: Documentation/accounting/psi.rst.
fn total(text: &str) -> Option<u64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.split(' ').find_map(|field| field.strip_prefix("total="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_read_from_the_kernels_text() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=153\nfull avg10=0.00 total=7\n";
        assert_eq!(total(text), Some(153));
        assert_eq!((total(""), total("full avg10=0.00 total=7\n")), (None, None));
    }

    #[test]
    fn a_tenth_of_the_time_spent_waiting_is_short() {
        let sample = |at, stalled_us| Sample { at: Nanos(at), stalled_us };
        let before = sample(0, 1000);
        assert!(!is_short(before, sample(500_000_000, 1000)));
        assert!(!is_short(before, sample(500_000_000, 50_000)));
        assert!(is_short(before, sample(500_000_000, 51_000)));
        assert!(!is_short(before, sample(3_000_000_000, 2_000_000)), "who knows when that was");
    }
}
