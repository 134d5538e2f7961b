//! A thread that looks at the cache and at this process's memory while the run goes on.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mmap_ahead::lab::{self, Peer};

use crate::Error;

/// Between two looks, at least; and as long as a look took, so that looking does not become the run.
const PAUSE: Duration = Duration::from_micros(500);

/// Pages that are looked at together, where something has changed: 2 MiB of small pages.
const CHUNK: usize = 512;

/// What one look saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    /// When.
    pub(super) at: Duration,
    /// Pages, in runs, that the cache has taken in since the look before: first and end.
    pub(super) taken_in: Vec<(u64, u64)>,
    /// The first and the end of all pages that the cache holds; equal when it holds none.
    pub(super) bounds: (u64, u64),
    /// Resident memory of this process, in bytes.
    pub(super) resident_bytes: u64,
    /// What the cache holds of the file, in bytes.
    pub(super) cached_bytes: u64,
}

/// All looks of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub(super) pages: u64,
    pub(super) page_bytes: u64,
    pub(super) looks: Vec<Look>,
}

/// The thread.
pub(super) struct Sampler {
    start: Instant,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Held, Error>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Pages,
    Memory,
}

impl Sampler {
    /// Looks at each page of the file.
    pub(super) fn of_pages(path: &Path) -> Result<Sampler, Error> {
        Sampler::new(path, Of::Pages)
    }

    /// Looks at memory only, which costs next to nothing.
    pub(super) fn of_memory(path: &Path) -> Result<Sampler, Error> {
        Sampler::new(path, Of::Memory)
    }

    fn new(path: &Path, of: Of) -> Result<Sampler, Error> {
        let file = File::open(path).map_err(Error::at(path))?;
        // A mapping of our own that is never touched.
        let map = lab::map_peer(&file, Peer::Plain).map_err(Error::at(path))?;
        let (path, stop) = (path.to_owned(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let page_bytes = rustix::param::page_size();
        let before = vec![0; map.len().div_ceil(page_bytes)];
        let counts = vec![0; before.len().div_ceil(CHUNK)];
        let mut watcher = Watcher { file, map, of, before, counts };
        let mut held = Held {
            pages: watcher.before.len() as u64,
            page_bytes: page_bytes as u64,
            looks: vec![],
        };
        // What is there before the run is nobody's fetching.
        watcher.look(Duration::ZERO).map_err(Error::at(&path))?;
        let start = Instant::now();
        let thread = thread::spawn(move || {
            loop {
                // Read first, so that the last look is after the run's end.
                let last = stopped.load(Ordering::Acquire);
                let at = start.elapsed();
                held.looks.push(watcher.look(at).map_err(Error::at(&path))?);
                if last {
                    return Ok(held);
                }
                thread::sleep(PAUSE.max(start.elapsed() - at));
            }
        });
        Ok(Sampler { start, stop, thread })
    }

    /// When its clock began.
    pub(super) fn start(&self) -> Instant {
        self.start
    }

    /// One look more, and all of them.
    pub(super) fn stop(self) -> Result<Held, Error> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

struct Watcher {
    file: File,
    map: memmap2::Mmap,
    of: Of,
    /// For each page whether it was held at the last look.
    before: Vec<u8>,
    /// How many pages of each chunk were.
    counts: Vec<u64>,
}

impl Watcher {
    fn look(&mut self, at: Duration) -> io::Result<Look> {
        let page_bytes = rustix::param::page_size() as u64;
        let mut look = Look { at, ..Look::default() };
        if self.of == Of::Pages {
            let chunks = 0..self.counts.len();
            let mut new = Vec::new();
            chunks.into_iter().try_for_each(|chunk| self.look_at(chunk, &mut new))?;
            look.taken_in = runs(new.into_iter());
            let held = |bits: &u8| bits & 1 == 1;
            let first = self.before.iter().position(held).unwrap_or(0);
            let end = self.before.iter().rposition(held).map_or(first, |last| last + 1);
            look.bounds = (first as u64, end as u64);
        }
        look.resident_bytes = resident_pages() * page_bytes;
        // Not told to strangers and by old kernels: then nothing is known, and 0 is drawn.
        look.cached_bytes =
            lab::cached(&self.file).map_or(0, |view| view.cached_pages * page_bytes);
        Ok(look)
    }

    /// Adds to `new` the pages of a chunk that were not held before. One cheap question tells
    /// whether there is any; where the kernel does not answer it, every page is asked for.
    fn look_at(&mut self, chunk: usize, new: &mut Vec<usize>) -> io::Result<()> {
        let page_bytes = rustix::param::page_size();
        let pages = chunk * CHUNK..((chunk + 1) * CHUNK).min(self.before.len());
        if self.counts[chunk] == pages.len() as u64 {
            return Ok(());
        }
        let bytes = pages.start * page_bytes..(pages.end * page_bytes).min(self.map.len());
        let asked = lab::cached_in(&self.file, bytes.start as u64..bytes.end as u64);
        let count = asked.map(|view| view.cached_pages).ok();
        if count.is_some_and(|count| count == self.counts[chunk]) {
            return Ok(());
        }
        let mut now = vec![0; pages.len()];
        lab::held_pages(&self.map, bytes, &mut now)?;
        let held = &mut self.before[pages.clone()];
        new.extend(pages.filter(|page| now[page % CHUNK] & 1 > held[page % CHUNK] & 1));
        self.counts[chunk] = now.iter().map(|bits| u64::from(bits & 1)).sum();
        held.copy_from_slice(&now);
        Ok(())
    }
}

/// Ascending numbers as runs: first and end.
pub(super) fn runs(pages: impl Iterator<Item = usize>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for page in pages.map(|page| page as u64) {
        match runs.last_mut() {
            Some((_, end)) if *end == page => *end += 1,
            _ => runs.push((page, page + 1)),
        }
    }
    runs
}

/// Source: proc_pid_statm(5), the second number.
fn resident_pages() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|count| count.parse().ok()).unwrap_or(0)
}
