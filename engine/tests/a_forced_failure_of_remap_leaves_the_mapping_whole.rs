//! `Fetcher::Remap` replaces parts of a live mapping. When the kernel refuses (no more areas), the
//! mapping stays whole and readable; where it may not work at all, it is never tried (TRAPS 6).
//!
//! It fails when a refusal leaves a hole, when it is not counted, when a private mapping is remapped,
//! and when advice or locks of the caller's are lost.

mod common;

use std::fs::{self, File};
use std::thread;
use std::time::Duration;

use common::stuck::PATIENCE;
use common::{MIB, Numbered, Place, becomes, in_child, page, role, skip};
use mmap_ahead::{Advice, Fetcher, Mmap, MmapOptions, PrefetchState};

const FILE_LEN: usize = 96 * MIB;

fn options() -> MmapOptions {
    let mut options = MmapOptions::new();
    options.fetcher(Fetcher::Remap);
    options
}

fn map(file: &File) -> Mmap {
    // SAFETY: the file has no name, and nobody else writes it.
    unsafe { options().keep_file().map(file) }.unwrap()
}

fn read(map: &[u8], from: usize, to: usize) {
    let numbered = Numbered::new();
    for index in from / page()..to / page() {
        numbered.check(map, index);
        if index % 32 == 0 {
            thread::sleep(Duration::from_micros(100));
        }
    }
}

/// The areas of /proc/self/smaps inside `bytes`: the first line and the flags of each.
fn areas_with_flags(bytes: &[u8]) -> Vec<(String, String)> {
    let range = bytes.as_ptr_range();
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut found = Vec::new();
    let mut head = None;
    for line in smaps.lines() {
        let start =
            line.split_once('-').and_then(|(start, _)| usize::from_str_radix(start, 16).ok());
        if let Some(start) = start {
            head = (range.start as usize <= start && start < range.end as usize).then_some(line);
        } else if let (Some(flags), Some(head)) = (line.strip_prefix("VmFlags:"), head) {
            found.push((head.to_owned(), flags.to_owned()));
        }
    }
    found
}

/// Memory that takes up every area the process may still have.
struct Filler {
    bytes: memmap2::MmapMut,
}

impl Filler {
    /// `None` when the limit is out of reach.
    fn new() -> Option<Filler> {
        let limit = fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
        let limit: usize = limit.trim().parse().unwrap();
        if limit > 1 << 18 {
            return None;
        }
        let bytes = memmap2::MmapMut::map_anon((limit + 16) * page()).unwrap();
        let filler = Filler { bytes };
        let is_refused = |index: usize| filler.protect(index, libc::PROT_NONE).is_err();
        assert!((1..limit + 16).step_by(2).any(is_refused), "the limit is not {limit}");
        Some(filler)
    }

    fn protect(&self, index: usize, prot: i32) -> std::io::Result<()> {
        let addr = self.bytes.as_ptr().wrapping_add(index * page()).cast_mut().cast();
        // SAFETY: a page of `bytes`, which nobody reads or writes.
        let result = unsafe { libc::mprotect(addr, page(), prot) };
        if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    }

    /// Gives two areas back.
    fn give_back(&self, turn: usize) {
        self.protect(1 + 2 * turn, libc::PROT_READ | libc::PROT_WRITE).unwrap();
    }
}

#[test]
fn out_of_areas_reading_goes_on() {
    if role().is_none() {
        return in_child("full");
    }
    let Some(file) = Place::Tmpfs.numbered(FILE_LEN) else { skip!("/dev/shm is no tmpfs") };
    // All the maps and threads that are needed, before there can be no more.
    let maps: Vec<_> = (0..3).map(|_| map(&file)).collect();
    for map in &maps {
        read(map, 0, MIB);
        assert!(becomes(PATIENCE, || map.stats().windows > 0), "{:?}", map.stats());
    }
    let Some(filler) = Filler::new() else { skip!("vm.max_map_count is out of reach") };
    let mut refused = 0;
    for (turn, map) in maps.iter().enumerate() {
        let mapped = map.stats().pages_mapped;
        read(map, MIB, FILE_LEN);
        let stats = map.stats();
        assert!(stats.pages_mapped > mapped, "nobody maps any more: {stats:?}");
        refused += stats.refused;
        if turn == 0 {
            assert_eq!(stats.refused, 1, "one refusal, then madvise: {stats:?}");
        }
        filler.give_back(turn);
    }
    assert!(refused >= 1);
    drop(filler);
    maps.iter().for_each(|map| read(map, 0, FILE_LEN));
}

#[test]
fn without_a_file_of_its_own_it_falls_back_and_counts() {
    let Some(file) = Place::Tmpfs.numbered(FILE_LEN) else { skip!("/dev/shm is no tmpfs") };
    // SAFETY: the file has no name, and nobody else writes it.
    let map = unsafe { options().map(&file) }.unwrap();
    read(&map, 0, FILE_LEN);
    let stats = map.stats();
    assert_eq!(stats.refused, 1, "{stats:?}");
    assert!(stats.pages_mapped > 0, "{stats:?}");
}

#[test]
fn a_private_mapping_is_never_remapped() {
    let Some(file) = Place::Tmpfs.numbered(FILE_LEN) else { skip!("/dev/shm is no tmpfs") };
    // SAFETY: the file has no name, and nobody else writes it.
    let map = unsafe { options().keep_file().map_copy_read_only(&file) }.unwrap();
    read(&map, 0, FILE_LEN);
    let stats = map.stats();
    assert_eq!(stats.refused, 1, "{stats:?}");
    assert!(stats.pages_mapped > 0, "{stats:?}");
    let areas = areas_with_flags(&map);
    assert!(
        !areas.is_empty() && areas.iter().all(|(head, _)| head.contains(" r--p ")),
        "{areas:?}"
    );
    // The stores of a mapping made writable later are not lost either.
    let mut map = map.make_mut().unwrap();
    map[5 * MIB] = 99;
    let prefetch = map.prefetch(..);
    assert!(becomes(PATIENCE, || prefetch.state() == PrefetchState::Done));
    assert_eq!(map[5 * MIB], 99);
}

/// Advice and locks are properties of the areas that a remap would replace.
fn keeps(flag: &str, change: impl FnOnce(&Mmap)) {
    let Some(file) = Place::Tmpfs.numbered(FILE_LEN) else { skip!("/dev/shm is no tmpfs") };
    let map = map(&file);
    change(&map);
    read(&map, 0, FILE_LEN);
    assert!(map.stats().touches > 0, "{:?}", map.stats());
    let areas = areas_with_flags(&map);
    let has_flag = |flags: &str| flags.split(' ').any(|other| other == flag);
    let lost: Vec<_> = areas.iter().filter(|(_, flags)| !has_flag(flags)).collect();
    assert!(lost.is_empty(), "`{flag}` is gone from {} of {} areas", lost.len(), areas.len());
}

#[test]
fn advice_given_to_a_mapping_stays() {
    keeps("sr", |map| map.advise(Advice::Sequential).unwrap());
}

#[test]
fn dont_fork_stays() {
    keeps("dc", |map| map.advise(Advice::DontFork).unwrap());
}
