//! How fast the checksum sums: it must not be what a comparison measures.
//!
//! Real: `cargo bench -p mmap-ahead-bench`. Smoke (one pass, part of the tests):
//! `cargo test -p mmap-ahead-bench --benches`.

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mmap_ahead_bench::checksum::Checksum;

/// Sizes that stay in the second-level cache, in the last-level cache, and in memory only.
const SIZES: [usize; 3] = [256 << 10, 8 << 20, 128 << 20];

fn checksum(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("checksum");
    for size in SIZES {
        let bytes = vec![7u8; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(mmap_ahead_bench::size::exact(size as u64), |bench| {
            bench.iter(|| {
                let mut sum = Checksum::default();
                sum.add(0, std::hint::black_box(&bytes));
                sum.value()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1));
    targets = checksum
}
criterion_main!(benches);
