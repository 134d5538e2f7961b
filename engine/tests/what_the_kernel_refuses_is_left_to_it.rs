//! What the kernel or a container refuses is counted and left alone: no error, no crash, the right bytes
//! (TRAPS 5, 12).
//!
//! It fails when a thread that cannot be made ends the program, when there is no other way beside
//! process_madvise(2), and when many pages are not asked for in batches.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::time::Duration;

use common::refused::refuse;
use common::{
    MIB, Numbered, Place, becomes, cached_bytes, in_child, make_cold, page, role, skip, workers,
};
use mmap_ahead::{Advice, Mmap, PrefetchState, lab};

const LEN: usize = 16 * MIB;
const PATIENCE: Duration = Duration::from_secs(5);

fn map(file: &File) -> Mmap {
    // SAFETY: the file has no name, and nobody changes its bytes.
    unsafe { Mmap::map(file) }.unwrap()
}

/// Single pages far from each other.
fn pages() -> Vec<std::ops::Range<usize>> {
    (0..60).map(|index| index * 64 * page() % LEN).map(|at| at..at + 1).collect()
}

/// Nothing is followed, all else is as with memmap2.
#[test]
fn without_a_thread_it_is_off() {
    if role().is_none() {
        return in_child("no threads");
    }
    let Some(file) = Place::Tmpfs.numbered(LEN) else { skip!("/dev/shm is no tmpfs") };
    if !refuse(&[libc::SYS_clone, libc::SYS_clone3]) {
        skip!("no seccomp here");
    }
    assert!(std::thread::Builder::new().spawn(|| ()).is_err());
    let mut map = map(&file);
    for _ in 0..2 {
        let prefetch = map.prefetch(..);
        assert_eq!(prefetch.wait_timeout(PATIENCE), PrefetchState::Refused);
        (0..LEN / page()).for_each(|index| Numbered::new().check(&map, index));
        map.advise(Advice::Sequential).unwrap();
        map = map.make_mut().unwrap().make_read_only().unwrap();
    }
    assert_eq!((workers().len(), map.stats().windows, map.stats().pages_mapped), (0, 0, 0));
}

#[test]
fn without_process_madvise_it_is_madvise() {
    if role().is_none() {
        return in_child("no process_madvise");
    }
    let Some(file) = Place::Disk.numbered(LEN) else { skip!("/var/tmp is no disk") };
    let map = map(&file);
    if !refuse(&[libc::SYS_process_madvise]) {
        skip!("no seccomp here");
    }
    for _ in 0..2 {
        if let Err(why) = make_cold(&file) {
            skip!("{why}");
        }
        let prefetch = map.prefetch_many(&pages());
        assert_eq!(prefetch.wait_timeout(PATIENCE), PrefetchState::Done);
        assert!(pages().iter().all(|page| cached_bytes(&map[page.clone()]) > 0));
    }
    assert_eq!(map.stats().refused, 0, "there is another way");
}

/// Without madvise(2) a batch still gets through, if it is one.
#[test]
fn many_pages_are_asked_for_at_once() {
    if role().is_none() {
        return in_child("no madvise");
    }
    let Some(file) = Place::Disk.numbered(LEN) else { skip!("/var/tmp is no disk") };
    let map = map(&file);
    if lab::tried().iter().any(|call| call.name == "process_madvise" && !call.works) {
        skip!("no process_madvise(2) on oneself before Linux 6.13");
    }
    if let Err(why) = make_cold(&file) {
        skip!("{why}");
    }
    if !refuse(&[libc::SYS_madvise]) {
        skip!("no seccomp here");
    }
    map.prefetch_many(&pages());
    let all_cached = || pages().iter().all(|page| cached_bytes(&map[page.clone()]) > 0);
    assert!(becomes(PATIENCE, all_cached), "{:?}", map.stats());
}
