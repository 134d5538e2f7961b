//! How many page accesses the simulator takes a second, on one core. The bars: 50 million for a warm
//! scan with `off` and `ramp`, 5 million for cold random reading with `streams`; a 4 GiB run of the
//! paper's Figure 1 in less than 0.2 s.
//!
//! Real: `cargo bench -p mmap-ahead-bench --bench simulator`. Smoke (one pass, part of the tests):
//! `cargo test -p mmap-ahead-bench --benches`.

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mmap_ahead::page::ByteLen;
use mmap_ahead_sim::{CacheState, Knobs, Preset, Setup, Shape, Strategy, Workload, run};

fn simulate(c: &mut Criterion, name: &str, file: u64, order: &str, strategy: &str, setup: &Setup) {
    let touch = if order == "seq" { None } else { Some(4096) };
    let shape = Shape { file: ByteLen(file), touch, ..Shape::default() };
    let workload = Workload::named(order, &shape).expect("a known order");
    let strategy = Strategy::named(strategy, &Knobs::default()).expect("a known strategy");
    let mut group = c.benchmark_group("simulator, page accesses");
    group.throughput(Throughput::Elements(file / 4096)).sample_size(10);
    group.bench_function(name, |bencher| {
        bencher.iter(|| run(&workload, &strategy, setup).expect("the setup is a preset's"));
    });
    group.finish();
}

fn simulator(c: &mut Criterion) {
    let cold = Setup::of(Preset::Nvme);
    let warm = Setup { cache: CacheState::Warm, ..cold };
    simulate(c, "warm seq, off", 4 << 30, "seq", "off", &warm);
    simulate(c, "warm seq, ramp", 4 << 30, "seq", "ramp", &warm);
    simulate(c, "cold random, streams", 4 << 30, "random", "streams", &cold);
    let paper = Setup::of(Preset::Choi2017);
    simulate(c, "Figure 1, default-mmap", 4 << 30, "seq", "default-mmap", &paper);
    simulate(c, "Figure 1, populate-mmap", 4 << 30, "seq", "populate-mmap", &paper);
    simulate(c, "Figure 1, read", 4 << 30, "seq", "read", &paper);
}

criterion_group!(benches, simulator);
criterion_main!(benches);
