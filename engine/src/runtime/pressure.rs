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

static WATCH: Watch = Watch::new();

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
    WATCH.look(now, read)
}

/// Memory is short.
pub(crate) fn press() {
    WATCH.press();
}

impl Watch {
    const fn new() -> Watch {
        Watch { short: AtomicU64::new(0), next: AtomicU64::new(0), last: Mutex::new(None) }
    }

    fn look(&self, now: Nanos, read: impl FnOnce() -> Option<u64>) -> u64 {
        if now.0 >= self.next.load(Ordering::Relaxed)
            && let Ok(mut last) = self.last.try_lock()
        {
            self.next.store(now.0 + LOOK_NANOS, Ordering::Relaxed);
            let sample = read().map(|stalled_us| Sample { at: now, stalled_us });
            if let (Some(before), Some(sample)) = (*last, sample)
                && is_short(before, sample)
            {
                self.press();
            }
            *last = sample;
        }
        self.short.load(Ordering::Relaxed)
    }

    fn press(&self) {
        self.short.fetch_add(1, Ordering::Relaxed);
    }
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
        let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        places(&cgroups).find(tells)
    });
    total(&fs::read_to_string(place.as_ref()?).ok()?)
}

/// Where the pressure may be read: of the cgroup that /proc/self/cgroup names, then of the machine.
fn places(cgroups: &str) -> impl Iterator<Item = PathBuf> {
    let own = cgroups.lines().find_map(|line| line.strip_prefix("0::"));
    let place = |mount: &str, own: &str| PathBuf::from(format!("{mount}{own}/memory.pressure"));
    let of_the_cgroup = own.into_iter().flat_map(move |own| CGROUP_MOUNTS.map(|m| place(m, own)));
    of_the_cgroup.chain([OF_THE_MACHINE.into()])
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
    fn the_cgroup_is_asked_before_the_machine() {
        let found: Vec<_> = places("1:name=systemd:/x\n0::/user.slice\n").collect();
        let [own, beside_v1, machine] = found.try_into().unwrap();
        assert_eq!(own.to_str(), Some("/sys/fs/cgroup/user.slice/memory.pressure"));
        assert!(beside_v1.starts_with("/sys/fs/cgroup/unified/user.slice"));
        assert_eq!(machine.to_str(), Some(OF_THE_MACHINE));
        assert_eq!(places("1:memory:/x\n").count(), 1);
    }

    #[test]
    fn looks_are_rare_and_each_is_held_against_the_one_before() {
        let watch = Watch::new();
        let ms = |at: u64| Nanos(at * 1_000_000);
        assert_eq!(watch.look(ms(1000), || Some(0)), 0, "nothing to compare with");
        assert_eq!(watch.look(ms(1249), || panic!("too early")), 0);
        assert_eq!(watch.look(ms(1250), || Some(25_000)), 1, "a tenth of 250 ms");
        assert_eq!(watch.look(ms(1500), || Some(25_000)), 1, "nobody has waited since");
        assert_eq!(watch.look(ms(1750), || None), 1);
        assert_eq!(watch.look(ms(2000), || Some(900_000)), 1, "who knows since when");
        assert_eq!(watch.look(ms(2250), || Some(1_000_000)), 2);
    }

    #[test]
    fn a_tenth_of_the_time_spent_waiting_is_short() {
        let sample = |at, stalled_us| Sample { at: Nanos(at), stalled_us };
        let before = sample(0, 1000);
        assert!(!is_short(before, sample(500_000_000, 1000)));
        assert!(!is_short(before, before), "nobody has waited, in no time");
        assert!(!is_short(before, sample(500_000_000, 50_000)));
        assert!(is_short(before, sample(500_000_000, 51_000)));
        assert!(!is_short(before, sample(3_000_000_000, 2_000_000)), "who knows when that was");
    }
}
