//! A mapping of a file that nobody serves stops neither the prefetch, nor the drop, nor the following
//! of any other mapping (TRAPS 10). The file is a memfd whose pages userfaultfd is asked for, and
//! nobody answers: a call of the engine on it hangs until the userfaultfd is closed.
//!
//! It fails with one worker thread, with a drop that waits for the call in flight, and when the
//! threads that stand by listen to less than the one that is stuck.

mod common;

use std::fs::{self, File};
use std::thread;
use std::time::{Duration, Instant};

use common::stuck::{PATIENCE, Stuck};
use common::{KIB, MIB, Numbered, Place, becomes, best_of, in_child, page, role, skip, workers};
use mmap_ahead::{Mmap, MmapOptions, Mode, Prefetch, PrefetchState, RemapOptions};

/// What TRAPS 10 allows.
const DELAY_MAX: Duration = Duration::from_millis(10);
/// A drop waits for 10 ms and then leaves the unmapping to whoever is stuck.
const DROP_MAX: Duration = Duration::from_millis(50);

fn is_mapped(name: &str) -> bool {
    fs::read_to_string("/proc/self/maps").unwrap().contains(&format!("/memfd:{name} "))
}

fn map(file: &File, mode: Mode) -> Mmap {
    // SAFETY: the file has no name, and nobody else writes it.
    unsafe { MmapOptions::new().mode(mode).map(file) }.unwrap()
}

fn numbered() -> File {
    Place::Tmpfs.numbered(96 * MIB).expect("/dev/shm is a tmpfs")
}

/// How long a prefetch of 64 KiB takes that nobody has asked for before.
fn prefetch_time(map: &Mmap, turn: &mut usize) -> Duration {
    let at = *turn * 64 * KIB;
    *turn += 1;
    let begun = Instant::now();
    let prefetch = map.prefetch(at..at + 64 * KIB);
    let is_done = becomes(PATIENCE, || prefetch.state() != PrefetchState::Pending);
    let took = begun.elapsed();
    assert!(is_done, "a prefetch of another mapping waits for the stuck one");
    assert_eq!(prefetch.state(), PrefetchState::Done);
    took
}

/// TRAPS 11: what is in flight is waited for before a mapping changes its length or its protection.
#[test]
fn a_change_of_the_mapping_itself_waits_for_the_call_in_flight() {
    type Change = fn(Mmap) -> Mmap;
    let shrink: Change = |mut map| {
        // SAFETY: the file is longer than that.
        unsafe { map.remap(MIB, RemapOptions::new()) }.unwrap();
        map
    };
    let protect: Change = |map| map.make_mut().unwrap().make_read_only().unwrap();
    for (name, change) in [("stuck-shrink", shrink), ("stuck-protect", protect)] {
        let stuck = match Stuck::new(name) {
            Ok(stuck) => stuck,
            Err(reason) => skip!("{reason}"),
        };
        let Stuck { map, prefetch, uffd } = stuck;
        let changed = thread::spawn(move || change(map));
        thread::sleep(Duration::from_millis(100));
        assert!(!changed.is_finished(), "{name}: a call on its addresses is in flight");
        drop(uffd);
        assert_eq!(changed.join().unwrap()[MIB - 1], 0);
        assert!(becomes(PATIENCE, || prefetch.state() == PrefetchState::Cancelled));
    }
}

#[test]
fn another_mappings_prefetch_and_drop_are_not_delayed() {
    let file = numbered();
    let others: Vec<_> = (0..8).map(|_| map(&file, Mode::Marker)).collect();
    let mut turn = 0;
    let mut all_stuck = Vec::new();
    for number in 0..8 {
        match Stuck::new(&format!("stuck-others-{number}")) {
            Ok(stuck) => all_stuck.push(stuck),
            Err(reason) => skip!("{reason}"),
        }
        let took = best_of(8, DELAY_MAX, || prefetch_time(&others[0], &mut turn));
        assert!(took < DELAY_MAX, "{took:?} with {} stuck", number + 1);
    }
    let mut others = others.into_iter();
    let took = best_of(7, DELAY_MAX, || {
        let other = others.next().unwrap();
        other.prefetch(..);
        let begun = Instant::now();
        drop(other);
        begun.elapsed()
    });
    assert!(took < DELAY_MAX, "dropping another mapping took {took:?}");
    assert!(all_stuck.iter().all(|stuck| stuck.prefetch.state() == PrefetchState::Pending));
}

#[test]
fn its_own_drop_returns_and_the_worker_unmaps_it_later() {
    const NAME: &str = "stuck-dropped";
    let mut stuck = match Stuck::new(NAME) {
        Ok(stuck) => stuck,
        Err(reason) => skip!("{reason}"),
    };
    let mut uffds = Vec::new();
    let took = best_of(4, DROP_MAX, || {
        let again = Stuck::new(NAME).unwrap();
        let Stuck { map, prefetch, uffd } = std::mem::replace(&mut stuck, again);
        let begun = Instant::now();
        drop(map);
        let took = begun.elapsed();
        assert_ne!(prefetch.state(), PrefetchState::Done);
        uffds.push((uffd, prefetch));
        took
    });
    assert!(took < DROP_MAX, "dropping the stuck mapping took {took:?}");
    uffds.push((stuck.uffd, stuck.prefetch));
    drop(stuck.map);
    assert!(is_mapped(NAME), "unmapped under the feet of a system call");
    let prefetches: Vec<_> = uffds.into_iter().map(|(_, prefetch)| prefetch).collect();
    assert!(becomes(PATIENCE, || !is_mapped(NAME)), "nobody unmaps it when the call returns");
    let is_cancelled = |prefetch: &Prefetch| prefetch.state() == PrefetchState::Cancelled;
    assert!(becomes(PATIENCE, || prefetches.iter().all(is_cancelled)), "{prefetches:?}");
}

/// A reader that begins before somebody else gets stuck is still followed afterwards. In a process of
/// its own: other mappings would wake whoever stands by.
fn goes_on_being_followed(mode: Mode) {
    if role().is_none() {
        return in_child("reader");
    }
    let file = numbered();
    let map = map(&file, mode);
    let numbered = Numbered::new();
    let read = |from: usize, to: usize| {
        for index in from / page()..to / page() {
            numbered.check(&map, index);
            if (index * page()).is_multiple_of(256 * KIB) {
                thread::sleep(Duration::from_millis(1));
            }
        }
    };
    read(0, 4 * MIB);
    assert!(becomes(PATIENCE, || map.stats().touches > 0), "{mode:?}: {:?}", map.stats());
    // Let it become quiet: whoever is stuck next shall be alone with it.
    thread::sleep(Duration::from_millis(500));
    // Too short to be followed, so that nothing but the explicit prefetch ever wakes a worker.
    let stuck = match Stuck::with_len(&format!("stuck-{mode:?}"), 512 * KIB) {
        Ok(stuck) => stuck,
        Err(reason) => skip!("{reason}"),
    };
    let before = map.stats().touches;
    read(4 * MIB, 64 * MIB);
    let is_followed = becomes(Duration::from_millis(200), || map.stats().touches > before);
    assert!(is_followed, "{mode:?}: not followed any more: {:?}", map.stats());
    assert_eq!(stuck.prefetch.state(), PrefetchState::Pending);
}

#[test]
fn followed_readers_go_on_being_followed() {
    goes_on_being_followed(Mode::Marker);
}

#[test]
fn guarded_readers_go_on_being_followed() {
    goes_on_being_followed(Mode::Guard);
}

#[test]
fn a_stuck_mapping_takes_one_thread_and_gives_it_back() {
    let stuck = match Stuck::new("stuck-threads") {
        Ok(stuck) => stuck,
        Err(reason) => skip!("{reason}"),
    };
    // The other tests of this file have stuck threads too: there is a limit for all together.
    assert!(workers().len() <= 32, "{} workers", workers().len());
    let Stuck { map, prefetch, uffd } = stuck;
    drop(uffd);
    let is_done = becomes(PATIENCE, || prefetch.state() == PrefetchState::Done);
    assert!(is_done, "{:?} although the file is served again", prefetch.state());
    assert_eq!(common::mapped_bytes(&map), map.len());
}
