//! Files that are cut and grow again while they are read ahead, holes, empty and odd lengths, files
//! that cannot be mapped: the same as with memmap2, no crash and nothing left hanging.
//!
//! It fails when the engine touches mapped memory itself instead of asking the kernel to, when a
//! refused fetch is taken for an error of the mapping, and when a drop leaves something behind.

mod common;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

use common::stuck::PATIENCE;
use common::{KIB, MIB, Numbered, Place, areas, becomes, in_child, page, role, skip, workers};
use mmap_ahead::{Fetcher, Mmap, MmapOptions, MmapRaw, Mode, PrefetchState};

const FILE_LEN: usize = 32 * MIB;
/// What is never cut off: the only part that the reader touches while the file changes.
const KEPT: usize = 4 * MIB;

fn options(mode: Mode, fetcher: Fetcher) -> MmapOptions {
    let mut options = MmapOptions::new();
    options.mode(mode).fetcher(fetcher).keep_file();
    options
}

/// The first word of a page of memory that others may change.
fn first_word(map: &MmapRaw, page_index: usize) -> u64 {
    let at = page_index * page();
    assert!(at < map.len());
    // SAFETY: inside the mapping, as was just checked.
    let word = unsafe { map.as_ptr().add(at) };
    // SAFETY: aligned to a page; the callers read only what the file still has.
    unsafe { word.cast::<u64>().read_volatile() }
}

/// Reads the part that is kept, in order, again and again until `is_over`.
fn read_the_kept_part(map: &MmapRaw, rounds: usize) {
    for _ in 0..rounds {
        for index in 0..KEPT / page() {
            assert_eq!(first_word(map, index), index as u64);
            if index % 64 == 0 {
                thread::sleep(Duration::from_micros(20));
            }
        }
    }
}

/// Cuts the file and lets it grow again while it is followed and prefetched.
fn cut_and_grow(place: Place, mode: Mode, fetcher: Fetcher) {
    let Some(file) = place.numbered(FILE_LEN) else { skip!("no file on {place:?}") };
    let map = options(mode, fetcher).map_raw_read_only(&file).unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| read_the_kept_part(&map, 20));
        while !reader.is_finished() {
            let prefetch = map.prefetch(..);
            file.set_len(KEPT as u64).unwrap();
            thread::sleep(Duration::from_micros(500));
            file.set_len(FILE_LEN as u64).unwrap();
            assert!(becomes(PATIENCE, || prefetch.state() == PrefetchState::Done), "it hangs");
        }
    });
    for index in 0..FILE_LEN / page() {
        let expected = if index < KEPT / page() { index as u64 } else { 0 };
        assert_eq!(first_word(&map, index), expected, "{place:?} {mode:?} {fetcher:?}");
    }
    file.set_len(KEPT as u64).unwrap();
    let prefetch = map.prefetch(..);
    assert!(becomes(PATIENCE, || prefetch.state() == PrefetchState::Done), "it hangs");
    assert!(map.stats().refused > 0, "{place:?} {mode:?} {fetcher:?}: {:?}", map.stats());
    read_the_kept_part(&map, 1);
}

#[test]
fn cut_and_grown_while_it_is_read_ahead() {
    if role().is_none() {
        // A crash of ours would be the end of the other tests.
        return in_child("cut");
    }
    for place in Place::ALL {
        for mode in [Mode::Marker, Mode::Guard] {
            for fetcher in [Fetcher::Madvise, Fetcher::Remap] {
                cut_and_grow(place, mode, fetcher);
            }
        }
    }
}

#[test]
fn holes_stay_holes_on_a_disk() {
    let Some(file) = Place::Disk.sparse(FILE_LEN) else { skip!("/var/tmp is no disk") };
    for mode in [Mode::Marker, Mode::Guard] {
        // SAFETY: the file has no name, and nobody else writes it.
        let map = unsafe { options(mode, Fetcher::Madvise).map(&file) }.unwrap();
        let prefetch = map.prefetch(..);
        let zeros = vec![0; MIB];
        assert!(map.chunks(MIB).all(|chunk| chunk == zeros));
        assert!(becomes(PATIENCE, || prefetch.state() == PrefetchState::Done), "it hangs");
    }
    assert_eq!(file.metadata().unwrap().blocks(), 0);
}

#[test]
fn every_length_around_the_limits_is_read_right() {
    let numbered = Numbered::new();
    for place in Place::ALL {
        for len in [1, page() - 1, page(), page() + 1, MIB - 1, MIB, MIB + 1, MIB + page()] {
            let Some(file) = place.numbered(len) else { skip!("no file on {place:?}") };
            for mode in [Mode::Auto, Mode::Marker, Mode::Guard] {
                // SAFETY: the file has no name, and nobody else writes it.
                let map = unsafe { options(mode, Fetcher::Remap).map(&file) }.unwrap();
                let prefetch = map.prefetch(..);
                (0..len.div_ceil(page())).for_each(|index| numbered.check(&map, index));
                assert!(becomes(PATIENCE, || prefetch.state() == PrefetchState::Done), "{len}");
                assert_eq!(prefetch.bytes(), len.next_multiple_of(page()) as u64);
            }
        }
    }
}

/// A window that reaches over the end of a file that is not a whole number of large pages, an
/// offset into the file, and a length of its own.
#[test]
fn parts_of_a_file_are_read_right() {
    let Some(file) = Place::Disk.numbered(5 * MIB + 777) else { skip!("/var/tmp is no disk") };
    for mode in [Mode::Marker, Mode::Guard] {
        for fetcher in [Fetcher::Madvise, Fetcher::Remap] {
            for offset in [0, 1, page() - 1, page(), 3 * page() + 5, MIB + 1] {
                let mut options = options(mode, fetcher);
                options.offset(offset as u64).len(2 * MIB + 3);
                // SAFETY: the file has no name, and nobody else writes it.
                let part = unsafe { options.map(&file) }.unwrap();
                // SAFETY: as above.
                let whole = unsafe { memmap2::Mmap::map(&file) }.unwrap();
                thread::sleep(Duration::from_micros(300));
                assert!(part[..] == whole[offset..offset + 2 * MIB + 3], "{mode:?} {fetcher:?}");
            }
        }
    }
}

#[test]
fn what_cannot_be_mapped_is_memmap2s_error() {
    let empty = Place::Tmpfs.sparse(0);
    let proc = ["/proc/self/status", "/proc/self/pagemap", "/proc/self/mem"];
    let files = proc.iter().filter_map(|path| File::open(path).ok()).chain(empty);
    let mut compared = 0;
    for file in files {
        for len in [None, Some(2 * MIB)] {
            let (mut ours, mut theirs) = (MmapOptions::new(), memmap2::MmapOptions::new());
            if let Some(len) = len {
                ours.len(len);
                theirs.len(len);
            }
            // SAFETY: mapped at most, never read.
            let ours = unsafe { ours.map(&file) }.map(|map| map.len());
            // SAFETY: as above.
            let theirs = unsafe { theirs.map(&file) }.map(|map| map.len());
            let code = |error: std::io::Error| (error.kind(), error.raw_os_error());
            assert_eq!(ours.map_err(code), theirs.map_err(code));
            compared += 1;
        }
    }
    assert!(compared >= 6, "{compared}");
}

/// What a process could leak.
fn belongings() -> [usize; 3] {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().count();
    [descriptors, workers().len(), areas()]
}

#[test]
fn dropped_right_after_it_was_mapped_nothing_stays() {
    if role().is_none() {
        return in_child("drop");
    }
    let Some(file) = Place::Tmpfs.numbered(2 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let map = |mode| {
        // SAFETY: the file has no name, and nobody else writes it.
        unsafe { options(mode, Fetcher::Remap).map(&file) }.unwrap()
    };
    let map_and_drop = |turn: usize| {
        let map: Mmap = map([Mode::Auto, Mode::Guard][turn % 2]);
        match turn % 4 {
            0 | 1 => {}
            2 => drop(map.prefetch(..)),
            _ => assert_eq!(map[512 * KIB], (512 * KIB / page()) as u8),
        }
    };
    (0..100).for_each(map_and_drop);
    thread::sleep(Duration::from_millis(50));
    let before = belongings();
    (0..2000).for_each(map_and_drop);
    // The last ones may still be on their way out, and a standby thread on its way in; the
    // allocator keeps areas of its own. A leak would be hundreds.
    let slack = [4, 2, 16];
    let is_clean = || belongings().iter().zip(before).zip(slack).all(|((a, b), s)| *a <= b + s);
    assert!(becomes(PATIENCE, is_clean), "before {before:?}, after {:?}", belongings());
}
