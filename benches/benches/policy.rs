//! What a touch costs the detector and the policy, with 64 streams alive. The bar is 200 ns.
//!
//! Real: `cargo bench -p mmap-ahead-bench --bench policy`. Smoke (one pass, part of the tests):
//! `cargo test -p mmap-ahead-bench --benches`.

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mmap_ahead::page::{ByteLen, Nanos, PageCount, PageIndex, PageRange, PageSize};
use mmap_ahead::policy::{Adaptive, Event, Geometry, Plan, Policy};

const STREAMS: u64 = 64;
/// Pages of 4 KiB: 64 GiB.
const PAGES: u64 = 1 << 24;
const TOUCHES: u64 = 64 * 64;

type Walk = fn(u64, u64) -> PageRange;

/// Where each stream begins: not evenly apart, or the beginnings would be a stride themselves.
fn start(stream: u64) -> u64 {
    stream * 200_000 + (stream * 7919) % 4999
}

fn stride(stream: u64, step: u64) -> PageRange {
    PageRange::at(PageIndex(start(stream) + step * (20 + stream)), PageCount(1))
}

fn forward(stream: u64, step: u64) -> PageRange {
    PageRange::at(PageIndex(start(stream) + step * 16), PageCount(16))
}

fn backward(stream: u64, step: u64) -> PageRange {
    PageRange::at(PageIndex(start(stream) + 190_000 - step * 16), PageCount(16))
}

/// Every pattern once: the worst of it is what nobody predicts.
fn random(stream: u64, step: u64) -> PageRange {
    let mixed = (step * STREAMS + stream + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    PageRange::at(PageIndex((mixed ^ (mixed >> 29)) % PAGES), PageCount(1))
}

fn touch(policy: &mut Adaptive, plan: &mut Plan, at: &mut u64, range: PageRange) {
    *at += 10_000;
    plan.clear();
    policy.on(&Event::Touched { pages: &[range], at: Nanos(*at) }, plan);
    std::hint::black_box(&plan);
}

fn touches(c: &mut Criterion) {
    let mut group = c.benchmark_group("adaptive, per touch at 64 streams");
    group.throughput(Throughput::Elements(TOUCHES));
    let walks: [(&str, Walk); 4] =
        [("strides", stride), ("forward", forward), ("backward", backward), ("random", random)];
    for (name, walk) in walks {
        let len = ByteLen(PAGES * 4096);
        let geometry = Geometry::new(PageSize::FOUR_KIB, len, mmap_ahead::BUDGET_DEFAULT);
        let (mut policy, mut plan, mut at) = (Adaptive::new(geometry), Plan::new(), 0);
        for step in 0..100 {
            for stream in 0..STREAMS {
                touch(&mut policy, &mut plan, &mut at, walk(stream, step));
            }
        }
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || (policy.clone(), Plan::new(), at),
                |(policy, plan, at)| {
                    for step in 100..100 + TOUCHES / STREAMS {
                        for stream in 0..STREAMS {
                            touch(policy, plan, at, walk(stream, step));
                        }
                    }
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, touches);
criterion_main!(benches);
