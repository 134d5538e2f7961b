//! The channel against a Unix socket pair and a bare futex: throughput with messages of 64 KiB, and
//! the latency of waking a receiver that sleeps. Bars: 2 GB/s, and 1.5 times the bare futex.
//!
//! Real: `cargo bench -p mmap-ahead-extras --bench shm`. Smoke (one pass, part of the tests):
//! `cargo test -p mmap-ahead-extras --benches`.

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel as results};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mmap_ahead::lab::{FutexScope, SharedMemory, futex_wait, futex_wake_all};
use mmap_ahead_extras::shm::Channel;

const MESSAGE: usize = 64 << 10;
const CAPACITY: usize = 1 << 20;
/// Messages of one measured pass: 64 MiB.
const MESSAGES: usize = 1024;

/// How long the sender waits before each wake-up: the receiver is asleep then.
const ASLEEP: Duration = Duration::from_micros(150);

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

fn throughput(c: &mut Criterion) {
    let mut group = c.benchmark_group("messages of 64 KiB");
    group.throughput(Throughput::Bytes((MESSAGES * MESSAGE) as u64));
    group.sample_size(20);
    for (name, pipe) in [("shm", shm as fn() -> Pipe), ("Unix socket pair", socket)] {
        let (mut sender, mut receiver) = pipe();
        let reader = thread::spawn(move || {
            let mut buffer = vec![0; MESSAGE];
            while receiver.read_exact(&mut buffer).is_ok() {
                std::hint::black_box(&buffer);
            }
        });
        let message = vec![7; MESSAGE];
        group.bench_function(name, |bencher| {
            bencher.iter(|| (0..MESSAGES).for_each(|_| sender.write_all(&message).unwrap()));
        });
        drop(sender);
        reader.join().unwrap();
    }
    group.finish();
}

/// A sleeping receiver: it is woken with the time of sending and tells how long that took.
struct Sleeper {
    wake: Box<dyn FnMut(u64)>,
    latencies: Receiver<u64>,
    thread: JoinHandle<()>,
}

fn sleeper_at(begun: Instant, pipe: Pipe) -> Sleeper {
    let (mut sender, mut receiver) = pipe;
    let (tell, latencies) = results();
    let thread = thread::spawn(move || {
        let mut sent = [0; 8];
        while receiver.read_exact(&mut sent).is_ok() {
            tell_latency(begun, u64::from_ne_bytes(sent), &tell);
        }
    });
    let wake = Box::new(move |now: u64| sender.write_all(&now.to_ne_bytes()).unwrap());
    Sleeper { wake, latencies, thread }
}

/// Nothing but the time in a word, a word that changes, and futex(2).
fn sleeper_at_bare_futex(begun: Instant) -> Sleeper {
    let file = tempfile::tempfile_in("/dev/shm").or_else(|_| tempfile::tempfile()).unwrap();
    file.set_len(4096).unwrap();
    let ours = SharedMemory::map(&file, 4096).unwrap();
    let theirs = SharedMemory::map(&file, 4096).unwrap();
    let (tell, latencies) = results();
    let thread = thread::spawn(move || {
        let (word, time): (&AtomicU32, &AtomicU64) = (theirs.word32(0), theirs.word64(64));
        let mut seen = 0;
        loop {
            while word.load(Ordering::Acquire) == seen {
                futex_wait(word, seen, None, FutexScope::Shared);
            }
            seen += 1;
            match time.load(Ordering::Relaxed) {
                0 => break,
                sent => tell_latency(begun, sent, &tell),
            }
        }
    });
    let wake = Box::new(move |now: u64| {
        ours.word64(64).store(now, Ordering::Relaxed);
        ours.word32(0).fetch_add(1, Ordering::Release);
        futex_wake_all(ours.word32(0), FutexScope::Shared);
    });
    Sleeper { wake, latencies, thread }
}

fn tell_latency(begun: Instant, sent: u64, tell: &Sender<u64>) {
    let _ = tell.send(nanos_since(begun) - sent);
}

fn nanos_since(begun: Instant) -> u64 {
    begun.elapsed().as_nanos() as u64
}

fn wake_up(c: &mut Criterion) {
    let begun = Instant::now();
    let mut group = c.benchmark_group("one-way wake-up of a sleeper");
    // Of the time that is reported; the sleeps in between take ten times as long.
    group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(500));
    group.sample_size(50);
    let sleepers = [
        ("shm", sleeper_at(begun, shm())),
        ("Unix socket pair", sleeper_at(begun, socket())),
        ("bare futex", sleeper_at_bare_futex(begun)),
    ];
    for (name, Sleeper { mut wake, latencies, thread }) in sleepers {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let mut once = || {
                    thread::sleep(ASLEEP);
                    wake(nanos_since(begun));
                    latencies.recv().unwrap()
                };
                Duration::from_nanos((0..times).map(|_| once()).sum())
            });
        });
        // The bare futex has no other end; the others end with their sender.
        if name == "bare futex" {
            wake(0);
        }
        drop(wake);
        thread.join().unwrap();
    }
    group.finish();
}

criterion_group!(benches, throughput, wake_up);
criterion_main!(benches);
