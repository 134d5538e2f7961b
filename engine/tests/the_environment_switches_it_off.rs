//! `MMAP_AHEAD=off` in the environment makes everything plain memmap2: no thread, no descriptor, no
//! counter. Without it there is still no thread before the first mapping of 1 MiB, and a worker never
//! runs the program's signal handlers (TRAPS 12).
//!
//! It fails when anything of the engine starts with the program, or before the variable is read.

mod common;

use std::fs::{self, File};
use std::time::Duration;

use common::stuck::PATIENCE;
use common::{KIB, MIB, Numbered, Place, becomes, in_child_with, page, role, skip, workers};
use mmap_ahead::{Mmap, MmapOptions, Mode, Prefetch, PrefetchState, Stats};

fn file(len: usize) -> Option<File> {
    Place::Tmpfs.numbered(len)
}

fn map(file: &File, mode: Mode) -> Mmap {
    // SAFETY: the file has no name, and nobody else writes it.
    unsafe { MmapOptions::new().mode(mode).map(file) }.unwrap()
}

/// Descriptors of this process on its own page map.
fn page_maps() -> usize {
    let links = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|link| fs::read_link(link.ok()?.path()).ok());
    links.filter(|target| target.ends_with("pagemap")).count()
}

fn check_all(map: &Mmap) {
    let numbered = Numbered::new();
    (0..map.len().div_ceil(page())).for_each(|index| numbered.check(map, index));
}

fn state_after(map: &Mmap) -> PrefetchState {
    let prefetch: Prefetch = map.prefetch(..);
    becomes(PATIENCE, || prefetch.state() != PrefetchState::Pending);
    prefetch.state()
}

#[test]
fn off_means_plain_memmap2() {
    if role().is_none() {
        return in_child_with("off", |command| {
            command.env("MMAP_AHEAD", "off");
        });
    }
    let Some(file) = file(4 * MIB) else { skip!("/dev/shm is no tmpfs") };
    for mode in [Mode::Auto, Mode::Marker, Mode::Guard] {
        let map = map(&file, mode);
        assert_eq!(state_after(&map), PrefetchState::Refused);
        check_all(&map);
        map.pause();
        map.resume();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(map.stats(), Stats::default());
        assert_eq!(workers().len(), 0);
        assert_eq!(page_maps(), 0);
    }
}

#[test]
fn any_other_value_leaves_it_on() {
    if role().is_none() {
        return in_child_with("on", |command| {
            command.env("MMAP_AHEAD", "on");
        });
    }
    let Some(file) = file(4 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let map = map(&file, Mode::Auto);
    assert_eq!(state_after(&map), PrefetchState::Done);
    assert_ne!(map.stats(), Stats::default());
}

#[test]
fn no_thread_runs_before_the_first_mapping_of_a_mebibyte() {
    if role().is_none() {
        return in_child_with("default", |command| {
            command.env_remove("MMAP_AHEAD");
        });
    }
    let (Some(short), Some(long)) = (file(MIB - 1), file(MIB)) else {
        skip!("/dev/shm is no tmpfs")
    };
    assert_eq!(workers().len(), 0);
    let short = map(&short, Mode::Auto);
    check_all(&short);
    let anonymous = mmap_ahead::MmapMut::map_anon(16 * MIB).unwrap();
    assert_eq!(anonymous[16 * MIB - 1], 0);
    assert_eq!(workers().len(), 0, "nothing here is followed");
    let off = map(&long, Mode::Off);
    check_all(&off);
    assert_eq!(workers().len(), 0, "nothing here is followed");
    let long = map(&long, Mode::Auto);
    assert!(becomes(PATIENCE, || !workers().is_empty()), "{:?}", long.stats());
    drop((short, off));
}

#[test]
fn workers_block_every_signal() {
    if role().is_none() {
        return in_child_with("default", |command| {
            command.env_remove("MMAP_AHEAD");
        });
    }
    let Some(file) = file(4 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let map = map(&file, Mode::Auto);
    // Two threads at least: one that fetches and one that stands by.
    for chunk in 0..8 {
        map.prefetch(chunk * 512 * KIB..(chunk + 1) * 512 * KIB);
    }
    assert!(becomes(PATIENCE, || workers().len() >= 2), "{} workers", workers().len());
    // A new thread needs a moment until it has said so.
    assert!(becomes(PATIENCE, || workers().iter().all(|worker| blocks_all(worker))));
}

/// Whether a thread blocks everything that can be blocked.
fn blocks_all(thread: &std::path::Path) -> bool {
    let status = fs::read_to_string(thread.join("status")).unwrap_or_default();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap_or("0");
    let blocked = u64::from_str_radix(blocked.trim(), 16).unwrap();
    let is_blocked = |signal: i32| blocked >> (signal - 1) & 1 == 1;
    let ordinary = (1..32).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal));
    ordinary.chain(libc::SIGRTMIN()..=libc::SIGRTMAX()).all(is_blocked)
}
