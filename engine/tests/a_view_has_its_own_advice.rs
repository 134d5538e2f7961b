//! A view maps the same bytes once more, for a reader with a way of its own: its advice, its streams and
//! its end are its own.
//!
//! It fails when advice goes from one mapping to the other in either direction, when a view holds a
//! descriptor or stays mapped, when what one reader does is counted for the other, and when a view of a
//! mapping under the SIGBUS guard is not under it.

#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File};
use std::thread;
use std::time::Duration;

use common::cut::{Named, guarded, is_vanished, past};
use common::{
    MIB, Numbered, Place, becomes, cached_bytes, descriptors, in_child, page, role, skip, touch_all,
};
use mmap_ahead::{Advice, Loss, Mmap, MmapOptions, Mode, PrefetchState};

const LEN: usize = 64 * MIB;
const PATIENCE: Duration = Duration::from_secs(5);

fn map(file: &File, options: &MmapOptions) -> Mmap {
    // SAFETY: the file has no name, and nobody changes its bytes.
    unsafe { options.map(file) }.unwrap()
}

/// The flags of the areas that hold `bytes`, as the kernel names them ("rd", "rr", "sr").
fn flags(bytes: &[u8]) -> Vec<String> {
    let range = bytes.as_ptr_range();
    let (low, high) = (range.start as usize, range.end as usize);
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut is_inside = false;
    let mut found = Vec::new();
    for line in smaps.lines() {
        let bounds = line.split(' ').next().and_then(|head| head.split_once('-'));
        let hex = |text| usize::from_str_radix(text, 16).ok();
        if let Some((Some(from), Some(to))) = bounds.map(|(from, to)| (hex(from), hex(to))) {
            is_inside = from < high && low < to;
        } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| is_inside) {
            found.push(flags.to_owned());
        }
    }
    assert!(!found.is_empty(), "{low:x}-{high:x} is not mapped");
    found
}

fn all_have(flag: &str, bytes: &[u8]) -> bool {
    flags(bytes).iter().all(|flags| flags.split_whitespace().any(|other| other == flag))
}

fn none_has(flag: &str, bytes: &[u8]) -> bool {
    flags(bytes).iter().all(|flags| flags.split_whitespace().all(|other| other != flag))
}

#[test]
fn a_hint_for_one_reader_is_none_for_the_other() {
    let Some(file) = Place::Disk.numbered(LEN) else { skip!("/var/tmp is no disk") };
    let map = map(&file, &MmapOptions::new());
    let random = map.reader_view(Advice::Random).unwrap();
    let forward = map.reader_view(Advice::Sequential).unwrap();
    assert!(all_have("rr", &random) && none_has("sr", &random), "{:?}", flags(&random));
    assert!(all_have("sr", &forward) && none_has("rr", &forward), "{:?}", flags(&forward));
    assert!(none_has("rr", &map) && none_has("sr", &map), "{:?}", flags(&map));

    map.advise(Advice::Random).unwrap();
    let plain = map.reader_view(Advice::Normal).unwrap();
    assert!(none_has("rr", &plain) && none_has("wr", &plain), "{:?}", flags(&plain));
    assert!(all_have("rr", &map) && all_have("sr", &forward), "it stays as it was");
    plain.advise(Advice::Random).unwrap();
    assert!(all_have("rr", &plain));
}

#[test]
fn what_a_view_is_told_stops_nobody_elses_read_ahead() {
    let Some(file) = Place::Tmpfs.numbered(LEN) else { skip!("/dev/shm is no tmpfs") };
    let map = map(&file, &MmapOptions::new());
    let view = map.reader_view(Advice::Random).unwrap();
    let read = |bytes: &[u8]| {
        for chunk in bytes.chunks(MIB) {
            touch_all(chunk);
            thread::sleep(Duration::from_millis(1));
        }
    };
    read(&view);
    assert_eq!((view.stats().windows, map.stats().touches), (0, 0), "{:?}", view.stats());
    read(&map);
    assert!(becomes(PATIENCE, || map.stats().windows > 4), "{:?}", map.stats());
    assert_eq!(view.stats().windows, 0, "{:?}", view.stats());

    let later = map.reader_view(Advice::Normal).unwrap();
    later.advise(Advice::Random).unwrap();
    read(&later);
    assert_eq!(later.stats().windows, 0, "{:?}", later.stats());

    let other = map.reader_view(Advice::Normal).unwrap();
    let before = map.stats().pages_mapped;
    read(&other);
    assert!(becomes(PATIENCE, || other.stats().windows > 4), "{:?}", other.stats());
    assert_eq!(map.stats().pages_mapped, before, "nobody reads there");
}

#[test]
fn the_bytes_are_the_same_wherever_the_mapping_begins() {
    let Some(file) = Place::Tmpfs.numbered(4 * MIB) else { skip!("/dev/shm is no tmpfs") };
    for mode in [Mode::Auto, Mode::Guard, Mode::Off] {
        let whole = map(&file, MmapOptions::new().mode(mode));
        let view = whole.reader_view(Advice::Normal).unwrap();
        assert_ne!(view.as_ptr(), whole.as_ptr());
        let numbered = Numbered::new();
        (0..view.len() / page()).for_each(|index| numbered.check(&view, index));
        for (offset, len) in [(1, 5000), (page() as u64 + 77, 2 * MIB), (4096 * 16, 1)] {
            let part = map(&file, MmapOptions::new().mode(mode).offset(offset).len(len));
            let view = part.reader_view(Advice::Normal).unwrap();
            assert_eq!((view.len(), view[..] == part[..]), (len, true), "{mode:?} {offset}");
        }
    }
    let empty = Place::Tmpfs.sparse(0).unwrap();
    assert!(map(&empty, &MmapOptions::new()).reader_view(Advice::Normal).unwrap().is_empty());
}

#[test]
fn a_view_takes_no_descriptor_and_is_unmapped_when_it_is_dropped() {
    // In a process of its own: the tests beside it open files too.
    if role().is_none() {
        return in_child("alone");
    }
    let Some(file) = Place::Tmpfs.numbered(LEN) else { skip!("/dev/shm is no tmpfs") };
    let map = map(&file, &MmapOptions::new());
    // The process's own descriptors are there once a mapping was looked at.
    touch_all(&map[..MIB]);
    assert!(becomes(PATIENCE, || map.stats().polls > 0));
    drop(file);
    let before = descriptors();
    let view = map.reader_view(Advice::Normal).unwrap();
    assert!(descriptors() <= before, "{} of {before}", descriptors());
    let prefetch = view.prefetch(..MIB);
    assert_eq!(prefetch.wait_timeout(PATIENCE), PrefetchState::Done);
    assert!(cached_bytes(&view[..MIB]) == MIB);
    let range = view.as_ptr_range();
    drop(view);
    let start = format!("{:x}-", range.start as usize);
    let is_gone = || !fs::read_to_string("/proc/self/maps").unwrap().contains(&start);
    assert!(becomes(PATIENCE, is_gone), "{start} is still mapped");
    Numbered::new().check(&map, 17);
}

#[test]
fn a_private_mapping_has_views_only_if_it_keeps_its_file() {
    let Some(file) = Place::Tmpfs.numbered(4 * MIB) else { skip!("/dev/shm is no tmpfs") };
    // SAFETY: the file has no name, and nobody changes its bytes.
    let plain = unsafe { MmapOptions::new().map_copy_read_only(&file) }.unwrap();
    let error = plain.reader_view(Advice::Normal).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("keep_file"), "{error}");
    let mut options = MmapOptions::new();
    options.keep_file().offset(100);
    // SAFETY: as above.
    let kept = unsafe { options.map_copy_read_only(&file) }.unwrap();
    drop(file);
    let view = kept.reader_view(Advice::Random).unwrap();
    assert!(view[..] == kept[..] && all_have("rr", &view) && none_has("rr", &kept));
    drop(view);
    let kept = kept.make_mut().unwrap().make_read_only().unwrap();
    assert!(kept.reader_view(Advice::Normal).is_err(), "the file may have been changed");
    let zeros = MmapOptions::new().len(MIB).map_anon().unwrap().make_read_only().unwrap();
    let error = zeros.reader_view(Advice::Normal).unwrap_err();
    assert!(error.to_string().contains("a mapping of a file"), "{error}");
}

/// The kernel begins a second mapping with the flags of the first.
#[test]
fn nothing_that_was_done_to_the_mapping_is_taken_over() {
    let Some(file) = Place::Tmpfs.numbered(4 * MIB) else { skip!("/dev/shm is no tmpfs") };
    // SAFETY: the file has no name, and nobody changes its bytes.
    let map = unsafe { MmapOptions::new().len(MIB).map_exec(&file) }.unwrap();
    for advice in [Advice::Random, Advice::DontFork, Advice::DontDump] {
        map.advise(advice).unwrap();
    }
    map.lock().unwrap();
    let view = map.reader_view(Advice::WillNeed).unwrap();
    for flag in ["rr", "dc", "dd", "lo", "ex"] {
        assert!(all_have(flag, &map) && none_has(flag, &view), "{flag}: {:?}", flags(&view));
    }
    Numbered::new().check(&view, 17);
}

#[test]
fn a_view_of_a_guarded_mapping_is_guarded() {
    if role().is_none() {
        return in_child("guarded");
    }
    for place in Place::ALL {
        for is_asked_for in [true, false] {
            let named = Named::new(place, 8 * page());
            let options = if is_asked_for { guarded() } else { MmapOptions::new() };
            let map = named.map(options.clone().len(10 * page()));
            map.guarded(|bytes| assert_eq!(bytes[0], 7)).unwrap();
            let view = map.reader_view(Advice::Normal).unwrap();
            assert!(view.error().is_none(), "it was mapped beyond the end on purpose");
            named.cut(2 * page());
            assert_eq!((view[0], view[5 * page()]), (7, 0));
            is_vanished(
                view.error().map_or(Ok(()), Err),
                &named.path,
                2 * page(),
                past(2 * page()),
            );
            named.grow_again();
            is_vanished(view.error().map_or(Ok(()), Err), &named.path, 5 * page(), Loss::Replaced);
            assert!(map.error().is_none());
            assert_eq!((map[5 * page()], view.read_at(&mut [0; 9], 6 * page()).unwrap()), (7, 9));
        }
    }
}
