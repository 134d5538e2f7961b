//! What all mappings of a process together have fetched ahead and not seen taken stays within one budget,
//! each has a part of it, and what is passed or dropped is given back.
//!
//! It fails when a fetch is carried out without asking, when the first mappings take all there is, and when
//! what was passed is not given back.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::thread;
use std::time::Duration;

use common::{MIB, Place, becomes, in_child, make_cold, mapped_bytes, role, skip, touch_all};
use mmap_ahead::page::ByteLen;
use mmap_ahead::{Mmap, MmapOptions, Stats, process_stats, set_process_budget};

const PATIENCE: Duration = Duration::from_secs(10);
const LEN: usize = 64 * MIB;
const MAPS: usize = 10;
const BUDGET: usize = 12 * MIB;

fn map(file: &File) -> Mmap {
    // SAFETY: the file has no name, and nobody writes it.
    unsafe { Mmap::map(file) }.unwrap()
}

/// All readers go on from `from` to `to`, in turn.
fn read(maps: &[Mmap], from: usize, to: usize) {
    for at in (from..to).step_by(MIB / 2) {
        for map in maps {
            touch_all(&map[at..at + MIB / 2]);
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A file that all mappings share; each has a reader of its own.
macro_rules! maps {
    () => {{
        let Some(file) = Place::Tmpfs.numbered(LEN) else { skip!("/dev/shm is no tmpfs") };
        (0..MAPS).map(|_| map(&file)).collect::<Vec<_>>()
    }};
}

fn sum(maps: &[Mmap], count: fn(&Stats) -> u64) -> u64 {
    maps.iter().map(|map| count(&map.stats())).sum()
}

#[test]
fn together_they_stay_within_it_and_each_has_a_part() {
    if role().is_none() {
        return in_child("within");
    }
    set_process_budget(ByteLen(BUDGET as u64));
    let maps = maps!();
    let mut most = 0;
    for at in (0..LEN / 2).step_by(2 * MIB) {
        let to = at + 2 * MIB;
        read(&maps, at, to);
        thread::sleep(Duration::from_millis(10));
        let beyond: Vec<_> = maps.iter().map(|map| mapped_bytes(&map[to..]) >> 10).collect();
        let (all, stats) = (beyond.iter().sum::<usize>() << 10, process_stats());
        println!("seen: {all} bytes ahead of all, KiB each: {beyond:?}; {stats:?}");
        assert!(all <= BUDGET && stats.ahead_most.0 as usize <= BUDGET, "{stats:?}");
        most = most.max(all);
    }
    assert!(most > BUDGET / 8, "hardly anything is read ahead");
    let has_some = |map: &Mmap| map.stats().pages_ahead > 0;
    assert!(maps.iter().all(has_some), "some have it all");
    assert!(sum(&maps, |stats| stats.over_budget) > 0, "nobody was refused");
    drop(maps);
    assert!(becomes(PATIENCE, || process_stats().ahead.0 == 0), "{:?}", process_stats());
}

#[test]
fn it_goes_round_and_round() {
    if role().is_none() {
        return in_child("round");
    }
    set_process_budget(ByteLen(BUDGET as u64));
    let maps = maps!();
    read(&maps, 0, LEN);
    let (used, page) = (sum(&maps, |stats| stats.pages_used), common::page());
    println!("seen: {} MiB used of a budget of {}", used as usize * page / MIB, BUDGET / MIB);
    assert!(used as usize * page > 8 * BUDGET, "what was passed is not given back");
    assert!(process_stats().ahead_most.0 as usize <= BUDGET, "{:?}", process_stats());
}

#[test]
fn where_there_is_enough_nobody_is_refused() {
    if role().is_none() {
        return in_child("enough");
    }
    let before = process_stats();
    assert!(
        before.budget > ByteLen(100 * BUDGET as u64 / 10),
        "this machine has little: {before:?}"
    );
    let maps = maps!();
    let mut rounds = (0..LEN / MIB).map(|at| read(&maps, at * MIB, (at + 1) * MIB));
    assert!(rounds.any(|()| process_stats().ahead.0 as usize > BUDGET), "{:?}", process_stats());
    assert_eq!(sum(&maps, |stats| stats.over_budget + stats.pressures), 0);
}

#[test]
fn with_none_nothing_is_fetched() {
    if role().is_none() {
        return in_child("none");
    }
    set_process_budget(ByteLen(0));
    let maps = maps!();
    read(&maps, 0, 8 * MIB);
    assert!(becomes(PATIENCE, || sum(&maps, |stats| stats.over_budget) > 0));
    assert_eq!(sum(&maps, |stats| stats.pages_mapped + stats.pages_ahead), 0);
    assert!(maps.iter().all(|map| mapped_bytes(&map[8 * MIB..]) == 0));
    // It takes effect while mappings live.
    set_process_budget(ByteLen(1 << 30));
    let mut rounds = (8..LEN / MIB).map(|at| read(&maps, at * MIB, (at + 1) * MIB));
    assert!(rounds.any(|()| sum(&maps, |stats| stats.pages_ahead) > 0));
}

#[test]
fn writers_share_it_too() {
    if role().is_none() {
        return in_child("writers");
    }
    let budget = 6 * MIB;
    set_process_budget(ByteLen(budget as u64));
    let Some(file) = Place::Tmpfs.sparse(LEN) else { skip!("/dev/shm is no tmpfs") };
    // SAFETY: the file has no name, and nobody else writes it.
    let mut map = unsafe { MmapOptions::new().write_ahead().map_mut(&file) }.unwrap();
    let mut most = 0;
    for at in (0..LEN - MIB).step_by(MIB) {
        (at..at + MIB).step_by(common::page()).for_each(|at| map[at] = 1);
        thread::sleep(Duration::from_millis(15));
        most = most.max(mapped_bytes(&map[at + MIB..]));
    }
    println!("seen: at most {most} bytes ahead of a writer, {:?}", map.stats());
    assert!(most > 0 && most <= budget / 2, "{most}: {:?}", map.stats());
}

#[test]
fn what_a_disk_is_started_on_counts() {
    if role().is_none() {
        return in_child("disk");
    }
    set_process_budget(ByteLen(8 * MIB as u64));
    let Some(file) = Place::Disk.numbered(LEN) else { skip!("/var/tmp is no disk") };
    if let Err(reason) = make_cold(&file) {
        skip!("{reason}");
    }
    let Some(0..1024) = common::read_ahead_kb(&file) else {
        skip!("a read_ahead_kb of 1024 or more is left to the kernel")
    };
    let map = map(&file);
    for at in (0..LEN).step_by(MIB / 4) {
        touch_all(&map[at..at + MIB / 4]);
        thread::sleep(Duration::from_micros(500));
    }
    let (stats, process) = (map.stats(), process_stats());
    println!("seen: {process:?} {stats:?}");
    assert!(stats.pages_read_ahead > 0 && stats.over_budget > 0, "{stats:?}");
    assert!(
        stats.pages_read_ahead as usize <= LEN / common::page(),
        "some is read twice: {stats:?}"
    );
    assert!(process.ahead_most.0 <= 4 * MIB as u64, "{process:?}");
}
