//! A thread that looks at the cache and at this process's memory while the run goes on.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mmap_ahead::lab::{self, Peer};

use crate::Error;

/// Between two looks, at least; and four times what a look took, so that a look at a big file
/// does not become the run.
const PAUSE: Duration = Duration::from_millis(1);

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
        let mut watcher =
            Watcher { file, before: vec![0; map.len().div_ceil(page_bytes)], map, of };
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
                thread::sleep(PAUSE.max(4 * (start.elapsed() - at)));
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
    before: Vec<u8>,
}

impl Watcher {
    fn look(&mut self, at: Duration) -> std::io::Result<Look> {
        let page_bytes = rustix::param::page_size() as u64;
        let mut look = Look { at, ..Look::default() };
        if self.of == Of::Pages {
            let mut now = vec![0; self.before.len()];
            lab::held_pages(&self.map, &mut now)?;
            let new = |page: usize| now[page] & 1 > self.before[page] & 1;
            look.taken_in = runs((0..now.len()).filter(|page| new(*page)));
            let held = |bits: &u8| bits & 1 == 1;
            let first = now.iter().position(held).unwrap_or(0);
            let end = now.iter().rposition(held).map_or(first, |last| last + 1);
            look.bounds = (first as u64, end as u64);
            self.before = now;
        }
        look.resident_bytes = resident_pages() * page_bytes;
        // Not told to strangers and by old kernels: then nothing is known, and 0 is drawn.
        look.cached_bytes =
            lab::cached(&self.file).map_or(0, |view| view.cached_pages * page_bytes);
        Ok(look)
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
