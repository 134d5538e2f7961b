//! A reader that stops after an eighth of the file finds, one second later, at most the budget newly
//! mapped or cached beyond the place where it stopped: whatever the mode, the policy and the file
//! system (TRAPS 1).
//!
//! It fails when markers that came with a neighbour's large folio are believed, when a plan is not
//! cut to the budget, or when anything but a reader's progress makes the engine go on.

mod common;

use std::fs::File;
use std::thread;
use std::time::Duration;

use common::{MIB, Numbered, Place, cached_bytes, make_cold, mapped_bytes, page, skip};
use mmap_ahead::{BUDGET_DEFAULT, Mmap, MmapOptions, Mode, PolicyKind, Stats};

const FILE_LEN: usize = 256 * MIB;
const STOP: usize = FILE_LEN / 8;
const POLICIES: [PolicyKind; 4] =
    [PolicyKind::Adaptive, PolicyKind::Ramp, PolicyKind::Fixed, PolicyKind::MapAhead];

/// What lies beyond the stop of one reader, a second after it stopped.
#[derive(Debug)]
struct Beyond {
    mapped: usize,
    cached: usize,
    stats: Stats,
}

/// Reads an eighth of the mapping at less than 1 GB/s: slow enough for the engine to keep up.
fn read_an_eighth(map: &Mmap) {
    let numbered = Numbered::new();
    for index in 0..STOP / page() {
        numbered.check(map, index);
        if (index * page()).is_multiple_of(MIB) {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// One stopped reader for each policy, each on a file of `files` (in turn), looked at together.
fn stop_and_wait(files: &[File], mode: Mode, budget: u64) -> Vec<(PolicyKind, Beyond)> {
    let files = files.iter().cycle();
    let maps = POLICIES.into_iter().zip(files).map(|(policy, file)| {
        let mut options = MmapOptions::new();
        options.mode(mode).policy(policy).budget(budget);
        // SAFETY: the file has no name, and nobody else writes it.
        let map = unsafe { options.map(file) }.unwrap();
        read_an_eighth(&map);
        (policy, map)
    });
    let maps: Vec<_> = maps.collect();
    thread::sleep(Duration::from_secs(1));
    let beyond = |map: &Mmap| Beyond {
        mapped: mapped_bytes(&map[STOP..]),
        cached: cached_bytes(&map[STOP..]),
        stats: map.stats(),
    };
    maps.iter().map(|(policy, map)| (*policy, beyond(map))).collect()
}

/// Fails unless every reader was followed and at most `budget` bytes are `bytes` beyond it.
fn check(label: &str, budget: u64, seen: &[(PolicyKind, Beyond)], bytes: fn(&Beyond) -> usize) {
    assert_eq!(seen.len(), POLICIES.len());
    for (policy, beyond) in seen {
        let ahead = bytes(beyond);
        println!("{label} {policy:?}: {} MiB ahead of a budget of {}", ahead / MIB, budget >> 20);
        assert!(beyond.stats.touches > 0, "{label} {policy:?} was not followed: {beyond:?}");
        assert!(ahead as u64 <= budget, "{label} {policy:?}: {ahead} bytes ahead: {beyond:?}");
    }
}

fn on_tmpfs(mode: Mode) {
    let Some(file) = Place::Tmpfs.numbered(FILE_LEN) else { skip!("/dev/shm is no tmpfs") };
    for budget in [BUDGET_DEFAULT.0, 4 * MIB as u64] {
        let seen = stop_and_wait(std::slice::from_ref(&file), mode, budget);
        check(&format!("tmpfs {mode:?}"), budget, &seen, |beyond| beyond.mapped);
        for (policy, beyond) in seen {
            assert!(beyond.stats.pages_mapped > 0, "{policy:?} mapped nothing: {beyond:?}");
        }
    }
}

fn on_a_warm_disk(mode: Mode) {
    let Some(file) = Place::Disk.numbered(FILE_LEN) else { skip!("/var/tmp is no disk") };
    let seen = stop_and_wait(&[file], mode, BUDGET_DEFAULT.0);
    check(&format!("warm {mode:?}"), BUDGET_DEFAULT.0, &seen, |beyond| beyond.mapped);
}

fn on_a_cold_disk(mode: Mode) {
    let files: Option<Vec<_>> = POLICIES.iter().map(|_| Place::Disk.numbered(FILE_LEN)).collect();
    let Some(files) = files else { skip!("/var/tmp is no disk") };
    if let Err(reason) = files.iter().try_for_each(make_cold) {
        skip!("{reason}");
    }
    let seen = stop_and_wait(&files, mode, BUDGET_DEFAULT.0);
    let label = format!("cold {mode:?}");
    check(&label, BUDGET_DEFAULT.0, &seen, |beyond| beyond.mapped);
    check(&label, BUDGET_DEFAULT.0, &seen, |beyond| beyond.cached);
    let read_ahead = seen.iter().map(|(_, beyond)| beyond.stats.pages_read_ahead).max();
    // From 1 MiB on, reading a cold disk is left to the kernel's own read-ahead.
    let is_ours = common::read_ahead_kb(&files[0]).is_none_or(|kib| kib < 1024);
    assert_eq!(read_ahead > Some(0), is_ours, "who starts the disk: {seen:?}");
}

#[test]
fn marker_on_tmpfs() {
    on_tmpfs(Mode::Marker);
}

#[test]
fn guard_on_tmpfs() {
    on_tmpfs(Mode::Guard);
}

#[test]
fn marker_on_a_warm_disk() {
    on_a_warm_disk(Mode::Marker);
}

#[test]
fn guard_on_a_warm_disk() {
    on_a_warm_disk(Mode::Guard);
}

#[test]
fn marker_on_a_cold_disk() {
    on_a_cold_disk(Mode::Marker);
}

#[test]
fn guard_on_a_cold_disk() {
    on_a_cold_disk(Mode::Guard);
}
