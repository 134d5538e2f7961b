//! Opening, prefetching and dropping a `Paged` leaves no thread, no descriptor, no area and no memory
//! behind, and what is said to be resident is.
//!
//! It fails when something is leaked, when a drop waits for what nobody needs, and when a prefetch
//! reads what it should not.

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::paged::{Made, Named, check_all, open, owned_bytes, served};
use common::{
    MIB, Numbered, Place, Random, areas, becomes, in_child, mapped_bytes, page, role, skip,
};
use mmap_ahead::PagedOptions;

const LIMIT: usize = 8 * MIB;
const LEN: usize = 40 * MIB + 3;
const PATIENCE: Duration = Duration::from_secs(5);

fn options() -> PagedOptions {
    PagedOptions::new().memory_limit(LIMIT as u64)
}

/// Threads, descriptors, areas, bytes of `Paged`.
fn trace() -> [usize; 4] {
    let count = |dir: &str| fs::read_dir(dir).unwrap().count();
    [count("/proc/self/task"), count("/proc/self/fd"), areas(), owned_bytes()]
}

#[test]
fn five_hundred_times() {
    if role().is_none() {
        return in_child("often");
    }
    let Some(file) = Named::new(Place::Disk, LEN) else { skip!("no file on a disk") };
    let Some(_) = open(&options(), &file.path()) else { return };
    let mut random = Random::new(1);
    let mut round = |at: usize| {
        let paged = options().open(file.path()).unwrap();
        match at % 5 {
            0 => {}
            1 => paged.prefetch(..),
            2 => Numbered::new().check(&paged, random.below(LEN / page())),
            3 => paged.prefetch_many(&[30 * MIB..LEN, 0..5, 7 * MIB..9 * MIB]),
            _ => {
                std::hint::black_box(paged[0]);
                std::hint::black_box(paged[page()]);
            }
        }
    };
    (0..20).for_each(&mut round);
    let before = trace();
    (0..500).for_each(&mut round);
    let after = trace();
    println!("seen: {before:?} before, {after:?} after");
    // Stacks that are kept for the next thread are areas too.
    let [threads, descriptors, areas, bytes] = after;
    assert_eq!([threads, bytes], [before[0], 0]);
    // The process's own pidfd is opened when pages are first thrown away in a batch.
    assert!(descriptors <= before[1] + 1, "{before:?} {after:?}");
    assert!(areas <= before[2] + 4, "{before:?} {after:?}");
}

/// The same with threads in place of io_uring, and sources that are dropped with it.
#[test]
fn a_source_and_its_threads() {
    if role().is_none() {
        return in_child("source");
    }
    let Some(_) = served(options().immutable_source(Made::new(LEN))) else { return };
    let reads = std::sync::Arc::default();
    let round = |at: usize| {
        let source = Made { reads: std::sync::Arc::clone(&reads), ..Made::new(LEN) };
        let paged = options().immutable_source(source).unwrap();
        if at.is_multiple_of(2) {
            paged.prefetch(..);
        }
        std::hint::black_box(paged[at * 1000]);
    };
    (0..20).for_each(round);
    let before = trace();
    (0..100).for_each(round);
    let after = trace();
    println!("seen: {before:?} before, {after:?} after");
    assert_eq!((after[0], after[3]), (before[0], 0));
    // The page map is opened once in a process, when the first frame is looked at.
    assert!(after[1] <= before[1] + 1, "{before:?} {after:?}");
    assert!(after[2] <= before[2] + 40, "{before:?} {after:?}");
    assert_eq!(std::sync::Arc::strong_count(&reads), 1, "every source is dropped");
}

#[test]
fn a_drop_does_not_wait_for_prefetches() {
    let Some(file) = Named::new(Place::Disk, LEN) else { skip!("no file on a disk") };
    let Some(_) = open(&options(), &file.path()) else { return };
    let mut longest = Duration::ZERO;
    for _ in 0..30 {
        let paged = PagedOptions::new().memory_limit(64 << 20).open(file.path()).unwrap();
        paged.prefetch(..);
        (0..1000).for_each(|at| paged.prefetch(at * 1000..at * 1000 + 9));
        let begun = Instant::now();
        drop(paged);
        longest = longest.max(begun.elapsed());
    }
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}

/// Nothing before a touch or a prefetch; then what was asked for, and no more than the limit.
#[test]
fn what_is_said_to_be_resident_is() {
    if role().is_none() {
        return in_child("resident");
    }
    let Some(file) = Named::new(Place::Disk, LEN) else { skip!("no file on a disk") };
    let Some(paged) = open(&options(), &file.path()) else { return };
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!((mapped_bytes(&paged), owned_bytes()), (0, 0), "nothing is read unasked");
    assert!(!paged.is_resident(..1) && paged.is_resident(9..9));
    // Beyond the end, and nothing at all.
    #[allow(clippy::reversed_empty_ranges)]
    for range in [LEN..LEN, LEN..usize::MAX, usize::MAX - 1..usize::MAX, 5..5, 9..3] {
        paged.prefetch(range.clone());
        paged.prefetch_many(&[range.clone(), range.clone()]);
        assert!(paged.is_resident(range));
    }
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!((mapped_bytes(&paged), paged.stats().reads), (0, 0));
    let some = 3 * MIB + 100..3 * MIB + 70_000;
    paged.prefetch(some.clone());
    assert!(becomes(PATIENCE, || paged.is_resident(some.clone())), "{:?}", paged.stats());
    let faults = paged.stats().faults;
    (some.start / page()..some.end / page()).for_each(|at| Numbered::new().check(&paged, at));
    assert_eq!(paged.stats().faults, faults, "no touch of what is resident faults");
    // The last page, which is cut.
    paged.prefetch(LEN - 1..);
    assert!(becomes(PATIENCE, || paged.is_resident(LEN - 1..)), "{:?}", paged.stats());
    for at in (0..LEN).step_by(7 * page()) {
        let is_mapped = mapped_bytes(&paged[at..(at + 1).min(LEN)]) > 0;
        assert_eq!(paged.is_resident(at..at + 1), is_mapped, "byte {at}");
    }
    paged.prefetch(..);
    std::thread::sleep(Duration::from_millis(200));
    assert!(mapped_bytes(&paged) > 0 && owned_bytes() <= LIMIT + 2 * MIB, "{}", owned_bytes());
    assert!(!paged.is_resident(..), "it is five times the limit");
    check_all(&paged);
}

/// All of a file that fits, by one prefetch.
#[test]
fn all_of_a_file_that_fits_is_prefetched() {
    let Some(file) = Named::new(Place::Disk, 20 * MIB + 1) else { skip!("no file on a disk") };
    let Some(paged) = open(&PagedOptions::new(), &file.path()) else { return };
    paged.prefetch(..);
    let is_there = becomes(PATIENCE, || paged.is_resident(..));
    println!("seen: {:?}", paged.stats());
    assert!(is_there, "{} bytes, {:?}", mapped_bytes(&paged), paged.stats());
    check_all(&paged);
    assert_eq!(paged.stats().faults, 0);
}
