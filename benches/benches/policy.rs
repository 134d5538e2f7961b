//! What a touch costs the detector and the policy, with 64 streams alive. The bar is 200 ns.
//!
//! One case is told beside it: at random in a file of 1 GiB each touch has many others within a stride's reach, and
//! costs more the smaller the file is.
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
/// The same of a file where touches lie near each other whatever they are: 1 GiB.
const PAGES_FEW: u64 = 1 << 18;
/// Steps of each stream before the clock is started, and while it runs.
const STEPS_BEFORE: u64 = 100;
const STEPS: u64 = 64;
/// Of so many touches one is a stray, where there are any.
const STRAY_EVERY: usize = 10;

/// What a stream touches at a step.
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

/// A third of the streams each way.
fn all_kinds(stream: u64, step: u64) -> PageRange {
    [stride, forward, backward][stream as usize % 3](stream, step)
}

/// What nobody predicts.
fn random(stream: u64, step: u64) -> PageRange {
    let mixed = (step * STREAMS + stream + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    PageRange::at(PageIndex((mixed ^ (mixed >> 29)) % PAGES), PageCount(1))
}

fn random_few(stream: u64, step: u64) -> PageRange {
    PageRange::at(PageIndex(random(stream, step).start.0 % PAGES_FEW), PageCount(1))
}

/// The touches of `steps` of all streams, one step each in turn.
fn clean(walk: Walk, steps: std::ops::Range<u64>) -> Vec<PageRange> {
    steps.flat_map(|step| (0..STREAMS).map(move |stream| walk(stream, step))).collect()
}

/// The same, and strays anywhere in the file between them.
fn with_strays(walk: Walk, steps: std::ops::Range<u64>) -> Vec<PageRange> {
    let first = steps.start * STREAMS;
    let touches = clean(walk, steps);
    let turns = touches.chunks(STRAY_EVERY - 1).zip(first..);
    turns.flat_map(|(turn, number)| turn.iter().copied().chain([random(0, number)])).collect()
}

fn tell(policy: &mut Adaptive, plan: &mut Plan, at: &mut u64, touches: &[PageRange]) {
    for &range in touches {
        *at += 10_000;
        plan.clear();
        policy.on(&Event::Touched { pages: &[range], at: Nanos(*at) }, plan);
        std::hint::black_box(&plan);
    }
}

type Mix = fn(Walk, std::ops::Range<u64>) -> Vec<PageRange>;

fn touches(c: &mut Criterion) {
    let mut group = c.benchmark_group("adaptive, per touch at 64 streams");
    let cases: [(&str, Walk, Mix, u64); 9] = [
        ("strides", stride, clean, PAGES),
        ("forward", forward, clean, PAGES),
        ("backward", backward, clean, PAGES),
        ("strides, one stray in ten", stride, with_strays, PAGES),
        ("forward, one stray in ten", forward, with_strays, PAGES),
        ("backward, one stray in ten", backward, with_strays, PAGES),
        ("all kinds, one stray in ten", all_kinds, with_strays, PAGES),
        ("random", random, clean, PAGES),
        ("random in 1 GiB", random_few, clean, PAGES_FEW),
    ];
    for (name, walk, mix, pages) in cases {
        let len = ByteLen(pages * 4096);
        let geometry = Geometry::new(PageSize::FOUR_KIB, len, mmap_ahead::BUDGET_DEFAULT);
        let (mut policy, mut plan, mut at) = (Adaptive::new(geometry), Plan::new(), 0);
        tell(&mut policy, &mut plan, &mut at, &mix(walk, 0..STEPS_BEFORE));
        let touches = mix(walk, STEPS_BEFORE..STEPS_BEFORE + STEPS);
        group.throughput(Throughput::Elements(touches.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || (policy.clone(), Plan::new(), at),
                |(policy, plan, at)| tell(policy, plan, at, &touches),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, touches);
criterion_main!(benches);
