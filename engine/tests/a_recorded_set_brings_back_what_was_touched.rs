//! A recording run of a cold file knows exactly the pages that were touched; a later run has these
//! read, each alone, and no others. A set of another file, of an older one, or a damaged one is
//! refused.

#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes};
use std::hint::black_box;
use std::ops::Range;
use std::thread;
use std::time::{Duration, SystemTime};

use common::{
    KIB, MIB, Place, Random, becomes, cached_bytes, in_child_with, make_cold, page, present, role,
    skip,
};
use mmap_ahead::{Error, Mmap, MmapOptions, Mode, PrefetchState, RecordedSet, RemapOptions};

const PATIENCE: Duration = Duration::from_secs(10);
const TOUCHED: usize = 300;

fn map(file: &File, options: &MmapOptions) -> Mmap {
    // SAFETY: the file is the test's own; nobody changes its bytes while they are looked at.
    unsafe { options.map(file) }.unwrap()
}

fn recording() -> MmapOptions {
    MmapOptions::new().record().clone()
}

/// `file` with nothing of it in the page cache, or why that cannot be had.
fn make_empty(file: &File) -> Result<(), String> {
    make_cold(file)?;
    let cached = cached_bytes(&map(file, MmapOptions::new().mode(Mode::Off)));
    if cached == 0 { Ok(()) } else { Err(format!("{cached} bytes stay in the page cache")) }
}

macro_rules! cold {
    ($len:expr) => {{
        let Some(file) = Place::Disk.numbered($len) else { skip!("/var/tmp is no disk") };
        if let Err(reason) = make_empty(&file) {
            skip!("{reason}");
        }
        file
    }};
}

fn random_pages(seed: u64, of: usize, count: usize) -> BTreeSet<usize> {
    let mut random = Random::new(seed);
    let mut pages = BTreeSet::new();
    while pages.len() < count {
        pages.insert(random.below(of));
    }
    pages
}

fn touch<'a>(map: &[u8], pages: impl IntoIterator<Item = &'a usize>) {
    for index in pages {
        black_box(map[index * page()]);
    }
}

/// The pages of a set, in its order.
fn pages_of(set: &RecordedSet) -> Vec<usize> {
    let page = page() as u64;
    set.ranges()
        .flat_map(|range| (range.start / page..range.end / page).map(|p| p as usize))
        .collect()
}

/// Which pages of a mapped file are in the page cache.
fn cached(bytes: &[u8]) -> BTreeSet<usize> {
    let mut bits = vec![0u8; bytes.len().div_ceil(page())];
    let addr = bytes.as_ptr().cast_mut().cast();
    // SAFETY: `bits` has a byte for every page of `bytes`; the call reads page tables only.
    assert_eq!(unsafe { libc::mincore(addr, bytes.len(), bits.as_mut_ptr()) }, 0);
    (0..bits.len()).filter(|&index| bits[index] & 1 == 1).collect()
}

/// Touches `pages` of the cold `file` in a recording run, in a random order.
fn record(file: &File, pages: &BTreeSet<usize>) -> RecordedSet {
    let map = map(file, &recording());
    let mut shuffled: Vec<_> = pages.iter().collect();
    let mut random = Random::new(77);
    for last in (1..shuffled.len()).rev() {
        shuffled.swap(last, random.below(last + 1));
    }
    touch(&map, shuffled);
    map.recorded().unwrap()
}

#[test]
fn random_pages_of_a_cold_file_are_recorded_exactly_and_replayed_alone() {
    for seed in [1, 2] {
        let file = cold!(64 * MIB);
        let pages = random_pages(seed, 64 * MIB / page(), TOUCHED);
        let set = record(&file, &pages);
        let recorded = pages_of(&set);
        assert_eq!(recorded.len(), TOUCHED, "a page is there twice");
        assert_eq!(recorded.into_iter().collect::<BTreeSet<_>>(), pages, "seed {seed}");
        assert_eq!((set.bytes(), set.file_len()), ((TOUCHED * page()) as u64, 64 * MIB as u64));

        let path = tempfile::NamedTempFile::new().unwrap();
        set.save(path.path()).unwrap();
        let loaded = RecordedSet::load(path.path()).unwrap();
        assert_eq!(loaded, set);
        println!("seen: {} bytes for {TOUCHED} pages", fs::metadata(path.path()).unwrap().len());

        if let Err(reason) = make_empty(&file) {
            skip!("{reason}");
        }
        let map = map(&file, &MmapOptions::new());
        let replay = map.replay(&loaded).unwrap();
        assert_eq!(replay.wait_timeout(PATIENCE), PrefetchState::Done);
        assert_eq!(replay.bytes(), set.bytes());
        let cached = cached(&map);
        let others = cached.difference(&pages).count();
        assert!(cached.is_superset(&pages), "{} of {TOUCHED}", cached.len() - others);
        assert!(others <= 3, "{others} other pages were read: {:?}", map.stats());
        let present = present(&map);
        assert!(pages.iter().all(|&index| present[index]), "not all are in the page table");
        assert_eq!(map.stats().refused, 0);
    }
}

/// Nobody asks for the set between the two touches: the worker has looked.
#[test]
fn the_order_is_that_of_the_touches_from_one_look_to_the_next() {
    let Some(file) = Place::Tmpfs.numbered(64 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let map = map(&file, &recording());
    let touched = [48 * MIB, 16 * MIB, 32 * MIB, 8 * MIB].map(|at| at / page());
    for index in &touched {
        touch(&map, [index]);
        thread::sleep(Duration::from_millis(150));
    }
    let recorded = pages_of(&map.recorded().unwrap());
    let places: Vec<_> =
        touched.iter().map(|index| recorded.iter().position(|page| page == index)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
}

#[test]
fn nothing_is_read_ahead_while_recording() {
    let file = cold!(32 * MIB);
    let map = map(&file, recording().mode(Mode::Guard));
    assert_eq!(map.prefetch(..).wait(), PrefetchState::Refused);
    let half: Vec<usize> = (0..16 * MIB / page()).collect();
    for chunk in half.chunks(256) {
        touch(&map, chunk);
        thread::sleep(Duration::from_millis(1));
    }
    let set = map.recorded().unwrap();
    assert_eq!(pages_of(&set).into_iter().collect::<BTreeSet<_>>(), half.into_iter().collect());
    assert_eq!(cached(&map).len(), 16 * MIB / page());
    let stats = map.stats();
    assert_eq!((stats.pages_mapped, stats.pages_read_ahead, stats.prefetches_refused), (0, 0, 1));
}

#[test]
fn a_mapping_of_a_part_records_and_replays_pages_of_the_file() {
    let file = cold!(32 * MIB);
    let offset = 8 * MIB + page() + 123;
    let pages = random_pages(3, 16 * MIB / page(), TOUCHED);
    let recorder = map(&file, recording().offset(offset as u64).len(16 * MIB + 1));
    touch(&recorder, &pages);
    let set = recorder.recorded().unwrap();
    drop(recorder);
    let in_file: BTreeSet<_> = pages.iter().map(|index| index + offset / page()).collect();
    assert_eq!(pages_of(&set).into_iter().collect::<BTreeSet<_>>(), in_file);

    if let Err(reason) = make_empty(&file) {
        skip!("{reason}");
    }
    // What lies outside of this one is left out.
    let (start, len) = (16 * MIB, 4 * MIB);
    let part = map(&file, MmapOptions::new().offset(start as u64).len(len));
    assert_eq!(part.replay(&set).unwrap().wait_timeout(PATIENCE), PrefetchState::Done);
    let inside = |index: &&usize| (start / page()..(start + len) / page()).contains(*index);
    let expected: BTreeSet<_> = in_file.iter().filter(inside).copied().collect();
    assert!(!expected.is_empty());
    let cached = cached(&map(&file, MmapOptions::new().mode(Mode::Off)));
    assert!(cached.is_superset(&expected));
    assert!(cached.len() <= expected.len() + 3, "{} for {}", cached.len(), expected.len());
}

#[test]
fn what_is_beyond_the_budget_is_left_out_from_the_end_on() {
    let file = cold!(64 * MIB);
    let recorder = map(&file, &recording());
    let early = random_pages(4, 64 * MIB / page(), TOUCHED);
    touch(&recorder, &early);
    recorder.recorded().unwrap();
    let late = random_pages(5, 64 * MIB / page(), TOUCHED);
    touch(&recorder, &late);
    let set = recorder.recorded().unwrap();
    drop(recorder);
    if let Err(reason) = make_empty(&file) {
        skip!("{reason}");
    }
    let first: BTreeSet<usize> = pages_of(&set)[..TOUCHED].iter().copied().collect();
    assert_eq!(first, early);
    // Runs that a late page was added to are a little longer.
    let budget = set.bytes() - (TOUCHED / 2 * page()) as u64;
    let small = map(&file, MmapOptions::new().budget(budget));
    let replay = small.replay(&set).unwrap();
    assert_eq!((replay.wait_timeout(PATIENCE), replay.bytes()), (PrefetchState::Done, budget));
    assert!(cached(&small).is_superset(&early));
    let whole = small.replay(&set).unwrap();
    assert_eq!((whole.wait_timeout(PATIENCE), whole.bytes()), (PrefetchState::Done, budget));
    let large = map(&file, MmapOptions::new().budget(set.bytes()));
    let replay = large.replay(&set).unwrap();
    assert_eq!(replay.wait_timeout(PATIENCE), PrefetchState::Done);
    assert_eq!(replay.bytes(), set.bytes());
    assert!(cached(&large).is_superset(&late));
}

/// 2% of 4 GiB in single pages: 20,000 ranges are one call, which blocks nobody.
#[test]
fn many_single_pages_are_one_prompt_call() {
    const LEN: usize = 4 << 30;
    let Some(file) = Place::Disk.sparse(LEN) else { skip!("/var/tmp is no disk") };
    let pages = random_pages(6, LEN / page(), LEN / page() / 50);
    let recorder = map(&file, &recording());
    touch(&recorder, &pages);
    let set = recorder.recorded().unwrap();
    assert_eq!(pages_of(&set).into_iter().collect::<BTreeSet<_>>(), pages);
    drop(recorder);
    if let Err(reason) = make_empty(&file) {
        skip!("{reason}");
    }
    let map = map(&file, MmapOptions::new().budget(set.bytes()));
    let begun = std::time::Instant::now();
    let replay = map.replay(&set).unwrap();
    let (called, state) = (begun.elapsed(), replay.wait_timeout(PATIENCE));
    println!("seen: {} pages, the call {called:?}, all {:?}", pages.len(), begun.elapsed());
    assert_eq!((state, replay.bytes()), (PrefetchState::Done, set.bytes()));
    assert!(called < Duration::from_millis(200), "the call took {called:?}");
    let cached = cached(&map);
    // Some machines reclaim pages all the time (DAMON): a few of so many may be gone by now.
    let missing = pages.difference(&cached).count();
    let others = cached.len() - (pages.len() - missing);
    let few = pages.len() / 500;
    assert!(
        missing <= few && others <= few,
        "{missing} missing, {others} others: {:?}",
        map.stats()
    );
}

fn is_stale(result: Result<mmap_ahead::Prefetch, Error>, word: &str) {
    match result {
        Err(Error::StaleRecord { why }) => assert!(why.contains(word), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_changed_since_is_refused() {
    let Some(file) = Place::Tmpfs.numbered(4 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let recorder = map(&file, &recording());
    touch(&recorder, &[5, 700]);
    let set = recorder.recorded().unwrap();
    assert_eq!(map(&file, &MmapOptions::new()).replay(&set).unwrap().wait(), PrefetchState::Done);
    let mtime = file.metadata().unwrap().modified().unwrap();
    let set_mtime = |time: SystemTime| file.set_times(FileTimes::new().set_modified(time)).unwrap();
    set_mtime(mtime + Duration::from_nanos(1));
    is_stale(map(&file, &MmapOptions::new()).replay(&set), "modification time");
    set_mtime(mtime);
    assert!(map(&file, &MmapOptions::new()).replay(&set).is_ok());
    file.set_len((4 * MIB + 1) as u64).unwrap();
    set_mtime(mtime);
    is_stale(map(&file, &MmapOptions::new()).replay(&set), "length");
}

#[test]
fn a_damaged_file_is_refused() {
    let Some(file) = Place::Tmpfs.numbered(4 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let recorder = map(&file, &recording());
    touch(&recorder, &[5, 700]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("set");
    recorder.recorded().unwrap().save(&path).unwrap();
    let good = fs::read(&path).unwrap();
    let load = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        RecordedSet::load(&path)
    };
    assert!(load(&good).is_ok());
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert!(matches!(load(&bad), Err(Error::DamagedRecord { .. })), "byte {at}");
        assert!(matches!(load(&good[..at]), Err(Error::DamagedRecord { .. })), "{at} bytes");
    }
    assert!(matches!(load(&[&good[..], b"x"].concat()), Err(Error::DamagedRecord { .. })));
    assert!(matches!(RecordedSet::load(dir.path()), Err(Error::Syscall { .. })));
    assert!(matches!(RecordedSet::load(dir.path().join("none")), Err(Error::Syscall { .. })));
}

#[test]
fn a_file_without_an_end_is_not_read_to_its_end() {
    if role().is_none() {
        return in_child_with("endless", |_| {});
    }
    assert!(matches!(RecordedSet::load("/dev/zero"), Err(Error::DamagedRecord { .. })));
    let peak = mmap_ahead::lab::usage(mmap_ahead::lab::UsageOf::Process).peak_rss_bytes;
    assert!(peak < 256 * MIB as u64, "it took {peak} bytes of memory");
}

fn is_unsupported(map: &Mmap) {
    let error = map.recorded().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported, "{error}");
}

#[test]
fn what_is_not_recorded_says_so() {
    let Some(file) = Place::Tmpfs.numbered(4 * MIB) else { skip!("/dev/shm is no tmpfs") };
    is_unsupported(&map(&file, &MmapOptions::new()));
    is_unsupported(&map(&file, recording().mode(Mode::Off)));
    let mut recorder = map(&file, &recording());
    touch(&recorder, &[5]);
    let set = recorder.recorded().unwrap();
    assert_eq!(recorder.replay(&set).unwrap().wait(), PrefetchState::Refused);
    // SAFETY: the mapping becomes shorter: every byte of it is one of the file.
    unsafe { recorder.remap(2 * MIB, RemapOptions::new()) }.unwrap();
    is_unsupported(&recorder);
    assert!(matches!(recorder.replay(&set), Err(Error::Unsupported { .. })));
    let off = map(&file, MmapOptions::new().mode(Mode::Off));
    assert_eq!(off.replay(&set).unwrap().wait(), PrefetchState::Refused);
    // SAFETY: the file is the test's own, and nobody stores to the mapping.
    let writable = unsafe { recording().map_mut(&file) }.unwrap();
    assert_eq!(writable.prefetch(..).wait(), PrefetchState::Done, "it is not recorded");
    let short = map(&file, recording().len(64 * KIB));
    touch(&short, &[5]);
    assert!(pages_of(&short.recorded().unwrap()).contains(&5));
}

#[test]
fn the_environment_switches_it_off() {
    if role().is_none() {
        return in_child_with("off", |command| {
            command.env("MMAP_AHEAD", "off");
        });
    }
    let Some(file) = Place::Tmpfs.numbered(4 * MIB) else { skip!("/dev/shm is no tmpfs") };
    is_unsupported(&map(&file, &recording()));
}

/// A recorded mapping that nobody touches is not looked at.
#[test]
fn a_recording_rests_while_nothing_is_touched() {
    if role().is_none() {
        return in_child_with("rest", |_| {});
    }
    let Some(file) = Place::Tmpfs.numbered(64 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let map = map(&file, &recording());
    touch(&map, &(0..map.len() / page()).collect::<Vec<_>>());
    assert!(becomes(PATIENCE, || map.stats().polls > 0), "the worker never looks");
    let rests = becomes(PATIENCE, || {
        let before = map.stats().polls;
        thread::sleep(Duration::from_millis(300));
        map.stats().polls == before
    });
    assert!(rests, "it is looked at again and again: {:?}", map.stats());
    let whole: Range<u64> = 0..map.len() as u64;
    assert_eq!(map.recorded().unwrap().ranges().collect::<Vec<_>>(), [whole]);
}
