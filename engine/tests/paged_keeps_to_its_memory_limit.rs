//! Whatever four threads read, in whatever order: the memory of a `Paged` stays inside its limit, and
//! the bytes are right.
//!
//! It fails when a frame or a page is counted wrong, or when what is thrown away is not given back.

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use common::paged::{Named, open, owned_bytes, resident_bytes};
use common::{MIB, Numbered, Place, Random, in_child, page, role, skip};
use mmap_ahead::PagedOptions;

const THREADS: usize = 4;
/// Beside a `Paged`: stacks, tables, what smaps counts twice while frames move.
const SLACK: usize = 8 * MIB;
/// A frame that cannot be moved is copied, and exists twice for a moment.
const IN_FLIGHT: usize = 2 * MIB;

type Pattern = fn(thread: usize, pages: usize) -> Vec<usize>;

const PATTERNS: [(&str, Pattern); 9] = [
    ("forward", |_, pages| (0..pages).collect()),
    ("reverse", |thread, pages| quarter(thread, pages).rev().take(4000).collect()),
    ("stride", |thread, pages| (thread..pages).step_by(17).take(1500).collect()),
    ("random", |thread, pages| {
        let mut random = Random::new(thread as u64 + 1);
        (0..2000).map(|_| random.below(pages)).collect()
    }),
    ("blocks", |thread, pages| {
        let mut random = Random::new(thread as u64 + 7);
        let block = 16;
        (0..200)
            .map(|_| random.below(pages / block) * block)
            .flat_map(|at| at..at + block)
            .collect()
    }),
    ("blocks with a stride", |thread, pages| {
        let (block, stride) = (4, 32);
        (thread * 8..pages - block)
            .step_by(stride)
            .take(600)
            .flat_map(|at| at..at + block)
            .collect()
    }),
    ("streams", |thread, pages| {
        let part = pages / THREADS / 4;
        let streams = quarter(thread, pages).step_by(part).take(4).collect::<Vec<_>>();
        (0..part).flat_map(|at| streams.clone().into_iter().map(move |start| start + at)).collect()
    }),
    ("zipf", |thread, pages| {
        let mut random = Random::new(thread as u64 + 3);
        let mut skewed = move || {
            let below = random.below(pages) + 1;
            let below = random.below(below) + 1;
            random.below(below)
        };
        (0..3000).map(|_| skewed()).collect()
    }),
    ("mixed", |thread, pages| match thread % 2 {
        0 => (0..pages).collect(),
        _ => {
            let mut random = Random::new(thread as u64);
            (0..2000).map(|_| random.below(pages)).collect()
        }
    }),
];

fn quarter(thread: usize, pages: usize) -> std::ops::Range<usize> {
    pages * thread / THREADS..pages * (thread + 1) / THREADS
}

fn keeps_to(limit: usize) {
    let Some(file) = Named::new(Place::Disk, 8 * limit + 777) else { skip!("no file on a disk") };
    for (name, pattern) in PATTERNS {
        let plans: Vec<_> = (0..THREADS).map(|at| pattern(at, file.pages())).collect();
        let baseline = resident_bytes();
        let options = PagedOptions::new().memory_limit(limit as u64);
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
            assert_eq!(all_right, [true; THREADS], "{name}");
        });
        let (owned, resident) = (owned_max.into_inner(), resident_max.into_inner() - baseline);
        println!(
            "seen: {limit} bytes, {name}: owned {owned}, resident {resident}, {samples:?} samples, {:?}",
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
    keeps_to(8 * MIB);
}

#[test]
fn thirty_two_mebibytes() {
    if role().is_none() {
        return in_child("32 MiB");
    }
    keeps_to(32 * MIB);
}
