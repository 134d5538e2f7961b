//! What each mechanism of the engine costs, one by one.
//!
//! Real: `cargo bench -p mmap-ahead-bench --bench mechanisms`. Smoke (one pass, part of the tests):
//! `cargo test -p mmap-ahead-bench --benches`.

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::fs::File;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mmap_ahead::lab::{self, Frames, Looks};
use mmap_ahead::{MmapOptions, Mode, PagedOptions, PolicyKind};

const MIB: usize = 1 << 20;

/// A sparse file in memory: only the page tables and the protection are at work.
fn in_memory(len: usize) -> Option<File> {
    let file = tempfile::tempfile_in("/dev/shm").ok()?;
    file.set_len(len as u64).ok()?;
    Some(file)
}

fn userfault(criterion: &mut Criterion) {
    let mut frames = match Frames::new() {
        Ok(frames) => frames,
        Err(error) => return eprintln!("SKIPPED: userfaultfd: {error}"),
    };
    let mut group = criterion.benchmark_group("userfaultfd");
    group.throughput(Throughput::Bytes(2 * Frames::LEN as u64));
    group.bench_function("UFFDIO_MOVE of 2 MiB, there and back", |bencher| {
        bencher.iter(|| frames.move_there_and_back().expect("nobody holds the frame"));
    });
    for len in [4096, 64 << 10] {
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("UFFDIO_COPY and DONTNEED of {} KiB", len >> 10), |bencher| {
            bencher.iter(|| frames.copy_and_empty(len).expect("there is memory"));
        });
    }
    group.finish();
}

/// A fault of a reader that another thread serves, the device left out.
fn served_fault(criterion: &mut Criterion) {
    const LEN: usize = 256 * MIB;
    let options = PagedOptions::new().policy(PolicyKind::Off).memory_limit(64 << 20);
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
        return eprintln!("SKIPPED: no /dev/shm");
    };
    let path = dir.path().join("file");
    let made = File::create(&path).and_then(|file| file.set_len(LEN as u64));
    made.expect("it is in memory and sparse");
    let paged = match lab::open_paged(&path, &options) {
        Ok(paged) => paged,
        Err(error) => return eprintln!("SKIPPED: Paged: {error}"),
    };
    let mut at = 0usize;
    let mut group = criterion.benchmark_group("userfaultfd, served by a thread");
    group.throughput(Throughput::Elements(1));
    group.bench_function("one touch of a page that is missing", |bencher| {
        bencher.iter(|| {
            // A step that comes to every page once, and never to a neighbour.
            at = (at + 40_503 * 4096) % LEN;
            std::hint::black_box(paged[at])
        });
    });
    group.finish();
}

fn looks(criterion: &mut Criterion) {
    let looks = in_memory(2 * MIB).map(|file| Looks::new(&file));
    let Some(Ok(looks)) = looks else { return eprintln!("SKIPPED: no pagemap or no /dev/shm") };
    let mut group = criterion.benchmark_group("PAGEMAP_SCAN");
    for (name, len) in [("64 KiB", 64 << 10), ("2 MiB", 2 * MIB)] {
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("poll of {name}"), |bencher| {
            bencher.iter(|| looks.poll(len).expect("it answered before"));
        });
        group.bench_function(format!("scan of {name}"), |bencher| {
            bencher.iter(|| looks.scan(len).expect("it answered before"));
        });
    }
    group.finish();
}

/// A touch of a closed window: SIGSEGV, the handler, the window opened, back to the reader.
fn trip(criterion: &mut Criterion) {
    const WINDOW: usize = 2 * MIB;
    const LEN: usize = 1 << 30;
    let Some(file) = in_memory(LEN) else { return eprintln!("SKIPPED: no /dev/shm") };
    let mut options = MmapOptions::new();
    options.mode(Mode::Guard).policy(PolicyKind::Off);
    let mut group = criterion.benchmark_group("guard");
    group.throughput(Throughput::Elements(1));
    group.sample_size(10);
    group.bench_function("one trip, with the fault after it", |bencher| {
        bencher.iter_custom(|count| {
            let (mut left, mut spent) = (count, Duration::ZERO);
            while left > 0 {
                let map = lab::map_file(&file, &options).expect("it is a plain file");
                let windows = left.min((LEN / WINDOW) as u64);
                let begun = Instant::now();
                (0..windows).for_each(|at| {
                    std::hint::black_box(map[at as usize * WINDOW]);
                });
                spent += begun.elapsed();
                left -= windows;
            }
            spent
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    targets = userfault, served_fault, looks, trip
}
criterion_main!(benches);
