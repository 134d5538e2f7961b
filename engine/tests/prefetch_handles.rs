//! Explicit prefetches never block, stay within the budget, can be cancelled and let go, and say what
//! became of them; readers are followed or not as pause, resume and advice say.
//!
//! It fails when a call waits for the disk, when what was turned away is still charged to the budget,
//! when a cancelled prefetch goes on, and when a prefetch is taken for a reader.

mod common;

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use common::stuck::{PATIENCE, Stuck};
use common::{
    KIB, MIB, Place, becomes, best_of, in_child_with, make_cold, mapped_bytes, page, role, skip,
    touch_all,
};
use mmap_ahead::{Advice, BUDGET_DEFAULT, Mmap, MmapMut, MmapOptions, Mode, Prefetch};
use mmap_ahead::{PrefetchState, Stats};

const CALL_MAX: Duration = Duration::from_millis(5);

fn options() -> MmapOptions {
    MmapOptions::new()
}

fn map(file: &File, options: &MmapOptions) -> Mmap {
    // SAFETY: the file has no name, and nobody else writes it.
    unsafe { options.map(file) }.unwrap()
}

fn ends(prefetch: &Prefetch) -> PrefetchState {
    becomes(PATIENCE, || prefetch.state() != PrefetchState::Pending);
    prefetch.state()
}

/// A gibibyte without blocks: no disk is slower than one that has to be asked.
fn a_gibibyte(place: Place) {
    let Some(file) = place.sparse(1024 * MIB) else { skip!("no file on {place:?}") };
    let map = map(&file, &options());
    let took = best_of(5, CALL_MAX, || {
        let begun = Instant::now();
        let prefetch = map.prefetch(..);
        let took = begun.elapsed();
        assert_eq!(ends(&prefetch), PrefetchState::Done);
        assert_eq!(prefetch.bytes(), BUDGET_DEFAULT.0);
        took
    });
    assert!(took < CALL_MAX, "the call took {took:?}");
    let ranges: Vec<_> = (0..1024).map(|index| index * MIB..(index + 1) * MIB).collect();
    let begun = Instant::now();
    let prefetch = map.prefetch_many(&ranges);
    let took = begun.elapsed();
    assert_eq!(ends(&prefetch), PrefetchState::Done);
    assert_eq!(prefetch.bytes(), BUDGET_DEFAULT.0);
    assert!(took < 4 * CALL_MAX, "the call took {took:?}");
}

#[test]
fn a_call_never_blocks_and_stays_within_the_budget_on_tmpfs() {
    a_gibibyte(Place::Tmpfs);
}

#[test]
fn a_call_never_blocks_and_stays_within_the_budget_on_a_disk() {
    a_gibibyte(Place::Disk);
}

/// Done means present: all of the range, and nothing else, in memory and on a cold disk.
fn done_makes_present(place: Place, mode: Mode) {
    let Some(file) = place.numbered(16 * MIB) else { skip!("no file on {place:?}") };
    if place == Place::Disk
        && let Err(reason) = make_cold(&file)
    {
        skip!("{reason}");
    }
    let map = map(&file, options().mode(mode));
    let prefetch = map.prefetch(3 * MIB + 5..7 * MIB - 5);
    assert_eq!(ends(&prefetch), PrefetchState::Done);
    assert_eq!(prefetch.bytes(), 4 * MIB as u64);
    assert_eq!(mapped_bytes(&map[3 * MIB..7 * MIB]), 4 * MIB, "{:?}", map.stats());
    assert_eq!(map.stats().refused, 0);
}

#[test]
fn done_means_present_on_tmpfs() {
    done_makes_present(Place::Tmpfs, Mode::Marker);
}

#[test]
fn done_means_present_on_a_disk() {
    done_makes_present(Place::Disk, Mode::Marker);
}

#[test]
fn done_means_present_in_guard_mode() {
    done_makes_present(Place::Tmpfs, Mode::Guard);
}

#[test]
fn a_prefetch_is_not_a_reader() {
    let Some(file) = Place::Tmpfs.numbered(64 * MIB) else { skip!("/dev/shm is no tmpfs") };
    for range in [0..4 * MIB, 16 * MIB..20 * MIB] {
        let map = map(&file, &options());
        let prefetch = map.prefetch(range.clone());
        assert_eq!(ends(&prefetch), PrefetchState::Done);
        thread::sleep(Duration::from_millis(200));
        let stats = map.stats();
        let mapped = mapped_bytes(&map);
        assert_eq!(stats.touches, 0, "{range:?}: nobody read: {stats:?}");
        // One fault maps a block of addresses, which may begin before the range and end behind it.
        let blocks = 4 * MIB..=4 * MIB + 2 * 64 * KIB;
        assert!(blocks.contains(&mapped), "{range:?}: {mapped} bytes are mapped");
    }
}

#[test]
fn dropping_the_handle_lets_it_run() {
    let Some(file) = Place::Tmpfs.numbered(16 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let map = map(&file, &options());
    drop(map.prefetch(..));
    assert!(becomes(PATIENCE, || mapped_bytes(&map) == 16 * MIB), "{:?}", map.stats());
}

#[test]
fn cancelling_stops_it_and_gives_the_budget_back() {
    let Some(file) = Place::Disk.numbered(64 * MIB) else { skip!("/var/tmp is no disk") };
    let mut stopped_early = 0;
    for _ in 0..10 {
        if let Err(reason) = make_cold(&file) {
            skip!("{reason}");
        }
        let map = map(&file, &options());
        let prefetch = map.prefetch(..);
        prefetch.cancel();
        assert_eq!(prefetch.state(), PrefetchState::Cancelled);
        let bytes = prefetch.bytes();
        thread::sleep(Duration::from_millis(5));
        // The piece that was in flight, and no more.
        assert!(prefetch.bytes() <= bytes + 2 * MIB as u64);
        stopped_early += u32::from(prefetch.bytes() < 64 * MIB as u64);
        // The worker gives back what was charged when it comes to it.
        let is_given_back = becomes(PATIENCE, || {
            let whole = map.prefetch(..);
            ends(&whole) == PrefetchState::Done && whole.bytes() >= 62 * MIB as u64
        });
        assert!(is_given_back, "what was cancelled is still charged");
    }
    assert!(stopped_early > 0, "no prefetch was stopped on its way");
}

#[test]
fn what_lies_outside_is_ignored() {
    let Some(file) = Place::Tmpfs.numbered(2 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let map = map(&file, &options());
    let len = map.len();
    let backwards = std::ops::Range { start: MIB, end: 5 };
    for range in [len..len + 1, usize::MAX - 1..usize::MAX, 0..0, backwards.clone()] {
        let prefetch = map.prefetch(range);
        assert_eq!((ends(&prefetch), prefetch.bytes()), (PrefetchState::Done, 0));
    }
    let prefetch = map.prefetch(len - 1..usize::MAX);
    assert_eq!((ends(&prefetch), prefetch.bytes()), (PrefetchState::Done, page() as u64));
    let prefetch = map.prefetch_many(&[len..len + 9, backwards, 0..1, MIB..MIB + 1]);
    assert_eq!((ends(&prefetch), prefetch.bytes()), (PrefetchState::Done, 2 * page() as u64));
    assert_eq!(map.stats().refused, 0);
}

#[test]
fn what_is_off_or_has_no_file_refuses() {
    let Some(file) = Place::Tmpfs.numbered(2 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let off = map(&file, options().mode(Mode::Off));
    assert_eq!(off.prefetch(..).state(), PrefetchState::Refused);
    assert_eq!(off.stats(), Stats::default());
    let anonymous = MmapMut::map_anon(2 * MIB).unwrap();
    assert_eq!(anonymous.prefetch(..).state(), PrefetchState::Refused);
}

#[test]
fn the_environment_makes_it_refuse() {
    if role().is_none() {
        return in_child_with("off", |command| {
            command.env("MMAP_AHEAD", "off");
        });
    }
    let Some(file) = Place::Tmpfs.numbered(2 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let map = map(&file, &options());
    assert_eq!(map.prefetch(..).state(), PrefetchState::Refused);
    assert_eq!(map.prefetch_many(&[0..1, 2..3]).state(), PrefetchState::Refused);
}

/// With a budget of 0 nothing is read ahead, asked for or not.
#[test]
fn no_budget_means_nothing_ahead() {
    let Some(file) = Place::Tmpfs.numbered(16 * MIB) else { skip!("/dev/shm is no tmpfs") };
    for mode in [Mode::Marker, Mode::Guard] {
        let map = map(&file, options().mode(mode).budget(0));
        let prefetch = map.prefetch(..);
        assert_eq!((ends(&prefetch), prefetch.bytes()), (PrefetchState::Done, 0));
        read_slowly(&map);
        let Stats { pages_mapped, pages_read_ahead, .. } = map.stats();
        assert_eq!((pages_mapped, pages_read_ahead), (0, 0), "{mode:?}");
    }
}

#[test]
fn too_many_at_once_are_refused_and_counted() {
    const WAITING_MAX: usize = 64;
    const TOO_MANY: usize = 10;
    let stuck = match Stuck::new("stuck-queue") {
        Ok(stuck) => stuck,
        Err(reason) => skip!("{reason}"),
    };
    let Stuck { map, prefetch, uffd } = stuck;
    let ask = |_| map.prefetch(MIB..MIB + page());
    let all: Vec<_> = (0..WAITING_MAX + TOO_MANY).map(ask).collect();
    let states: Vec<_> = all.iter().map(Prefetch::state).collect();
    assert_eq!(states[..WAITING_MAX], [PrefetchState::Pending; WAITING_MAX]);
    assert_eq!(states[WAITING_MAX..], [PrefetchState::Refused; TOO_MANY]);
    let stats = map.stats();
    let counted = (stats.prefetches as usize, stats.prefetches_refused as usize);
    assert_eq!(counted, (1 + WAITING_MAX + TOO_MANY, TOO_MANY));
    drop(uffd);
    let waited = &all[..WAITING_MAX];
    assert!(waited.iter().chain([&prefetch]).all(|prefetch| ends(prefetch) == PrefetchState::Done));
}

#[test]
fn what_was_refused_is_not_charged_to_the_budget() {
    let stuck = match Stuck::new("stuck-budget") {
        Ok(stuck) => stuck,
        Err(reason) => skip!("{reason}"),
    };
    let Stuck { map, prefetch, uffd } = stuck;
    let waiting: Vec<_> = (0..64).map(|_| map.prefetch(..page())).collect();
    // Together more than the budget.
    for _ in 0..BUDGET_DEFAULT.0 as usize / map.len() + 1 {
        assert_eq!(map.prefetch(..).state(), PrefetchState::Refused);
    }
    drop(uffd);
    assert!(waiting.iter().chain([&prefetch]).all(|it| ends(it) == PrefetchState::Done));
    let after = map.prefetch(..);
    assert_eq!(ends(&after), PrefetchState::Done);
    assert_eq!(after.bytes(), map.len() as u64, "the budget is gone");
}

fn read_slowly(map: &[u8]) {
    for chunk in map.chunks(256 * KIB) {
        touch_all(chunk);
        thread::sleep(Duration::from_millis(1));
    }
}

/// Reads on until the engine did something new, at most to the end of `part`.
fn is_followed(map: &Mmap, part: std::ops::Range<usize>) -> bool {
    let before = map.stats();
    map[part].chunks(256 * KIB).any(|chunk| {
        touch_all(chunk);
        thread::sleep(Duration::from_millis(1));
        let now = map.stats();
        now.touches > before.touches && now.pages_mapped > before.pages_mapped
    })
}

/// `stop` ends following, `start` begins it again; between them nothing is learnt or fetched.
fn stops_and_starts(stop: fn(&Mmap), start: fn(&Mmap)) {
    let Some(file) = Place::Tmpfs.numbered(96 * MIB) else { skip!("/dev/shm is no tmpfs") };
    for mode in [Mode::Marker, Mode::Guard] {
        let map = map(&file, options().mode(mode));
        assert!(is_followed(&map, 0..32 * MIB), "{mode:?} is not followed: {:?}", map.stats());
        stop(&map);
        // What is in flight ends by itself.
        thread::sleep(Duration::from_millis(50));
        let before = map.stats();
        read_slowly(&map[40 * MIB..56 * MIB]);
        let after = map.stats();
        assert_eq!(after.touches, before.touches, "{mode:?} is still followed");
        assert_eq!(after.pages_mapped, before.pages_mapped, "{mode:?} still maps");
        start(&map);
        let is_followed = is_followed(&map, 56 * MIB..96 * MIB);
        assert!(is_followed, "{mode:?} is not followed again: {:?}", map.stats());
    }
}

#[test]
fn pause_stops_and_resume_starts() {
    stops_and_starts(Mmap::pause, Mmap::resume);
}

#[test]
fn advice_random_stops_and_normal_starts() {
    stops_and_starts(
        |map| map.advise(Advice::Random).unwrap(),
        |map| map.advise(Advice::Normal).unwrap(),
    );
}
