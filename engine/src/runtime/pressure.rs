//! Whether memory is short: the kernel's account of the time that somebody waited for memory (PSI), of
//! this process's cgroup where that can be read, else of the machine.
//!
//! Nobody polls: whoever has seen a reader looks, at most four times a second. Where nobody reads there is
//! nothing to hold back.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cgroup::{self, Version};
use crate::page::Nanos;

/// Looks come no closer together: one takes some 10 us.
const LOOK_NANOS: u64 = 250_000_000;
/// What was waited before the last look, if that was longer ago, says nothing of now.
const STALE_NANOS: u64 = 2_000_000_000;
/// Memory is short when somebody waited for it one part in so many of the time. A guess: the example of
/// the kernel's documentation is 15%.
const STALLED_PART: u64 = 10;

const OF_THE_MACHINE: &str = "/proc/pressure/memory";
const OF_A_CGROUP: &str = "memory.pressure";

static WATCH: Watch = Watch::new();

#[derive(Debug)]
struct Watch {
    /// How often memory was found short.
    short: AtomicU64,
    /// When to look again.
    next: AtomicU64,
    gauge: Mutex<Gauge>,
}

/// Where the kernel tells, and what it told.
#[derive(Debug, Default)]
struct Gauge {
    place: Option<PathBuf>,
    last: Option<Sample>,
}

/// The kernel's sum of the time that somebody waited, as of when it was read.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Nanos,
    stalled_us: u64,
}

/// How often memory was found short until now: whoever sees the number grow holds back.
pub(super) fn times_short(now: Nanos) -> u64 {
    WATCH.look(now, places)
}

/// Memory is short.
pub(crate) fn press() {
    WATCH.press();
}

impl Watch {
    const fn new() -> Watch {
        let gauge = Mutex::new(Gauge { place: None, last: None });
        Watch { short: AtomicU64::new(0), next: AtomicU64::new(0), gauge }
    }

    fn look(&self, now: Nanos, places: impl FnOnce() -> Vec<PathBuf>) -> u64 {
        if now.0 >= self.next.load(Ordering::Relaxed)
            && let Ok(mut gauge) = self.gauge.try_lock()
        {
            self.next.store(now.0 + LOOK_NANOS, Ordering::Relaxed);
            if gauge.look(now, places) {
                self.press();
            }
        }
        self.short.load(Ordering::Relaxed)
    }

    fn press(&self) {
        self.short.fetch_add(1, Ordering::Relaxed);
    }
}

/// Where pressure may be told of, the closest to this process first.
fn places() -> Vec<PathBuf> {
    let mut places = cgroup::places(Version::V2, OF_A_CGROUP);
    places.push(OF_THE_MACHINE.into());
    places
}

impl Gauge {
    /// Whether memory was short since the last look. Where the kernel does not tell (any more: a cgroup may
    /// be removed), it is asked elsewhere; the sums of two places say nothing together.
    fn look(&mut self, now: Nanos, places: impl FnOnce() -> Vec<PathBuf>) -> bool {
        let told = self.place.as_deref().and_then(stalled_us).or_else(|| {
            self.last = None;
            let mut told = None;
            self.place = places().into_iter().find(|place| {
                told = stalled_us(place);
                told.is_some()
            });
            told
        });
        let sample = told.map(|stalled_us| Sample { at: now, stalled_us });
        let is_short = self.last.zip(sample).is_some_and(|(before, now)| is_short(before, now));
        self.last = sample;
        is_short
    }
}

fn is_short(before: Sample, now: Sample) -> bool {
    let took = now.at.since(before.at).0;
    let stalled = now.stalled_us.saturating_sub(before.stalled_us).saturating_mul(1000);
    took <= STALE_NANOS && stalled > 0 && stalled.saturating_mul(STALLED_PART) >= took
}

/// What is told in `place`; `None` without PSI: no such file, or EOPNOTSUPP where it is switched off.
fn stalled_us(place: &Path) -> Option<u64> {
    total(&fs::read_to_string(place).ok()?)
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
        assert!(!is_short(before, before), "nobody has waited, in no time");
        assert!(!is_short(before, sample(500_000_000, 50_000)));
        assert!(is_short(before, sample(500_000_000, 51_000)));
        assert!(!is_short(before, sample(3_000_000_000, 2_000_000)), "who knows when that was");
    }

    /// A folder in the place of the kernel's.
    struct Fixture(tempfile::TempDir);

    impl Fixture {
        fn new() -> Fixture {
            Fixture(tempfile::tempdir().unwrap())
        }

        fn place(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn tell(&self, name: &str, stalled_us: u64) {
            let text = format!("some avg10=9.00 avg60=9.00 avg300=9.00 total={stalled_us}\n");
            fs::create_dir_all(self.place(name).parent().unwrap()).unwrap();
            fs::write(self.place(name), text).unwrap();
        }
    }

    const LOOK: u64 = LOOK_NANOS;

    #[test]
    fn looks_are_rare_and_each_is_held_against_the_one_before() {
        let (watch, fixture) = (Watch::new(), Fixture::new());
        let look = |ms: u64| watch.look(Nanos(ms * 1_000_000), || vec![fixture.place("psi")]);
        fixture.tell("psi", 0);
        assert_eq!(look(1000), 0, "nothing to compare with");
        fixture.tell("psi", 25_000);
        assert_eq!(look(1249), 0, "too early");
        assert_eq!(look(1250), 1, "a tenth of 250 ms");
        assert_eq!(look(1500), 1, "nobody has waited since");
        fs::remove_file(fixture.place("psi")).unwrap();
        assert_eq!(look(1750), 1);
        fixture.tell("psi", 900_000);
        assert_eq!(look(2000), 1, "who knows since when");
        fixture.tell("psi", 1_000_000);
        assert_eq!(look(2250), 2);
    }

    #[test]
    fn whoever_waited_a_tenth_of_the_time_since_the_last_look_is_noticed() {
        let (fixture, mut gauge) = (Fixture::new(), Gauge::default());
        let mut look = |at| gauge.look(Nanos(at), || vec![fixture.place("psi")]);
        fixture.tell("psi", 7_000_000);
        assert!(!look(0), "what was before nobody knows");
        assert!(!look(LOOK));
        fixture.tell("psi", 7_025_000);
        assert!(look(2 * LOOK));
        assert!(!look(3 * LOOK), "it is over");
        fixture.tell("psi", 9_000_000);
        assert!(!look(20 * LOOK), "who knows when that was");
    }

    #[test]
    fn where_nobody_tells_memory_is_never_short() {
        let (fixture, mut gauge) = (Fixture::new(), Gauge::default());
        fs::write(fixture.place("off"), "").unwrap();
        let places = || ["missing", "off"].map(|name| fixture.place(name)).to_vec();
        assert!((0..9).all(|turn| !gauge.look(Nanos(turn * LOOK), places)));
        assert!(!gauge.look(Nanos(0), Vec::new));
        // Mounted later.
        fixture.tell("missing", 1_000);
        assert!(!gauge.look(Nanos(10 * LOOK), places));
        fixture.tell("missing", 100_000);
        assert!(gauge.look(Nanos(11 * LOOK), places));
    }

    #[test]
    fn when_a_cgroup_goes_the_one_above_is_asked_and_sums_are_not_mixed_up() {
        let (fixture, mut gauge) = (Fixture::new(), Gauge::default());
        let mut look = |at| {
            let own = cgroup::places_in(fixture.0.path(), "0::/a/b\n", Version::V2, OF_A_CGROUP);
            gauge.look(Nanos(at), || own)
        };
        fixture.tell("a/b/memory.pressure", 1_000);
        fixture.tell("a/memory.pressure", 50_000_000);
        assert!(!look(0));
        fs::remove_file(fixture.place("a/b/memory.pressure")).unwrap();
        assert!(!look(LOOK), "50 s were not waited since the last look");
        fixture.tell("a/memory.pressure", 50_100_000);
        assert!(look(2 * LOOK));
    }

    #[test]
    fn a_container_that_sees_no_cgroup_files_asks_the_machine() {
        let fixture = Fixture::new();
        fixture.tell("proc/pressure/memory", 1);
        for membership in ["", "0::/kubepods/pod1/c1\n", "4:memory:/docker/c1\n0::/\n"] {
            let mut gauge = Gauge::default();
            let mount = fixture.place("sys/fs/cgroup");
            let mut places = cgroup::places_in(&mount, membership, Version::V2, OF_A_CGROUP);
            places.push(fixture.place("proc/pressure/memory"));
            gauge.look(Nanos(0), || places);
            assert_eq!(gauge.place, Some(fixture.place("proc/pressure/memory")), "{membership}");
        }
        assert_eq!(places().last().unwrap().to_str(), Some(OF_THE_MACHINE));
    }
}
