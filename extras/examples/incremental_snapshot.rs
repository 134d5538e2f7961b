//! Stores to a file through its mapping, round by round, and takes a snapshot after each that holds what
//! changed; puts the last one together again and compares; says what it cost beside a full copy.
//!
//! `cargo run --release -p mmap-ahead-extras --example incremental_snapshot -- [MIB] [PERCENT] [ROUNDS]`
//! (default: 256 MiB, 1% of the pages in each round, 5 rounds)

mod common;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::Example;
use mmap_ahead::{Mechanism, MmapOptions};
use mmap_ahead_extras::snapshot::{Snapshots, restore};

const EXAMPLE: Example = Example {
    name: "incremental_snapshot",
    usage: "[MIB] [PERCENT] [ROUNDS]
  MIB      the length of the file (default: 256)
  PERCENT  how many of its pages are stored to in a round, 0 to 100 (default: 1)
  ROUNDS   how many snapshots are taken (default: 5)",
};

/// Numbers that look random: the high bits of a linear congruential generator.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

fn main() -> ExitCode {
    let words = EXAMPLE.words(3);
    let number = |index: usize, default: usize, least: usize, most: usize| {
        let Some(word) = words.get(index) else { return default };
        let number = word.to_str().and_then(|word| word.parse().ok());
        number.filter(|number| (least..=most).contains(number)).unwrap_or_else(|| {
            EXAMPLE.wrong(&format!("{word:?} is no whole number from {least} to {most}"))
        })
    };
    let (mib, percent) = (number(0, 256, 1, 1 << 20), number(1, 1, 0, 100));
    EXAMPLE.end(run(mib, percent, number(2, 5, 0, 10_000)))
}

fn run(mib: usize, percent: usize, rounds: usize) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir_in("/var/tmp")?;
    let file = tempfile::tempfile_in("/var/tmp")?;
    file.set_len((mib as u64) << 20)?;
    // SAFETY: the file has no name, and nobody else changes it.
    let map = unsafe { MmapOptions::new().map_mut(&file)? };

    let begun = Instant::now();
    let mut snapshots = Snapshots::begin(map, dir.path())?;
    let tracker = snapshots.tracker();
    let noticed = match tracker.mechanism() {
        Mechanism::Marked => "marked in the page table by the kernel",
        Mechanism::Served => "noticed by a thread",
        _ => "noticed by a handler of SIGSEGV",
    };
    println!("stores are {noticed}, {} bytes at a time", tracker.granule());
    println!("round   stored      written     ranges   time");
    row("all", 0, snapshots.map().len() as u64, 1, begun.elapsed());

    let mut state = 1;
    let mut times = Vec::new();
    for round in 1..=rounds {
        let pages = snapshots.map().len() / 4096;
        let stores = pages * percent / 100;
        for store in 0..stores {
            let at = next(&mut state) % pages * 4096 + next(&mut state) % 4096;
            snapshots.map_mut()[at] = store as u8;
        }
        let begun = Instant::now();
        let taken = snapshots.take()?;
        times.push(begun.elapsed());
        row(&round.to_string(), stores, taken.stored_bytes, taken.ranges, begun.elapsed());
    }

    let is_same = restore(dir.path(), rounds as u64)? == snapshots.map()[..];
    let begun = Instant::now();
    snapshots.take_all()?;
    let all = begun.elapsed();
    times.sort();
    println!(
        "restored from {} files: {}",
        rounds + 1,
        if is_same { "the same bytes" } else { "WRONG" }
    );
    if let Some(median) = times.get(times.len() / 2) {
        let times = all.as_secs_f64() / median.as_secs_f64();
        println!("a full copy takes {:.1} ms: {times:.0} times as long", all.as_secs_f64() * 1e3);
    }
    if is_same { Ok(()) } else { Err("the restored bytes differ".into()) }
}

fn row(round: &str, stores: usize, bytes: u64, ranges: usize, time: Duration) {
    let (mib, ms) = (bytes as f64 / f64::from(1 << 20), time.as_secs_f64() * 1e3);
    println!("{round:>5} {stores:>8} {mib:>9.2} MiB {ranges:>10} {ms:>8.1} ms");
}
