//! The channel against a Unix socket pair and a bare futex: throughput with messages of 64 KiB, and
//! the latency of waking a receiver that sleeps. Bars: 2 GB/s, and 1.5 times the bare futex.
//!
//! Real: `cargo bench -p mmap-ahead-extras --bench shm`. Smoke (one pass, part of the tests):
//! `cargo test -p mmap-ahead-extras --benches`. A word in the command line picks what criterion runs; the
//! bars are always judged.

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

mod bar;
mod cores;
mod sleeper;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mmap_ahead::lab::{UsageOf, usage};
use mmap_ahead_extras::shm::Channel;

use bar::Effort;
use cores::{Cores, Kept};
use sleeper::Sleeper;

const MESSAGE: usize = 64 << 10;
const CAPACITY: usize = 1 << 20;
/// Messages of one measured pass: 64 MiB.
const MESSAGES: usize = 1024;
const GB_PER_S_MIN: f64 = 2.0;
/// Of a core, for a channel on which both sides wait.
const IDLE_SHARE_MAX: f64 = 0.005;

/// Whatever bytes go in at one end and come out at the other.
type Pipe = (Box<dyn Write + Send>, Box<dyn Read + Send>);

fn shm() -> Pipe {
    let channel = Channel::anonymous(CAPACITY).unwrap();
    (Box::new(channel.sender().unwrap()), Box::new(channel.receiver().unwrap()))
}

fn socket() -> Pipe {
    let (sender, receiver) = UnixStream::pair().unwrap();
    (Box::new(sender), Box::new(receiver))
}

/// A thread that reads messages until the other end is dropped.
fn drained(mut receiver: Box<dyn Read + Send>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = vec![0; MESSAGE];
        while receiver.read_exact(&mut buffer).is_ok() {
            std::hint::black_box(&buffer);
        }
    })
}

fn throughput(c: &mut Criterion) {
    let mut group = c.benchmark_group("messages of 64 KiB");
    group.throughput(Throughput::Bytes((MESSAGES * MESSAGE) as u64));
    group.sample_size(20);
    for (name, pipe) in [("shm", shm as fn() -> Pipe), ("Unix socket pair", socket)] {
        let (mut sender, receiver) = pipe();
        let reader = drained(receiver);
        let message = vec![7; MESSAGE];
        group.bench_function(name, |bencher| {
            bencher.iter(|| (0..MESSAGES).for_each(|_| sender.write_all(&message).unwrap()));
        });
        drop(sender);
        reader.join().unwrap();
    }
    group.finish();
}

fn wake_up(c: &mut Criterion) {
    let mut group = c.benchmark_group("one-way wake-up of a sleeper");
    // Of the time that is reported; the sleeps in between take ten times as long.
    group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(500));
    group.sample_size(50);
    for cores in Cores::all() {
        let sleepers = [
            ("shm", Sleeper::at(shm(), cores)),
            ("Unix socket pair", Sleeper::at(socket(), cores)),
            ("bare futex", Sleeper::at_bare_futex(cores)),
        ];
        let _kept = Kept::to(cores.waker);
        for (name, mut sleeper) in sleepers {
            group.bench_function(BenchmarkId::new(name, cores.name), |bencher| {
                bencher.iter_custom(|times| {
                    Duration::from_nanos((0..times).map(|_| sleeper.wake_once()).sum())
                });
            });
            sleeper.end();
        }
    }
    group.finish();
}

/// `cargo bench` says --bench, `cargo test --benches` does not.
fn is_smoke() -> bool {
    !std::env::args().any(|word| word == "--bench")
}

fn bars(_: &mut Criterion) {
    let effort = if is_smoke() { Effort::SMOKE } else { Effort::REAL };
    let mut is_kept = enough_goes_through();
    is_kept &= idling_costs_nothing();
    for cores in Cores::all() {
        is_kept &= bar::holds(cores, effort);
    }
    assert!(is_smoke() || is_kept, "a bar is missed");
}

/// Says whether 4 GiB in messages of 64 KiB go through at the bar's speed.
fn enough_goes_through() -> bool {
    let messages = if is_smoke() { 16 } else { 64 * MESSAGES };
    let (mut sender, receiver) = shm();
    let (reader, message) = (drained(receiver), vec![7; MESSAGE]);
    let begun = Instant::now();
    (0..messages).for_each(|_| sender.write_all(&message).unwrap());
    drop(sender);
    reader.join().unwrap();
    let rate = (messages * MESSAGE) as f64 / begun.elapsed().as_secs_f64() / 1e9;
    let is_kept = rate >= GB_PER_S_MIN;
    println!("{}  messages of 64 KiB: {rate:.2} GB/s, bar {GB_PER_S_MIN}", verdict(is_kept));
    is_kept
}

/// Says whether a receiver that waits, and a sender that has no room, leave the cores alone.
fn idling_costs_nothing() -> bool {
    let time = Duration::from_millis(if is_smoke() { 100 } else { 2000 });
    let (empty_sender, empty) = shm();
    let waiting_receiver = drained(empty);
    let (mut full, full_receiver) = shm();
    let waiting_sender = thread::spawn(move || {
        // More than fits: it ends when its receiver is dropped.
        let _ = full.write_all(&vec![7; CAPACITY + 1]);
    });
    thread::sleep(Duration::from_millis(50));
    let (begun, before) = (Instant::now(), cpu_time());
    thread::sleep(time);
    let share = (cpu_time() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    drop((empty_sender, full_receiver));
    waiting_receiver.join().unwrap();
    waiting_sender.join().unwrap();
    let is_kept = share <= IDLE_SHARE_MAX;
    println!(
        "{}  both sides waiting: {:.3}% of a core, bar {:.1}%",
        verdict(is_kept),
        share * 100.0,
        IDLE_SHARE_MAX * 100.0
    );
    is_kept
}

fn cpu_time() -> Duration {
    let used = usage(UsageOf::Process);
    used.user + used.system
}

/// So little is measured in a smoke run that it says nothing.
fn verdict(is_kept: bool) -> &'static str {
    match is_kept {
        _ if is_smoke() => "smoke",
        true => "holds",
        false => "FAILS",
    }
}

criterion_group!(benches, throughput, wake_up, bars);
criterion_main!(benches);
