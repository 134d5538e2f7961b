//! What the first store to a page costs by each mechanism that notices it, what asking costs, and what a loop
//! of stores loses by being watched.
//!
//! Real: `cargo bench -p mmap-ahead-bench --bench first_store`. Smoke (one pass, part of the tests):
//! `cargo test -p mmap-ahead-bench --benches`.

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::fs::File;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mmap_ahead::{DirtyTracker, Mechanism, MmapMut, MmapOptions, lab};

const PAGE: usize = 4096;
/// Pages of a mapping: as many windows as `Mechanism::Signal` can have of one page each.
const PAGES: usize = 2048;

/// Memory, tmpfs and a disk.
const PLACES: [(&str, Option<&str>); 3] =
    [("anonymous", None), ("tmpfs", Some("/dev/shm")), ("disk", Some("/var/tmp"))];

fn mapping(dir: Option<&str>, len: usize) -> Option<MmapMut> {
    let Some(dir) = dir else { return MmapMut::map_anon(len).ok() };
    let file: File = tempfile::tempfile_in(dir).ok()?;
    file.set_len(len as u64).ok()?;
    lab::map_file_mut(&file, &MmapOptions::new()).ok()
}

/// One store to each page.
fn store(map: &mut MmapMut) {
    for at in (0..map.len()).step_by(PAGE) {
        map[at] = map[at].wrapping_add(1);
    }
}

/// The stores of `rounds` rounds, before each of which `before` is done and not timed.
fn rounds(map: &mut MmapMut, rounds: u64, mut before: impl FnMut()) -> Duration {
    let mut took = Duration::ZERO;
    for _ in 0..rounds {
        before();
        let begun = Instant::now();
        store(map);
        took += begun.elapsed();
    }
    took
}

fn first_store(c: &mut Criterion) {
    for (place, dir) in PLACES {
        let mut group = c.benchmark_group(format!("first store to a page, {place}"));
        group.throughput(Throughput::Elements(PAGES as u64));
        let Some(mut map) = mapping(dir, PAGES * PAGE) else { continue };
        store(&mut map);
        group.bench_function("not watched", |b| {
            b.iter_custom(|count| rounds(&mut map, count, || {}));
        });
        for mechanism in Mechanism::ALL {
            let Ok(tracker) = map.track_stores_by(mechanism) else {
                println!("{mechanism:?} cannot be had on {place}");
                continue;
            };
            let ask = |tracker: &DirtyTracker| {
                tracker.take().expect("it is watched");
            };
            group.bench_function(format!("{mechanism:?}"), |b| {
                b.iter_custom(|count| rounds(&mut map, count, || ask(&tracker)));
            });
        }
    }
}

/// All of it was stored to; nothing was.
fn ask(c: &mut Criterion) {
    let mut group = c.benchmark_group("asking, a page");
    group.throughput(Throughput::Elements(PAGES as u64));
    for mechanism in Mechanism::ALL {
        let Some(mut map) = mapping(None, PAGES * PAGE) else { continue };
        let Ok(tracker) = map.track_stores_by(mechanism) else { continue };
        group.bench_function(format!("{mechanism:?}, all of it"), |b| {
            b.iter_custom(|count| {
                let mut took = Duration::ZERO;
                for _ in 0..count {
                    store(&mut map);
                    let begun = Instant::now();
                    assert_eq!(tracker.take().expect("it is watched").ranges().len(), 1);
                    took += begun.elapsed();
                }
                took
            });
        });
        group.bench_function(format!("{mechanism:?}, nothing"), |b| {
            b.iter(|| tracker.take().expect("it is watched"));
        });
    }
}

criterion_group!(benches, first_store, ask);
criterion_main!(benches);
