//! Whatever several threads read, in whatever order of those that `compare` knows, and whoever serves
//! them: the memory of a `Paged` stays inside its limit, and
//! the bytes are right.
//!
//! It fails when a frame or a page is counted wrong, or when what is thrown away is not given back.

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use common::paged::{Named, open, owned_bytes, resident_bytes};
use common::{MIB, Numbered, Place, Random, in_child, page, role, skip};
use mmap_ahead::{Faults, PagedOptions};

/// Beside a `Paged`: stacks, tables, what smaps counts twice while frames move.
const SLACK: usize = 8 * MIB;
/// A frame that cannot be moved is copied, and exists twice for a moment.
const IN_FLIGHT: usize = 2 * MIB;

/// `thread` of so many, and how many pages there are.
type Pattern = fn(thread: (usize, usize), pages: usize) -> Vec<usize>;

const PATTERNS: [(&str, Pattern); 9] = [
    ("forward", |_, pages| (0..pages).collect()),
    ("reverse", |thread, pages| share(thread, pages).rev().take(4000).collect()),
    ("stride", |(thread, _), pages| (thread..pages).step_by(17).take(1500).collect()),
    ("random", |(thread, _), pages| {
        let mut random = Random::new(thread as u64 + 1);
        (0..2000).map(|_| random.below(pages)).collect()
    }),
    ("blocks", |(thread, _), pages| {
        let mut random = Random::new(thread as u64 + 7);
        let block = 16;
        (0..200)
            .map(|_| random.below(pages / block) * block)
            .flat_map(|at| at..at + block)
            .collect()
    }),
    ("blocks with a stride", |(thread, _), pages| {
        let (block, stride) = (4, 32);
        (thread * 8..pages - block)
            .step_by(stride)
            .take(600)
            .flat_map(|at| at..at + block)
            .collect()
    }),
    ("streams", |thread, pages| {
        let part = pages / thread.1 / 4;
        let streams = share(thread, pages).step_by(part).take(4).collect::<Vec<_>>();
        (0..part).flat_map(|at| streams.clone().into_iter().map(move |start| start + at)).collect()
    }),
    ("zipf", |(thread, _), pages| {
        let mut random = Random::new(thread as u64 + 3);
        let mut skewed = move || {
            let below = random.below(pages) + 1;
            let below = random.below(below) + 1;
            random.below(below)
        };
        (0..3000).map(|_| skewed()).collect()
    }),
    ("mixed", |(thread, _), pages| match thread % 2 {
        0 => (0..pages).collect(),
        _ => {
            let mut random = Random::new(thread as u64);
            (0..2000).map(|_| random.below(pages)).collect()
        }
    }),
];

fn share((thread, threads): (usize, usize), pages: usize) -> std::ops::Range<usize> {
    pages * thread / threads..pages * (thread + 1) / threads
}

fn keeps_to(limit: usize, threads: usize, faults: Faults) {
    let Some(file) = Named::new(Place::Disk, 8 * limit + 777) else { skip!("no file on a disk") };
    for (name, pattern) in PATTERNS {
        let plans: Vec<_> = (0..threads).map(|at| pattern((at, threads), file.pages())).collect();
        let baseline = resident_bytes();
        let options = PagedOptions::new().memory_limit(limit as u64).faults(faults);
        let Some(paged) = open(&options, &file.path()) else { return };
        let (is_over, owned_max) = (AtomicBool::new(false), AtomicUsize::new(0));
        let (resident_max, samples) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    resident_max.fetch_max(resident_bytes(), Ordering::Relaxed);
                    // A frame that moves while smaps is read may be counted in both places.
                    let owned = (0..3).map(|_| owned_bytes()).min().unwrap_or(0);
                    owned_max.fetch_max(owned, Ordering::Relaxed);
                    samples.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(std::time::Duration::from_millis(4));
                }
            });
            let readers: Vec<_> = plans
                .iter()
                .map(|plan| {
                    let paged = &paged;
                    scope.spawn(move || {
                        let numbered = Numbered::new();
                        plan.iter().for_each(|&index| numbered.check(paged, index));
                    })
                })
                .collect();
            let all_right = readers.into_iter().map(|reader| reader.join().is_ok());
            let all_right = all_right.collect::<Vec<_>>();
            is_over.store(true, Ordering::Relaxed);
            assert!(all_right.into_iter().all(|is_right| is_right), "{name}");
        });
        let (owned, resident) = (owned_max.into_inner(), resident_max.into_inner() - baseline);
        println!(
            "seen: {limit} bytes, {faults:?}, {name}: owned {owned}, resident {resident}, {samples:?} samples, {:?}",
            paged.stats()
        );
        assert!(samples.into_inner() > 3, "{name}: looked too rarely");
        assert!(owned <= limit + IN_FLIGHT, "{name}: {owned} bytes of {limit}");
        assert!(resident <= limit + SLACK, "{name}: {resident} bytes of {limit}");
        assert!(paged.len() > 7 * limit && paged.len() / page() < file.pages() + 1);
        drop(paged);
        assert_eq!(owned_bytes(), 0, "{name}: all of it is given back");
    }
}

#[test]
fn eight_mebibytes() {
    if role().is_none() {
        return in_child("8 MiB");
    }
    keeps_to(8 * MIB, 4, Faults::ServiceThread);
}

#[test]
fn thirty_two_mebibytes() {
    if role().is_none() {
        return in_child("32 MiB");
    }
    keeps_to(32 * MIB, 4, Faults::ServiceThread);
}

#[test]
fn eight_threads_that_serve_themselves() {
    if role().is_none() {
        return in_child("themselves");
    }
    keeps_to(8 * MIB, 8, Faults::OnFaultingThread);
}
