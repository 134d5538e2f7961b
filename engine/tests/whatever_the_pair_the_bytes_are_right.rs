//! One case, run over every observer, fetcher and policy that make sense together: reading forwards,
//! backwards, with strides and at random, alone and by four threads, from memory and from a cold
//! disk, every byte is the file's.
//!
//! It fails when a pair shows other bytes, when a pair that should fetch does nothing, when policy
//! `off` fetches anything, or when no pair ran. (It was seen to fail with a remap fetcher that maps
//! one page too far.)

mod common;

use std::fs::File;
use std::thread;
use std::time::Duration;

use common::{MIB, Numbered, Place, Random, make_cold, page};
use mmap_ahead::{Fetcher, Mmap, MmapOptions, Mode, PolicyKind, Stats};

/// Not a whole number of pages.
const FILE_LEN: usize = 8 * MIB + 1234;

#[derive(Clone, Copy, Debug)]
struct Pair {
    mode: Mode,
    fetcher: Fetcher,
    policy: PolicyKind,
}

impl Pair {
    fn all() -> Vec<Pair> {
        let modes = [Mode::Marker, Mode::Guard].into_iter();
        let fetchers = [Fetcher::Madvise, Fetcher::Remap];
        modes
            .flat_map(|mode| fetchers.map(|fetcher| (mode, fetcher)))
            .flat_map(|(mode, fetcher)| {
                PolicyKind::ALL.map(|policy| Pair { mode, fetcher, policy })
            })
            .collect()
    }

    fn map(self, file: &File) -> Mmap {
        let mut options = MmapOptions::new();
        options.mode(self.mode).fetcher(self.fetcher).policy(self.policy);
        if self.fetcher == Fetcher::Remap {
            options.keep_file();
        }
        // SAFETY: the file has no name, and nobody else writes it.
        unsafe { options.map(file) }.unwrap()
    }
}

#[derive(Clone, Copy, Debug)]
enum Walk {
    Forwards,
    Backwards,
    /// Every 16th page, then every 16th from the next on, until all were read.
    Stride,
    Random,
}

impl Walk {
    const ALL: [Walk; 4] = [Walk::Forwards, Walk::Backwards, Walk::Stride, Walk::Random];

    /// The pages in the order of a reader that begins `lead` pages into the file.
    fn pages(self, count: usize, lead: usize) -> Vec<usize> {
        let mut random = Random::new(lead as u64 + 7);
        let turned = (0..count).map(|index| (index + lead) % count);
        match self {
            Walk::Forwards => turned.collect(),
            Walk::Backwards => turned.rev().collect(),
            Walk::Stride => (0..16).flat_map(|first| (first..count).step_by(16)).collect(),
            Walk::Random => turned.map(|_| random.below(count)).collect(),
        }
    }

    fn read(self, map: &Mmap, lead: usize) {
        let numbered = Numbered::new();
        for (step, index) in self.pages(map.len().div_ceil(page()), lead).into_iter().enumerate() {
            numbered.check(map, index);
            if step % 512 == 0 {
                thread::sleep(Duration::from_micros(200));
            }
        }
    }
}

fn read_by(threads: usize, walk: Walk, map: &Mmap) {
    thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || walk.read(map, thread * 517));
        }
    });
}

/// Runs the case for one pair on one file, and answers what the pair did.
fn run(pair: Pair, place: Place, file: &File) -> Stats {
    let mut sum = Stats::default();
    for walk in Walk::ALL {
        for threads in [1, 4] {
            if place == Place::Disk {
                // Warm is right too, just less of a test.
                let _ = make_cold(file);
            }
            let map = pair.map(file);
            read_by(threads, walk, &map);
            let stats = map.stats();
            assert_eq!(stats.refused, 0, "{pair:?} {place:?} {walk:?} by {threads}");
            sum.windows += stats.windows;
            sum.pages_mapped += stats.pages_mapped;
            sum.pages_read_ahead += stats.pages_read_ahead;
            sum.touches += stats.touches;
        }
    }
    sum
}

#[test]
fn whatever_the_pair_the_bytes_are_right() {
    let mut ran = 0;
    for place in Place::ALL {
        let Some(file) = place.numbered(FILE_LEN) else {
            println!("SKIPPED: whatever_the_pair_the_bytes_are_right: no file on {place:?}");
            continue;
        };
        for pair in Pair::all() {
            let did = run(pair, place, &file);
            assert!(did.touches > 0, "{pair:?} {place:?} saw no reader");
            match pair.policy {
                PolicyKind::Off => {
                    let fetched = (did.windows, did.pages_mapped, did.pages_read_ahead);
                    assert_eq!(fetched, (0, 0, 0), "{pair:?} {place:?}");
                }
                // It maps nothing, and nobody here takes steps that it could read ahead of.
                PolicyKind::Stride => assert_eq!(did.windows, 0, "{pair:?} {place:?}: {did:?}"),
                // On large folios windows are left to the reader.
                _ if place == Place::Disk && pair.mode == Mode::Marker => {}
                _ => assert!(did.windows > 0, "{pair:?} {place:?} did nothing: {did:?}"),
            }
            ran += 1;
        }
    }
    println!("{ran} pairs ran");
    assert!(ran > 0, "no pair ran");
}
