//! The counters say whether reading ahead helped: what share of it was used, what share of the touches
//! found their page mapped, whether pages came in time, what was read for nothing, and how many streams
//! are alive.
//!
//! It fails when pages that a reader has passed stay unused, when pages that nobody came for count as
//! used, and when counting makes the engine look or fetch.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::hint::black_box;
use std::thread;
use std::time::Duration;

use common::{KIB, MIB, Place, Random, becomes, make_cold, page, skip, touch_all};
use mmap_ahead::{Mmap, Stats};

const LEN: usize = 128 * MIB;
const PATIENCE: Duration = Duration::from_secs(5);

fn map(file: &File) -> Mmap {
    // SAFETY: the file has no name, and nobody writes it.
    unsafe { Mmap::map(file) }.unwrap()
}

/// Slow enough for the engine to keep up.
fn read_slowly(bytes: &[u8]) {
    for chunk in bytes.chunks(MIB) {
        touch_all(chunk);
        thread::sleep(Duration::from_millis(1));
    }
}

fn judged(stats: &Stats) -> u64 {
    let late = stats.arrived_late_100us + stats.arrived_late_1ms + stats.arrived_late_10ms;
    stats.arrived_in_time + late + stats.arrived_late_longer
}

macro_rules! cold {
    () => {{
        let Some(file) = Place::Disk.numbered(LEN) else { skip!("/var/tmp is no disk") };
        if let Err(reason) = make_cold(&file) {
            skip!("{reason}");
        }
        file
    }};
}

#[test]
fn one_run_through_memory_is_covered_and_all_of_it_is_used() {
    let Some(file) = Place::Tmpfs.numbered(LEN) else { skip!("/dev/shm is no tmpfs") };
    let map = map(&file);
    assert_eq!((map.stats().accuracy(), map.stats().coverage()), (None, None));
    read_slowly(&map[..LEN / 2]);
    let half = map.stats();
    assert_eq!(half.streams, 1, "{half:?}");
    read_slowly(&map[LEN / 2..]);
    let all = (LEN / page()) as u64;
    // The last touch is heard of a moment later.
    assert!(becomes(PATIENCE, || map.stats().pages_passed > all * 9 / 10), "{:?}", map.stats());
    let stats = map.stats();
    println!("seen: {:?} {:?} {stats:?}", stats.accuracy(), stats.coverage());
    assert!(stats.pages_passed <= all + all / 50, "more pages than there are: {stats:?}");
    assert!(stats.accuracy().unwrap() > 0.9 && stats.coverage().unwrap() > 0.7, "{stats:?}");
    assert!(stats.pages_used <= stats.pages_ahead && stats.pages_covered <= stats.pages_used);
    assert_eq!((stats.bytes_wasted, judged(&stats)), (0, 0), "no disk here: {stats:?}");
    assert!(becomes(PATIENCE, || map.stats().streams == 0), "nobody reads any more");
}

#[test]
fn what_lies_ahead_of_a_reader_that_stopped_is_not_used() {
    let Some(file) = Place::Tmpfs.numbered(LEN) else { skip!("/dev/shm is no tmpfs") };
    let map = map(&file);
    read_slowly(&map[..LEN / 4]);
    thread::sleep(Duration::from_millis(100));
    let stats = map.stats();
    let read = (LEN / 4 / page()) as u64;
    assert!(stats.pages_passed <= read + 16, "{stats:?}");
    assert!(stats.pages_used <= read && stats.pages_ahead > read, "{stats:?}");
    assert!(stats.accuracy().unwrap() < 0.95, "{stats:?}");
}

#[test]
fn the_steps_of_a_stride_are_used_and_their_arrival_is_judged() {
    let file = cold!();
    let Some(0..1024) = common::read_ahead_kb(&file) else {
        skip!("a read_ahead_kb of 1024 or more reads all that lies between the steps")
    };
    let map = map(&file);
    let mut streams = 0;
    for at in (0..LEN).step_by(128 * KIB) {
        black_box(map[at]);
        // A reader that works a little on each page.
        let until = std::time::Instant::now() + Duration::from_micros(50);
        while std::time::Instant::now() < until {}
        streams = streams.max(map.stats().streams);
    }
    let steps = (LEN / (128 * KIB)) as u64;
    let is_told = || map.stats().pages_used * 2 > steps;
    assert!(becomes(PATIENCE, is_told), "{:?}", map.stats());
    let stats = map.stats();
    println!("seen: {:?} {:?} {stats:?}", stats.accuracy(), stats.timeliness());
    assert!(streams >= 1 && judged(&stats) > 0, "{stats:?}");
    assert!(stats.accuracy().unwrap() > 0.8, "{stats:?}");
    let wasted = (stats.pages_read_ahead - stats.pages_read_used) * page() as u64;
    assert_eq!(stats.bytes_wasted, wasted);
    assert!(stats.bytes_wasted <= 2 * MIB as u64, "{stats:?}");
}

#[test]
fn random_touches_are_passed_and_not_covered() {
    let Some(file) = Place::Tmpfs.numbered(LEN) else { skip!("/dev/shm is no tmpfs") };
    let map = map(&file);
    let mut random = Random::new(3);
    for _ in 0..500 {
        black_box(map[random.below(LEN)]);
        thread::sleep(Duration::from_micros(100));
    }
    assert!(becomes(PATIENCE, || map.stats().pages_passed > 0), "{:?}", map.stats());
    let stats = map.stats();
    assert!(stats.coverage().unwrap() < 0.2, "{stats:?}");
    assert!(stats.pages_passed <= 500 * 16, "at most a block for each touch: {stats:?}");
}
