//! Random sequences of read(2): after each call, the model and the running kernel have the same pages
//! in the page cache.
//!
//! It fails when a rule of read-ahead is wrong or left out.

mod live;

use std::os::unix::fs::FileExt;

use live::{Bed, Difference, PAGE, PAGES, Rng, agreement, same_residents};
use mmap_ahead::lab::LiveMap;
use mmap_ahead_sim::kernel::{FileId, Kernel, ReadEnd};

const SEQUENCES: u64 = 200;
const STEPS: usize = 60;
const LENGTHS: [usize; 9] = [100, 4096, 4096, 4096, 8192, 16384, 65536, 131_072, 1 << 20];

/// Three interleaved readers of one open file, that go on, jump, and step back.
struct Readers {
    rng: Rng,
    at: [usize; 3],
}

impl Readers {
    fn new(seed: u64) -> Readers {
        let mut rng = Rng(seed);
        let mut at = [0; 3].map(|_| rng.below(PAGES) * PAGE as usize);
        if rng.below(10) < 3 {
            at[0] = 0;
        }
        Readers { rng, at }
    }

    /// Where the next read begins, and its length.
    fn next(&mut self) -> (usize, usize) {
        let (kind, reader) = (self.rng.below(10), self.rng.below(3));
        let len = self.rng.pick(&LENGTHS);
        let from = match kind {
            0..6 => self.at[reader],
            6..8 => self.rng.below(PAGES) * PAGE as usize + self.rng.pick(&[0, 0, 77]),
            _ => self.at[reader].saturating_sub(self.rng.below(64) * PAGE as usize),
        };
        let from = if from >= PAGES * PAGE as usize { 0 } else { from };
        self.at[reader] = from + len;
        (from, len)
    }
}

fn compare(bed: &Bed, seed: u64) -> Result<(), Difference> {
    let (file, options) = bed.open();
    let live = LiveMap::new(&file, PAGES, 0).unwrap();
    let mut kernel = Kernel::new(options);
    let mut readers = Readers::new(seed);
    let mut buffer = vec![0; 1 << 20];
    for step in 0..STEPS {
        let (from, len) = readers.next();
        file.read_at(&mut buffer[..len], from as u64).unwrap();
        let mut reading = kernel.read(FileId::MAPPED, from as u64..(from + len) as u64);
        while kernel.read_on(&mut reading).end != ReadEnd::Done {}
        same_residents(bed, &live, &kernel).map_err(|what| {
            let what = format!("{len} bytes from page {}: {what}", from as f64 / PAGE as f64);
            Difference { step, what, is_major_count: false }
        })?;
    }
    Ok(())
}

#[test]
fn read_leaves_the_pages_in_the_cache_that_the_model_says() {
    let Some(bed) = Bed::find() else { return };
    println!("read-ahead and largest request in pages: {:?}", bed.settings());
    let all = agreement(SEQUENCES, |seed| compare(&bed, seed));
    assert!(all.agree * 100 >= SEQUENCES * 95, "{all:?} of {SEQUENCES}");
}
