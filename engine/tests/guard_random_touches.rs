//! Random page touches by eight threads over 4 GiB in Guard mode: the bytes are right, the number of
//! kernel areas stays bounded, every trip is accounted for, and little more is open than what was
//! touched (TRAPS 13).
//!
//! It fails when windows are opened page by page, when a trip is counted once only, or when a policy
//! takes chance neighbours for a run and opens far more than that.

mod common;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};
use std::thread;

use common::{MIB, Place, Random, areas, areas_of, page, skip};
use mmap_ahead::{Mmap, MmapOptions, Mode};

const FILE_LEN: usize = 4096 * MIB;
const THREADS: usize = 8;
/// A mapping has at most so many windows, so that 4 GiB have windows of 2 MiB.
const WINDOWS: usize = 2048;
const WINDOW_LEN: usize = FILE_LEN / WINDOWS;

/// The areas of the whole process are counted: one mapping at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// The pages that each thread touches, in its order.
fn pages_of_threads(touches: usize) -> Vec<Vec<usize>> {
    let of_thread = |thread: usize| {
        let mut random = Random::new(thread as u64 + 1);
        (0..touches / THREADS).map(|_| random.below(FILE_LEN / page())).collect()
    };
    (0..THREADS).map(of_thread).collect()
}

/// A sparse file whose pages in `lists` start with their number.
fn marked(place: Place, lists: &[Vec<usize>]) -> Option<File> {
    let file = place.sparse(FILE_LEN)?;
    for &index in lists.iter().flatten() {
        let number = (index as u64).to_ne_bytes();
        file.write_all_at(&number, (index * page()) as u64).unwrap();
    }
    Some(file)
}

/// Touches everything and answers the most areas the process had on the way.
fn touch(map: &Mmap, lists: &[Vec<usize>]) -> usize {
    thread::scope(|scope| {
        let threads: Vec<_> =
            lists.iter().map(|list| scope.spawn(|| read_numbers(map, list))).collect();
        let mut most = 0;
        while threads.iter().any(|thread| !thread.is_finished()) {
            most = most.max(areas());
            thread::sleep(std::time::Duration::from_millis(1));
        }
        most.max(areas())
    })
}

fn read_numbers(map: &Mmap, list: &[usize]) {
    for &index in list {
        let start = index * page();
        let number = u64::from_ne_bytes(map[start..start + 8].try_into().unwrap());
        assert_eq!(number, index as u64);
        assert_eq!(map[start + 8], 0, "behind the number of page {index}");
    }
}

fn check(place: Place, touches: usize) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lists = pages_of_threads(touches);
    let Some(file) = marked(place, &lists) else { skip!("no file on {place:?}") };
    // SAFETY: the file has no name, and nobody else writes it.
    let map = unsafe { MmapOptions::new().mode(Mode::Guard).map(&file) }.unwrap();
    let most_areas = touch(&map, &lists);
    let stats = map.stats();
    let windows: BTreeSet<_> =
        lists.iter().flatten().map(|index| index * page() / WINDOW_LEN).collect();
    println!("{place:?}: {} windows touched, {most_areas} areas, {stats:?}", windows.len());
    assert!(most_areas < 4096, "{most_areas} areas");
    assert!(areas_of(&map) <= WINDOWS + 1);
    assert_eq!(stats.trips, stats.trips_handled + stats.trips_dropped);
    assert!(stats.trips > 0);
    let touched_pages = windows.len() * WINDOW_LEN / page();
    assert!(stats.pages_open as usize >= touched_pages, "{} pages open", stats.pages_open);
    assert!(
        stats.pages_open as usize <= 2 * touched_pages,
        "{} pages open for {touched_pages} in windows that were touched",
        stats.pages_open,
    );
}

#[test]
fn ten_thousand_on_tmpfs() {
    check(Place::Tmpfs, 10_000);
}

#[test]
fn ten_thousand_on_a_disk() {
    check(Place::Disk, 10_000);
}

#[test]
fn three_hundred_that_leave_most_windows_alone() {
    check(Place::Tmpfs, 304);
}
