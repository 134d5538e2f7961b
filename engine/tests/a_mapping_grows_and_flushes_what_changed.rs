//! `MmapMut` as a writer: it grows with its file, flushes what changed, and asks the disk no more than
//! it must. The default mapping keeps no descriptor.

mod common;

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

use common::{MIB, Place, Random, in_child, page, role, skip};
use mmap_ahead::{Mechanism, MmapMut, MmapOptions};

const LEN: usize = 2 * MIB;

fn kept(file: &File, offset: u64) -> MmapMut {
    // SAFETY: the file has no name, and nobody else writes it.
    unsafe { MmapOptions::new().keep_file().offset(offset).map_mut(file) }.unwrap()
}

fn plain(file: &File) -> MmapMut {
    // SAFETY: as above.
    unsafe { MmapMut::map_mut(file) }.unwrap()
}

#[test]
fn file_and_mapping_grow_together_and_hold_what_was_stored() {
    for place in Place::ALL {
        // Also a mapping that begins within a page.
        for offset in [0, 100] {
            let Some(file) = place.numbered(LEN) else { continue };
            let mut map = kept(&file, offset);
            let mut model = map.to_vec();
            let mut random = Random::new(offset + 1);
            for _ in 0..30 {
                let len = map.len() + random.below(3 * page() + 1);
                map.grow(len).unwrap();
                model.resize(len, 0);
                assert_eq!(file.metadata().unwrap().len(), offset + len as u64);
                let last = len - 1;
                for at in [last, random.below(len), random.below(len)] {
                    map[at] = 5;
                    model[at] = 5;
                }
                assert!(map[..] == model[..]);
            }
            drop(map);
            let mut bytes = vec![0; model.len()];
            file.read_exact_at(&mut bytes, offset).unwrap();
            assert!(bytes == model);
        }
    }
}

#[test]
fn it_does_not_shrink_nor_cut_a_file_that_is_longer_already() {
    let Some(file) = Place::Tmpfs.numbered(LEN) else { skip!("no tmpfs") };
    // SAFETY: the file has no name, and nobody else writes it.
    let mut map = unsafe { MmapOptions::new().keep_file().len(page()).map_mut(&file) }.unwrap();
    map.grow(3 * page()).unwrap();
    assert_eq!(map[2 * page()..2 * page() + 8], 2_u64.to_ne_bytes());
    assert_eq!(file.metadata().unwrap().len(), LEN as u64);
    map.grow(3 * page()).unwrap();
    assert_eq!(map.grow(page()).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(map.grow(usize::MAX).is_err());
    assert_eq!((map.len(), file.metadata().unwrap().len()), (3 * page(), LEN as u64));
}

/// TRAPS 7: no descriptor unless it was asked for; and without one there is no file to make longer.
#[test]
fn only_a_mapping_that_keeps_its_file_grows() {
    let Some(file) = Place::Tmpfs.numbered(LEN) else { skip!("no tmpfs") };
    assert_eq!(plain(&file).grow(2 * LEN).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(plain(&file).unwritten_bytes().unwrap_err().kind(), ErrorKind::Unsupported);
    // SAFETY: as above.
    let mut copy = unsafe { MmapOptions::new().keep_file().map_copy(&file) }.unwrap();
    assert_eq!(copy.grow(2 * LEN).unwrap_err().kind(), ErrorKind::Unsupported);
    let mut anonymous = MmapMut::map_anon(LEN).unwrap();
    assert_eq!(anonymous.grow(2 * LEN).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(file.metadata().unwrap().len(), LEN as u64);
    assert!(!copy.flush_dirty().unwrap().is_synced && !anonymous.flush_dirty().unwrap().is_synced);
}

/// Where stores are tracked the disk is asked when something was stored, and only then.
#[test]
fn a_flush_of_nothing_does_not_ask_the_disk() {
    let Some(file) = Place::Disk.numbered(LEN) else { skip!("no disk") };
    let mut looks = 0;
    for mut map in [kept(&file, 0), plain(&file)] {
        let Ok(_tracker) = map.track_stores_by(Mechanism::Marked) else {
            skip!("no WP_ASYNC here");
        };
        let first = map.flush_dirty().unwrap();
        assert!(first.is_synced && first.stored.is_none(), "what was before is not known");
        for round in 0..20 {
            map[round * page()] = 1;
            // Looking is left out where it takes long beside the flush, which only it can tell.
            let flushed = map.flush_dirty().unwrap();
            assert!(flushed.is_synced, "{flushed:?}");
            let ranges = flushed.stored.iter().flat_map(|stored| stored.ranges());
            assert!(
                flushed.stored.is_none() || ranges.clone().any(|r| r.contains(&(round * page())))
            );
            let nothing = map.flush_dirty().unwrap();
            let is_empty = nothing.stored.as_ref().is_some_and(|stored| stored.is_empty());
            assert!(!is_empty || !nothing.is_synced, "{nothing:?}");
            looks += [&flushed, &nothing].into_iter().filter(|f| f.stored.is_some()).count();
        }
    }
    println!("seen: {looks} looks in 80 flushes");
    assert!(looks > 0, "nobody ever looked");
}

/// Tracking costs every store: a flush begins none, and does not keep one alive.
#[test]
fn a_flush_tracks_only_while_somebody_else_does() {
    let Some(file) = Place::Disk.numbered(LEN) else { skip!("no disk") };
    let mut map = kept(&file, 0);
    let store_and_flush = |map: &mut MmapMut| {
        map[0] = map[0].wrapping_add(1);
        assert!(map.flush_dirty().unwrap().is_synced);
        map.flush_dirty().unwrap().stored
    };
    assert_eq!((0..10).find_map(|_| store_and_flush(&mut map)), None);
    let Ok(tracker) = map.track_stores_by(Mechanism::Marked) else { skip!("no WP_ASYNC here") };
    assert!((0..10).any(|_| store_and_flush(&mut map).is_some()), "it never looked");
    drop(tracker);
    map.flush_dirty().unwrap();
    assert_eq!((0..10).find_map(|_| store_and_flush(&mut map)), None);
    // Nobody tracks any more, so whoever begins may choose another way.
    drop(map.track_stores_by(Mechanism::Signal).unwrap());
}

/// One byte stored is one folio to write, and nothing is left to write after a flush.
#[test]
fn what_is_unwritten_is_told() {
    let Some(file) = Place::Disk.numbered(LEN) else { skip!("no disk") };
    let mut map = kept(&file, 0);
    map.flush_dirty().unwrap();
    let Ok(before) = map.unwritten_bytes() else { skip!("no cachestat here") };
    map[LEN / 2] = 1;
    let stored = map.unwritten_bytes().unwrap();
    let flushed = map.flush_dirty().unwrap();
    let after = map.unwritten_bytes().unwrap();
    println!("seen: {stored} bytes to write for one byte stored");
    assert!(flushed.is_synced);
    assert_eq!((before, after), (0, 0));
    assert!((page() as u64..=LEN as u64).contains(&stored));
}

/// Trackers go on over a change of length, with nothing lost; what is new counts as stored to.
#[test]
fn tracking_goes_on_when_the_mapping_grows() {
    for mechanism in Mechanism::ALL {
        for place in Place::ALL {
            let Some(file) = place.numbered(LEN) else { continue };
            let mut map = kept(&file, 0);
            let Ok(tracker) = map.track_stores_by(mechanism) else { continue };
            map[5 * page()] = 1;
            map.grow(LEN + 2 * page()).unwrap();
            let told = tracker.take().unwrap();
            let is_told = |at: usize| told.ranges().iter().any(|range| range.contains(&at));
            assert!(is_told(5 * page()) && is_told(LEN) && is_told(LEN + page()), "{mechanism:?}");
            assert!(!is_told(LEN / 2));
            assert!(tracker.take().unwrap().is_empty());
            map[LEN + page()] = 1;
            assert!(tracker.take().unwrap().ranges()[0].contains(&(LEN + page())));
            // New bytes of a page that was there count as well.
            let end = map.len();
            map.grow(end + 10).unwrap();
            tracker.take().unwrap();
            map.grow(end + 20).unwrap();
            assert!(tracker.take().unwrap().ranges()[0].contains(&(end + 15)));
            println!("seen: {mechanism:?} on {place:?}");
        }
    }
}

/// The file is longer already when the kernel has no addresses for the mapping.
#[test]
fn a_mapping_that_cannot_grow_leaves_its_file_as_it_was() {
    if role().is_none() {
        return in_child("no addresses");
    }
    let Some(file) = Place::Tmpfs.numbered(LEN) else { skip!("no tmpfs") };
    let mut map = kept(&file, 0);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let size: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
    let limit = libc::rlimit { rlim_cur: (size + 8192) << 10, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the limit is readable.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
    assert_eq!(map.grow(64 * MIB).unwrap_err().kind(), ErrorKind::OutOfMemory);
    assert_eq!((map.len(), file.metadata().unwrap().len()), (LEN, LEN as u64));
    map.grow(LEN + 1).unwrap();
    map[LEN] = 1;
    assert_eq!(map[page()..page() + 8], 1_u64.to_ne_bytes());
}

#[test]
fn an_empty_file_grows_as_any_other() {
    for place in Place::ALL {
        let Some(file) = place.sparse(0) else { continue };
        let mut map = kept(&file, 0);
        assert!(map.is_empty() && map.flush_dirty().is_ok());
        assert_eq!(map.unwritten_bytes().unwrap(), 0);
        map.grow(3 * page() + 1).unwrap();
        map[3 * page()] = 9;
        map.flush_dirty().unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, 3 * page() as u64).unwrap();
        assert_eq!((byte, file.metadata().unwrap().len()), ([9], 3 * page() as u64 + 1));
    }
}
