//! Whatever goes wrong with a tracker, it tells too much and never too little; and nothing is watched
//! that nobody asks about.
//!
//! It fails when stores made while nothing could be watched are forgotten, when a mapping is watched again
//! after its last tracker is gone, when asking fails because somebody else stops asking, and when a
//! forked child waits for a lock that its parent held.

mod common;

use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use common::refused::refuse;
use common::{MIB, Place, descriptors, in_child, limit_descriptors, page, role, skip, workers};
use mmap_ahead::{DirtyPages, Mechanism, MmapMut, MmapOptions};

const LEN: usize = 2 * MIB;

fn kept(file: &File) -> MmapMut {
    // SAFETY: the file has no name, and nobody else writes it.
    unsafe { MmapOptions::new().keep_file().map_mut(file) }.unwrap()
}

fn tells(told: &DirtyPages, at: usize) -> bool {
    told.ranges().iter().any(|range| range.contains(&at))
}

/// The rights of the areas that hold `bytes`, as /proc/self/maps has them.
fn rights(bytes: &[u8]) -> Vec<String> {
    let range = bytes.as_ptr_range();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let area = |line: &str| {
        let (addresses, rest) = line.split_once(' ')?;
        let (from, to) = addresses.split_once('-')?;
        let hex = |digits| usize::from_str_radix(digits, 16).ok();
        let is_inside = hex(from)? < range.end as usize && (range.start as usize) < hex(to)?;
        is_inside.then(|| rest[..4].to_owned())
    };
    maps.lines().filter_map(area).collect()
}

#[test]
fn what_nobody_tracks_any_more_is_not_watched() {
    if role().is_none() {
        return in_child("alone");
    }
    for mechanism in Mechanism::ALL {
        let Some(file) = Place::Tmpfs.numbered(LEN) else { skip!("no tmpfs") };
        let mut map = kept(&file);
        // What the process opens once and for all.
        drop(map.track_stores_by(mechanism));
        let before = (descriptors(), workers().len());
        let Ok(tracker) = map.track_stores_by(mechanism) else { continue };
        let watched = (descriptors(), workers().len());
        drop(tracker);
        for len in [LEN, LEN + page(), 2 * LEN] {
            map.grow(len).unwrap();
            let after = (descriptors(), workers().len());
            assert_eq!(after, before, "{mechanism:?}, {len} bytes; watched: {watched:?}");
            assert!(rights(&map).iter().all(|rights| rights == "rw-s"), "{mechanism:?}");
        }
        map[5] = 1;
        let anew = map.track_stores_by(mechanism).unwrap();
        map[LEN + 5] = 1;
        let told = anew.take().unwrap();
        assert!(tells(&told, LEN + 5) && (anew.granule() > page() || !tells(&told, 5)));
        println!("seen: {mechanism:?}");
    }
}

/// The kernel would not watch any more after the mapping has grown, and later does again.
#[test]
fn what_was_stored_while_nothing_was_watched_is_told() {
    if role().is_none() {
        return in_child("no descriptors");
    }
    for mechanism in [Mechanism::Marked, Mechanism::Served] {
        let Some(file) = Place::Tmpfs.numbered(LEN) else { skip!("no tmpfs") };
        let mut map = kept(&file);
        let Ok(tracker) = map.track_stores_by(mechanism) else { continue };
        assert!(tracker.take().unwrap().is_empty());
        let before = limit_descriptors(0);
        map.grow(LEN + page()).unwrap();
        map[3 * page()] = 1;
        let refused = tracker.take();
        limit_descriptors(before);
        assert!(refused.is_err(), "{mechanism:?}: the kernel gave what it had not");
        map[5 * page()] = 1;
        map.grow(LEN + 2 * page()).unwrap();
        let told = tracker.take().unwrap();
        assert!(tells(&told, 3 * page()) && tells(&told, 5 * page()), "{mechanism:?}: {told:?}");
        assert!(tracker.take().unwrap().is_empty());
        println!("seen: {mechanism:?}");
    }
}

#[test]
fn a_new_tracker_knows_nothing_of_what_was_before() {
    for mechanism in Mechanism::ALL {
        let mut map = MmapOptions::new().len(LEN).map_anon().unwrap();
        let Ok(first) = map.track_stores_by(mechanism) else { continue };
        map[0] = 1;
        let second = map.track_stores_by(mechanism).unwrap();
        assert!(second.take().unwrap().is_empty(), "{mechanism:?}");
        assert!(tells(&first.take().unwrap(), 0), "{mechanism:?}: it is the first one's still");
    }
}

/// One thread begins to track while another drops the last tracker.
#[test]
fn the_last_tracker_may_go_while_a_new_one_comes() {
    let mut map = MmapOptions::new().len(page()).map_anon().unwrap();
    if map.track_stores_by(Mechanism::Marked).is_err() {
        skip!("no WP_ASYNC here");
    }
    let (give, take) = mpsc::channel();
    let begun = AtomicUsize::new(0);
    thread::scope(|scope| {
        let begun = &begun;
        scope.spawn(move || {
            for (round, tracker) in take.into_iter().enumerate() {
                while begun.load(Ordering::Acquire) <= round {
                    std::hint::spin_loop();
                }
                // A little earlier, a little later.
                (0..round % 300).for_each(|_| std::hint::spin_loop());
                drop(tracker);
            }
        });
        let mut tracker = map.track_stores_by(Mechanism::Marked).unwrap();
        for round in 0..12_000 {
            give.send(tracker).unwrap();
            (0..2000).for_each(|_| std::hint::spin_loop());
            begun.store(round + 1, Ordering::Release);
            let next = map.track_stores_by(Mechanism::Marked);
            tracker = next.unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
        drop(give);
    });
}

/// Somebody else takes all the time, and holds the lock at some of the forks.
#[test]
fn a_child_never_waits_for_its_parents_threads() {
    for mechanism in Mechanism::ALL {
        let mut map = MmapOptions::new().len(LEN).map_anon().unwrap();
        let Ok(tracker) = map.track_stores_by(mechanism) else { continue };
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    tracker.take().unwrap();
                }
            });
            for _ in 0..100 {
                // SAFETY: the child drops a tracker and ends without unwinding.
                let pid = unsafe { libc::fork() };
                if pid == 0 {
                    // SAFETY: no precondition. A child that hangs dies.
                    unsafe { libc::alarm(5) };
                    // SAFETY: read once, and the child ends before its owner could drop it as well.
                    drop(unsafe { std::ptr::read(&raw const tracker) });
                    // SAFETY: ends the child at once and has no precondition.
                    unsafe { libc::_exit(0) };
                }
                let mut status = -1;
                // SAFETY: `status` is writable, and `pid` is a child of this process.
                unsafe { libc::waitpid(pid, &raw mut status, 0) };
                is_over.fetch_or(status != 0, Ordering::Relaxed);
                assert_eq!(status, 0, "{mechanism:?}");
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}

/// The thread that lets stores through runs none of the program's signal handlers.
#[test]
fn the_serving_thread_blocks_every_signal() {
    if role().is_none() {
        return in_child("alone");
    }
    let mut map = MmapOptions::new().len(LEN).map_anon().unwrap();
    let Ok(_tracker) = map.track_stores_by(Mechanism::Served) else { skip!("no userfaultfd") };
    map[0] = 1;
    let threads = workers();
    assert_eq!(threads.len(), 1);
    let status = fs::read_to_string(threads[0].join("status")).unwrap();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap().trim();
    // All but SIGKILL, SIGSTOP, and the two that the C library keeps for itself.
    let all = !(1_u64 << 8 | 1 << 18 | 1 << 31 | 1 << 32);
    assert_eq!(u64::from_str_radix(blocked, 16).unwrap() | 3 << 31, all | 3 << 31);
}

/// With no areas left, one store opens all of it: too much is told. (A mapping of a file is an area of its
/// own; of anonymous memory the kernel makes one with a neighbour that has the same rights.)
#[test]
fn a_store_gets_through_when_there_are_no_areas_left() {
    if role().is_none() {
        return in_child("areas");
    }
    let Some(file) = Place::Tmpfs.numbered(LEN) else { skip!("no tmpfs") };
    let mut map = kept(&file);
    let Ok(tracker) = map.track_stores_by(Mechanism::Signal) else { skip!("no guard here") };
    let (none, private) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    for index in 0..200_000 {
        let prot = if index % 2 == 0 { none } else { libc::PROT_READ };
        // SAFETY: a new mapping at an address of the kernel's choice disturbs nothing.
        let area = unsafe { libc::mmap(std::ptr::null_mut(), page(), prot, private, -1, 0) };
        if area == libc::MAP_FAILED {
            break;
        }
    }
    map[7 * page()] = 1;
    map[9 * page()] = 1;
    let told = tracker.take().unwrap();
    println!("seen: {} bytes told of 2 pages", told.bytes());
    assert!(tells(&told, 7 * page()) && tells(&told, 9 * page()), "{told:?}");
    map[9 * page()] = 2;
    assert!(tells(&tracker.take().unwrap(), 9 * page()));
}

/// Where the page table does not tell, `flush_dirty` flushes all, and begins nothing that a program
/// would notice.
#[test]
fn flushing_starts_neither_a_thread_nor_a_handler() {
    if role().is_none() {
        return in_child("no userfaultfd");
    }
    let Some(file) = Place::Tmpfs.numbered(LEN) else { skip!("no tmpfs") };
    let mut map = kept(&file);
    if !refuse(&[libc::SYS_ioctl]) {
        skip!("no seccomp here");
    }
    for round in 0..3 {
        map[round * page()] = 1;
        let flushed = map.flush_dirty().unwrap();
        assert!(flushed.is_synced && flushed.stored.is_none(), "{flushed:?}");
    }
    assert_eq!((rights(&map), workers().len()), (vec!["rw-s".to_owned()], 0));
}
