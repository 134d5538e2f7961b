//! A tracker tells exactly the pages that were stored to since it was last asked, whichever mechanism
//! notices them, on every kind of mapping that the mechanism can do.
//!
//! It fails when a store is missed, when a page is told that was not stored to (beyond the mechanism's
//! granule), and when no mechanism ran at all.

mod common;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use common::{KIB, MIB, Place, Random, page, skip};
use mmap_ahead::{DirtyPages, DirtyTracker, Mechanism, MmapMut, MmapOptions, Mode};

const LEN: usize = 12 * MIB + 5000;

/// What a mapping may be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Anonymous,
    Shared(Place),
    Private(Place),
}

const KINDS: [Kind; 5] = [
    Kind::Anonymous,
    Kind::Shared(Place::Tmpfs),
    Kind::Shared(Place::Disk),
    Kind::Private(Place::Tmpfs),
    Kind::Private(Place::Disk),
];

/// `None` where the machine has no such place. It begins `offset` bytes into the file.
fn mapping(kind: Kind, offset: usize) -> Option<MmapMut> {
    let mut options = MmapOptions::new();
    options.len(LEN).mode(Mode::Off).offset(offset as u64);
    match kind {
        Kind::Anonymous => options.map_anon().ok(),
        // SAFETY: the file has no name, and nobody else writes it.
        Kind::Shared(place) => unsafe { options.map_mut(&place.numbered(LEN + offset)?) }.ok(),
        // SAFETY: as above.
        Kind::Private(place) => unsafe { options.map_copy(&place.numbered(LEN + offset)?) }.ok(),
    }
}

/// The pages (of the mapping's own memory) that some bytes of the slice lie in.
fn pages_of(map: &MmapMut, ranges: &[Range<usize>]) -> BTreeSet<usize> {
    let lead = map.as_ptr() as usize % page();
    let pages =
        |range: &Range<usize>| (range.start + lead) / page()..(range.end + lead).div_ceil(page());
    ranges.iter().flat_map(pages).collect()
}

/// The pages of all granules that hold one of `stored`.
fn widened(stored: &BTreeSet<usize>, tracker: &DirtyTracker, map: &MmapMut) -> BTreeSet<usize> {
    let each = tracker.granule() / page();
    let lead = map.as_ptr() as usize % page();
    let end = (map.len() + lead).div_ceil(page());
    let granule = |at: &usize| at / each * each..(at / each * each + each).min(end);
    stored.iter().flat_map(granule).collect()
}

/// Every pair of a mechanism and a mapping that can be had; says which.
fn each_pair(mut run: impl FnMut(MmapMut, DirtyTracker, Mechanism, Kind)) {
    let mut ran = 0;
    for mechanism in Mechanism::ALL {
        for kind in KINDS {
            let Some(mut map) = mapping(kind, 0) else { continue };
            match map.track_stores_by(mechanism) {
                Ok(tracker) => {
                    println!("seen: {mechanism:?} on {kind:?}, {} KiB", tracker.granule() / KIB);
                    ran += 1;
                    run(map, tracker, mechanism, kind);
                }
                Err(error) => println!("seen: not {mechanism:?} on {kind:?}: {error}"),
            }
        }
    }
    assert!(ran > 0, "no mechanism works on any mapping");
}

#[test]
fn exactly_what_was_stored_to_is_told_and_only_once() {
    let mut random = Random::new(7);
    each_pair(|mut map, tracker, mechanism, kind| {
        assert!(tracker.take().unwrap().is_empty(), "{mechanism:?} {kind:?}: before any store");
        // Loads are no stores.
        common::touch_all(&map);
        assert!(tracker.take().unwrap().is_empty(), "{mechanism:?} {kind:?}: after loads");
        for round in 0..20 {
            let count = [0, 1, 3, 100, 2000][round % 5];
            let mut stored = BTreeSet::new();
            for _ in 0..count {
                let at = random.below(map.len());
                map[at] = map[at].wrapping_add(1);
                stored.insert(at / page());
            }
            let told = tracker.take().unwrap();
            let told_pages = pages_of(&map, told.ranges());
            assert_eq!(told_pages, widened(&stored, &tracker, &map), "{mechanism:?} {kind:?}");
            assert!(tracker.take().unwrap().is_empty(), "{mechanism:?} {kind:?}: told twice");
        }
    });
}

/// What the text of `Mechanism` says of this machine's file systems, if it has userfaultfd.
#[test]
fn the_page_table_serves_every_kind_of_mapping_and_the_thread_memory_only() {
    let works =
        |kind, mechanism| mapping(kind, 0).map(|mut map| map.track_stores_by(mechanism).is_ok());
    if works(Kind::Anonymous, Mechanism::Marked) != Some(true) {
        skip!("no userfaultfd with WP_ASYNC here");
    }
    for kind in KINDS {
        assert_ne!(works(kind, Mechanism::Marked), Some(false), "{kind:?}");
        let chosen = mapping(kind, 0).map(|mut map| map.track_stores().unwrap().mechanism());
        assert!(matches!(chosen, None | Some(Mechanism::Marked)), "{kind:?}: {chosen:?}");
    }
    assert_eq!(works(Kind::Anonymous, Mechanism::Served), Some(true));
    assert_ne!(works(Kind::Shared(Place::Tmpfs), Mechanism::Served), Some(false));
    assert_ne!(works(Kind::Shared(Place::Disk), Mechanism::Served), Some(true));
}

/// A slice that does not begin on a page: ranges are bytes of the slice, cut to it.
#[test]
fn ranges_are_those_of_the_slice() {
    for mechanism in Mechanism::ALL {
        let Some(mut map) = mapping(Kind::Shared(Place::Tmpfs), page() + 100) else {
            skip!("no tmpfs");
        };
        let Ok(tracker) = map.track_stores_by(mechanism) else { continue };
        if tracker.granule() != page() {
            continue;
        }
        let last = map.len() - 1;
        map[0] = 1;
        map[page()] = 1;
        map[last] = 1;
        let end_start = (last + 100) / page() * page() - 100;
        assert_eq!(tracker.take().unwrap().ranges(), [0..2 * page() - 100, end_start..last + 1]);
    }
}

/// Kernel stores count: read(2) into the mapping. (With `Signal` it is EFAULT, as its text says.)
#[test]
fn what_the_kernel_stores_on_behalf_of_the_program_is_told() {
    let mut map = mapping(Kind::Anonymous, 0).unwrap();
    let Ok(tracker) = map.track_stores_by(Mechanism::Marked) else { skip!("no WP_ASYNC here") };
    let mut zero = std::fs::File::open("/dev/zero").unwrap();
    std::io::Read::read_exact(&mut zero, &mut map[10 * page()..11 * page()]).unwrap();
    assert_eq!(tracker.take().unwrap().ranges(), [10 * page()..11 * page()]);
}

/// Each has its own "since last time"; with the last one tracking ends, and can begin anew.
#[test]
fn trackers_do_not_take_from_each_other() {
    each_pair(|mut map, first, mechanism, _| {
        let second = map.track_stores_by(mechanism).unwrap();
        map[0] = 1;
        let told = first.take().unwrap();
        assert!(!told.is_empty());
        let last = map.len() - 1;
        map[last] = 1;
        let both = second.take().unwrap();
        assert_eq!(both.ranges().first(), told.ranges().first());
        assert!(both.bytes() > told.bytes() || second.granule() > LEN / 2);
        assert!(!first.take().unwrap().is_empty(), "the second took what is the first's");
        let other = Mechanism::ALL.into_iter().find(|&other| other != mechanism).unwrap();
        let refused = map.track_stores_by(other).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
        drop((first, second));
        map[5] = 1;
        let anew = map.track_stores_by(mechanism).unwrap();
        assert!(anew.take().unwrap().is_empty());
        map[5] = 2;
        assert!(!anew.take().unwrap().is_empty());
    });
}

/// Writers on two threads against somebody who asks all the time: each store is told by a take that ended
/// after it.
#[test]
fn no_store_is_lost_while_others_ask() {
    const STORES: usize = 3000;
    each_pair(|mut map, tracker, mechanism, kind| {
        let takes_done = AtomicUsize::new(0);
        let is_over = AtomicBool::new(false);
        let half = map.len() / 2 / page() * page();
        let (low, high) = map.split_at_mut(half);
        let (takes, logs) = thread::scope(|scope| {
            let asker = scope.spawn(|| {
                let mut takes: Vec<DirtyPages> = Vec::new();
                while !is_over.load(Ordering::SeqCst) {
                    takes.push(tracker.take().unwrap());
                    takes_done.fetch_add(1, Ordering::SeqCst);
                }
                takes.push(tracker.take().unwrap());
                takes
            });
            let writer = |bytes: &mut [u8], base: usize, seed: u64| {
                let mut random = Random::new(seed);
                let mut log = Vec::new();
                for _ in 0..STORES {
                    let at = random.below(bytes.len());
                    let before = takes_done.load(Ordering::SeqCst);
                    // SAFETY: inside the slice, which is borrowed mutably.
                    unsafe { std::ptr::write_volatile(bytes.as_mut_ptr().add(at), 1) };
                    log.push((before, base + at));
                }
                log
            };
            let one = scope.spawn(move || writer(low, 0, 1));
            let two = scope.spawn(move || writer(high, half, 2));
            let logs = [one.join().unwrap(), two.join().unwrap()].concat();
            is_over.store(true, Ordering::SeqCst);
            (asker.join().unwrap(), logs)
        });
        for (before, at) in logs {
            let holds = |take: &DirtyPages| {
                let next = take.ranges().partition_point(|range| range.end <= at);
                take.ranges().get(next).is_some_and(|range| range.contains(&at))
            };
            assert!(takes[before..].iter().any(holds), "{mechanism:?} {kind:?}: {at} was missed");
        }
        println!("seen: {} takes by {mechanism:?}", takes.len());
    });
}

/// After the mapping is gone, or read-only, there is nothing to ask, and nothing of ours at its address.
#[test]
fn a_tracker_outlives_its_mapping_harmlessly() {
    each_pair(|mut map, tracker, mechanism, kind| {
        map[0] = 1;
        drop(map);
        assert_eq!(tracker.take().unwrap_err().kind(), std::io::ErrorKind::Unsupported);
        let mut map = mapping(kind, 0).unwrap();
        let tracker = map.track_stores_by(mechanism).unwrap();
        map[0] = 2;
        let map = map.make_read_only().unwrap();
        assert_eq!(map[0], 2);
        assert!(tracker.take().is_err());
        let mut map = map.make_mut().unwrap();
        map[0] = 3;
        assert_eq!(map[0], 3);
    });
}

/// A forked child stores as it likes; it cannot ask, and takes nothing from its parent.
#[test]
fn a_forked_child_takes_nothing_away() {
    each_pair(|mut map, tracker, mechanism, kind| {
        map[0] = 1;
        // SAFETY: the child stores, calls the tracker, and ends without unwinding.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: no precondition. A child that hangs dies.
            unsafe { libc::alarm(10) };
            map[2 * MIB] = 7;
            let status = if tracker.take().is_err() && map[2 * MIB] == 7 { 0 } else { 1 };
            drop((tracker, map));
            // SAFETY: ends the child at once and has no precondition.
            unsafe { libc::_exit(status) };
        }
        let mut status = -1;
        // SAFETY: `status` is writable, and `pid` is a child of this process.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!(status, 0, "{mechanism:?} {kind:?}");
        map[page()] = 1;
        let told = tracker.take().unwrap();
        assert!(told.ranges()[0].start == 0 && told.ranges()[0].end >= 2 * page());
        assert!(tracker.take().unwrap().is_empty());
    });
}
