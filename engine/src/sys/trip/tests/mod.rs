//! The guard against the real kernel. What ends or changes a process is in [`children`].

mod children;
mod handing_on;

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::table::{WINDOWS_BUDGET, granule_for};
use super::windows::WINDOWS_MAX;
use super::*;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// A read-only shared mapping of a memfd, with or without a guard.
struct Map {
    slot: Option<TripSlot>,
    addr: *const u8,
    len: usize,
}

// SAFETY: the memory is only read, and never changes while it is mapped.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    /// Page `n` of `pages` starts with the number `n`; the file has a hole elsewhere.
    fn plain(len: usize, pages: impl IntoIterator<Item = usize>) -> Map {
        // SAFETY: the name is a C string; the call has no other precondition.
        let fd = unsafe { libc::memfd_create(c"guarded".as_ptr(), libc::MFD_CLOEXEC) };
        assert!(fd >= 0);
        // SAFETY: the descriptor is new, so nobody else owns it.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(len as u64).unwrap();
        for page in pages {
            let offset = page as u64 * page_size().bytes();
            file.write_all_at(&page.to_ne_bytes(), offset).unwrap();
        }
        let (prot, flags) = (libc::PROT_READ, libc::MAP_SHARED);
        let fd = file.as_raw_fd();
        // SAFETY: a new mapping at an address of the kernel's choice disturbs nothing.
        let addr = unsafe { libc::mmap(ptr::null_mut(), len, prot, flags, fd, 0) };
        assert_ne!(addr, libc::MAP_FAILED);
        Map { slot: None, addr: addr.cast(), len }
    }

    fn closed(len: usize, pages: impl IntoIterator<Item = usize>) -> Map {
        let mut map = Map::plain(len, pages);
        install().unwrap();
        // SAFETY: the mapping was just made, is readable, and outlives the slot (see `drop`).
        map.slot = Some(unsafe { TripSlot::close(map.addr, len, 0, libc::PROT_READ) }.unwrap());
        map
    }

    fn slot(&self) -> &TripSlot {
        self.slot.as_ref().unwrap()
    }

    fn page(&self, page: usize) -> usize {
        let offset = page * page_size().bytes() as usize;
        assert!(offset < self.len);
        // SAFETY: checked just now to be inside the mapping.
        let place = unsafe { self.addr.add(offset) };
        // SAFETY: aligned to a page, mapped, and not changed by anybody.
        unsafe { ptr::read_volatile(place.cast()) }
    }

    fn store(&self, page: usize) {
        let place = self.addr.wrapping_add(page * page_size().bytes() as usize);
        // SAFETY: none: this is the mistake whose consequence is looked at.
        unsafe { ptr::write_volatile(place.cast_mut(), 1) };
    }

    fn vmas(&self) -> usize {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let start = |line: &str| usize::from_str_radix(line.split('-').next().unwrap(), 16);
        let range = self.addr.addr()..self.addr.addr() + self.len;
        maps.lines().filter(|line| range.contains(&start(line).unwrap())).count()
    }

    fn protect(&self, prot: i32) {
        // SAFETY: the range is this mapping; its users know that it may be closed.
        let result = unsafe { libc::mprotect(self.addr.cast_mut().cast(), self.len, prot) };
        assert_eq!(result, 0);
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        self.slot = None;
        // SAFETY: the range is this mapping, and the slot that might change it is gone.
        unsafe { libc::munmap(self.addr.cast_mut().cast(), self.len) };
    }
}

fn pages_in(len: usize) -> usize {
    len / page_size().bytes() as usize
}

fn drained(slot: &TripSlot) -> Vec<usize> {
    let mut windows = Vec::new();
    slot.drain(|window| windows.push(window));
    windows
}

#[test]
fn a_touch_opens_its_window_and_tells_of_it() {
    // Not a whole number of windows, nor of pages.
    let len = 5 * 64 * KIB + 5000;
    let map = Map::closed(len, 0..pages_in(len));
    let slot = map.slot();
    assert_eq!((slot.granule(), slot.windows()), (64 * KIB, 6));
    assert!((0..7).all(|window| !slot.is_open(window)));
    let each = pages_in(64 * KIB);
    for page in [5 * each, 2 * each + 1, 2 * each, 2 * each + 15.min(each - 1)] {
        assert_eq!(map.page(page), page);
    }
    let is_open = [0, 1, 2, 3, 4, 5, 6].map(|window| slot.is_open(window));
    assert_eq!(is_open, [false, false, true, false, false, true, false]);
    assert_eq!(drained(slot), [5, 2]);
    assert_eq!(drained(slot), []);
    let counts = TripCounts { trips: 2, handled: 2, dropped: 0, repeats: 0, open_windows: 2 };
    assert_eq!(slot.counts(), counts);
}

#[test]
fn what_the_worker_opens_does_not_trip() {
    let len = 10 * 64 * KIB;
    let map = Map::closed(len, 0..pages_in(len));
    let slot = map.slot();
    slot.open(2..3).unwrap();
    slot.open(5..6).unwrap();
    assert_eq!(map.vmas(), 5);
    slot.open(1..8).unwrap();
    assert_eq!(map.vmas(), 3);
    slot.open(9..99).unwrap();
    slot.open(99..100).unwrap();
    #[allow(clippy::reversed_empty_ranges, reason = "it must be harmless")]
    slot.open(8..3).unwrap();
    assert_eq!(slot.counts().open_windows, 8);
    let each = pages_in(64 * KIB);
    for page in (each..8 * each).chain(9 * each..10 * each) {
        assert_eq!(map.page(page), page);
    }
    assert_eq!(slot.counts().trips, 0);
    assert_eq!((map.page(0), map.page(8 * each)), (0, 8 * each));
    assert_eq!((slot.counts().trips, map.vmas()), (2, 1));
}

#[test]
fn open_all_leaves_one_vma_and_no_trips() {
    let len = 40 * 64 * KIB;
    let map = Map::closed(len, 0..pages_in(len));
    for window in (0..40).step_by(2) {
        map.slot().open(window..window + 1).unwrap();
    }
    assert_eq!(map.vmas(), 40);
    map.slot().open_all().unwrap();
    assert_eq!((map.vmas(), map.slot().counts().open_windows), (1, 40));
    assert_eq!(map.page(17), 17);
    assert_eq!(map.slot().counts().trips, 0);
}

#[test]
fn a_full_ring_drops_reports_not_trips() {
    let len = 300 * 64 * KIB;
    let each = pages_in(64 * KIB);
    let map = Map::closed(len, (0..300).map(|window| window * each));
    for window in 0..300 {
        assert_eq!(map.page(window * each), window * each);
    }
    let counts =
        TripCounts { trips: 300, handled: 256, dropped: 44, repeats: 0, open_windows: 300 };
    assert_eq!(map.slot().counts(), counts);
    assert_eq!(drained(map.slot()), (0..256).collect::<Vec<_>>());
}

#[test]
fn eight_threads_at_random() {
    const TOUCHES_EACH: usize = 1250;
    const LEN: usize = 4 << 30;
    let touches = random_pages(8 * TOUCHES_EACH, pages_in(LEN));
    let map = Map::closed(LEN, touches.iter().copied());
    let slot = map.slot();
    let told = AtomicUsize::new(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                slot.drain(|_| _ = told.fetch_add(1, Ordering::Relaxed));
                std::thread::yield_now();
            }
            slot.drain(|_| _ = told.fetch_add(1, Ordering::Relaxed));
        });
        let readers: Vec<_> = (0..8)
            .map(|reader| {
                // Half of the pages are touched by two threads, at about the same time.
                let first = reader / 2 * 2 * TOUCHES_EACH;
                let (map, touches) = (&map, &touches[first..first + 2 * TOUCHES_EACH]);
                scope.spawn(move || {
                    assert!(touches.iter().all(|&page| map.page(page) == page));
                })
            })
            .collect();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        done.store(true, Ordering::SeqCst);
        worker.join().unwrap();
    });
    let counts = slot.counts();
    println!("{counts:?}, {} windows, {} VMAs", slot.windows(), map.vmas());
    let each = pages_in(slot.granule());
    let touched = touches.iter().map(|page| page / each).collect::<HashSet<_>>().len();
    assert!(slot.windows() <= WINDOWS_MAX);
    assert!(map.vmas() <= slot.windows());
    assert!(counts.trips as usize >= touched);
    assert_eq!(counts.trips, counts.handled + counts.dropped);
    assert_eq!(counts.open_windows as usize, touched);
    assert_eq!(told.into_inner() as u64, counts.handled - counts.repeats);
    assert_eq!(counts.trips - counts.repeats, counts.open_windows);
}

/// Numbers below `end` from a fixed seed (splitmix64).
fn random_pages(count: usize, end: usize) -> Vec<usize> {
    let mut state = 0x1234_5678_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) as usize % end
    })
    .take(count)
    .collect()
}

/// A worker that still has the slot goes on opening windows while the owner retires the slot and
/// puts something else in the place of the mapping.
#[test]
fn after_retire_nothing_changes_what_lies_there() {
    for _ in 0..200 {
        let mut map = Map::closed(64 * 64 * KIB, 0..1);
        let slot = Arc::new(map.slot.take().unwrap());
        let worker = {
            let slot = Arc::clone(&slot);
            std::thread::spawn(move || {
                (0..64).for_each(|window| slot.open(window..window + 1).unwrap());
            })
        };
        while slot.counts().open_windows < 10 {
            std::hint::spin_loop();
        }
        slot.retire();
        // Foreign memory in the same place.
        map.protect(libc::PROT_NONE);
        worker.join().unwrap();
        assert_eq!(map.vmas(), 1, "a retired slot opened a window");
    }
}

#[test]
fn slots_come_and_go_while_others_trip() {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let makers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for round in 0..300 {
                        let map = Map::closed((1 + round % 7) * 64 * KIB, 0..1);
                        assert_eq!(map.page(0), 0);
                        assert_eq!(map.slot().counts().trips, 1);
                        assert_eq!(drained(map.slot()), [0]);
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let map = Map::closed(8 * MIB, 0..pages_in(8 * MIB));
                    for page in (0..pages_in(8 * MIB)).step_by(5) {
                        assert_eq!(map.page(page), page);
                    }
                    let counts = map.slot().counts();
                    assert_eq!((counts.trips, counts.open_windows), (128, 128));
                }
            });
        }
        let results: Vec<_> = makers.into_iter().map(|maker| maker.join()).collect();
        done.store(true, Ordering::SeqCst);
        assert!(results.iter().all(Result::is_ok));
    });
}

#[test]
fn the_granule_bounds_the_number_of_windows() {
    assert_eq!(granule_for(1, 64 * KIB, WINDOWS_MAX), 64 * KIB);
    assert_eq!(granule_for(128 * MIB, 64 * KIB, WINDOWS_MAX), 64 * KIB);
    assert_eq!(granule_for(128 * MIB + 1, 64 * KIB, WINDOWS_MAX), 128 * KIB);
    assert_eq!(granule_for(4 << 30, 64 * KIB, WINDOWS_MAX), 2 * MIB);
    assert_eq!(granule_for(4 << 30, 64 * KIB, usize::MAX), 2 * MIB);
    assert_eq!(granule_for(4 << 30, 64 * KIB, 1024), 4 * MIB);
    assert_eq!(granule_for(1, 128 * KIB, WINDOWS_MAX), 128 * KIB);
    assert_eq!(granule_for(3 * MIB, 64 * KIB, 0), 4 * MIB);
    for len in [1, 4097, 1 << 30, (1 << 40) + 1, isize::MAX as usize] {
        for windows in [1, 7, 1000, WINDOWS_MAX] {
            let granule = granule_for(len, 64 * KIB, windows);
            assert!(granule.is_power_of_two() && len.div_ceil(granule) <= windows);
            assert!(granule == 64 * KIB || len.div_ceil(granule / 2) > windows);
        }
    }
}

#[test]
fn nonsense_is_refused() {
    install().unwrap();
    let map = Map::plain(64 * KIB, 0..1);
    for (addr, len) in [(map.addr, 0), (map.addr.wrapping_add(1), 4096), (map.addr, usize::MAX)] {
        // SAFETY: refused before anything is done to the range.
        let result = unsafe { TripSlot::close(addr, len, 0, libc::PROT_READ) };
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
    assert_eq!(map.page(0), 0);
}
