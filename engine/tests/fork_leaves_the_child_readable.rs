//! A forked child has the mappings but no workers: it reads every byte, its prefetches are refused,
//! and dropping and exiting work, whatever the parent's threads were doing at the fork (TRAPS 12).
//!
//! It fails when a child waits for a lock or a thread that was not forked.

mod common;

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::{KIB, MIB, Place, in_child, page, role, skip, touch_all};
use mmap_ahead::{Advice, Mmap, MmapOptions, Mode, PrefetchState};

const FILE_LEN: usize = 2 * MIB;
const FORKS: usize = 200;

fn map(file: &File, mode: Mode) -> Mmap {
    // SAFETY: the file has no name, and nobody else writes it.
    unsafe { MmapOptions::new().mode(mode).map(file) }.unwrap()
}

/// Forks, runs `child` there and answers how it ended: its status, or minus the signal.
fn fork(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child calls the engine, which keeps to what a forked child may do (that is what
    // is tested; glibc's allocator works in it), and then ends without unwinding.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", std::io::Error::last_os_error());
    if pid == 0 {
        // SAFETY: no precondition. A child that hangs dies.
        unsafe { libc::alarm(10) };
        let status = child();
        // SAFETY: ends the child at once and has no precondition.
        unsafe { libc::_exit(status) };
    }
    let mut status = -1;
    // SAFETY: `status` is writable, and `pid` is a child of this process.
    let reaped = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(reaped, pid);
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) }
}

/// 0, or the number of what is wrong. No panic: its message would take a lock.
fn in_the_child(map: Mmap, file: &File) -> i32 {
    for index in 0..FILE_LEN / page() {
        let start = index * page();
        if map[start..start + 8] != (index as u64).to_ne_bytes() {
            return 1;
        }
        if map[start + page() - 1] != ((page() - 1) % 251) as u8 {
            return 2;
        }
    }
    if map.prefetch(..).state() != PrefetchState::Refused {
        return 3;
    }
    map.pause();
    map.resume();
    let _ = (map.stats(), map.residency(..), map.advise(Advice::Random));
    let Ok(anew) = (unsafe {
        // SAFETY: the file has no name, and nobody else writes it.
        MmapOptions::new().mode(Mode::Guard).map(file)
    }) else {
        return 4;
    };
    if anew[FILE_LEN - page()..][..8] != ((FILE_LEN / page() - 1) as u64).to_ne_bytes() {
        return 5;
    }
    if anew.prefetch(..).state() != PrefetchState::Refused {
        return 6;
    }
    drop(anew);
    drop(map);
    0
}

/// Keeps the workers busy: prefetches, readers, mappings that come and go.
fn make_work(file: &File, is_over: &AtomicBool) {
    let modes = [Mode::Marker, Mode::Guard].into_iter().cycle();
    for mode in modes.take_while(|_| !is_over.load(Ordering::Relaxed)) {
        let map = map(file, mode);
        for chunk in 0..8 {
            map.prefetch(chunk * 256 * KIB..(chunk + 1) * 256 * KIB);
        }
        touch_all(&map);
    }
}

fn forks_under_load(mode: Mode) {
    let Some(file) = Place::Tmpfs.numbered(FILE_LEN) else { skip!("/dev/shm is no tmpfs") };
    let is_over = AtomicBool::new(false);
    let statuses: Vec<_> = thread::scope(|scope| {
        scope.spawn(|| make_work(&file, &is_over));
        scope.spawn(|| make_work(&file, &is_over));
        let statuses = (0..FORKS).map(|_| {
            let map = map(&file, mode);
            map.prefetch(..);
            touch_all(&map[..FILE_LEN / 2]);
            let map = std::mem::ManuallyDrop::new(map);
            let status = fork(|| {
                // SAFETY: in the child this copy of the handle is the only one that is used.
                let map = unsafe { std::ptr::read(&raw const *map) };
                in_the_child(map, &file)
            });
            touch_all(&map);
            drop(std::mem::ManuallyDrop::into_inner(map));
            status
        });
        let statuses = statuses.collect();
        is_over.store(true, Ordering::Relaxed);
        statuses
    });
    assert_eq!(statuses, [0; FORKS], "{mode:?}");
}

#[test]
fn two_hundred_forks_of_a_followed_reader() {
    if role().is_none() {
        return in_child("marker");
    }
    forks_under_load(Mode::Marker);
}

#[test]
fn two_hundred_forks_of_a_guarded_reader() {
    if role().is_none() {
        return in_child("guard");
    }
    forks_under_load(Mode::Guard);
}

#[test]
fn the_parent_reads_ahead_as_before() {
    if role().is_none() {
        return in_child("parent");
    }
    let Some(file) = Place::Tmpfs.numbered(FILE_LEN) else { skip!("/dev/shm is no tmpfs") };
    let map = map(&file, Mode::Marker);
    assert_eq!(fork(|| 7), 7);
    let prefetch = map.prefetch(..);
    let patience = Duration::from_secs(5);
    assert!(common::becomes(patience, || prefetch.state() == PrefetchState::Done));
    assert_eq!(common::mapped_bytes(&map), FILE_LEN);
}

/// Only what was followed before the fork is left alone: a child of a program that had not mapped
/// anything yet is a process like any other.
#[test]
fn a_child_forked_before_the_first_mapping_reads_ahead() {
    if role().is_none() {
        return in_child("early");
    }
    let Some(file) = Place::Tmpfs.numbered(FILE_LEN) else { skip!("/dev/shm is no tmpfs") };
    let status = fork(|| {
        let map = map(&file, Mode::Marker);
        let prefetch = map.prefetch(..);
        let patience = Duration::from_secs(5);
        let is_done = common::becomes(patience, || prefetch.state() == PrefetchState::Done);
        i32::from(!is_done)
    });
    assert_eq!(status, 0);
}
