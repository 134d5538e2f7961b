//! Keeping the disk busy ahead of a forward run.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;

use crate::sys::{Now, cache_view, page_size, read_ahead};

/// The least that one call asks for: 128 KiB, what the kernel grants on every disk (its usual
/// `read_ahead_kb`).
const STEP_MIN: u64 = 128 << 10;

/// The most that one call asks for: 2 MiB, the size of a large folio. A guess.
const STEP_MAX: u64 = 2 << 20;

/// How far ahead of the offset a run begins to ask: 512 KiB. A guess: four of the least steps.
const DISTANCE_MIN: u64 = 512 << 10;

/// How far ahead of the offset it asks at most: 8 MiB.
///
/// Measured: reads in flight of this size come within a tenth of the development machine's disk.
const DISTANCE_MAX: u64 = 8 << 20;

/// What is asked of the disk, and when: only ahead of a forward run that met an uncached page.
#[derive(Debug)]
pub(super) struct Disk {
    /// Where the next read starts if it goes on with the run.
    expected: u64,
    run: Run,
    /// Whether the kernel says which reads have to wait.
    now: bool,
    /// How much the next call asks for.
    step: u64,
    /// Halved whenever the kernel cut a call.
    step_limit: u64,
}

#[derive(Debug)]
enum Run {
    /// Nothing is asked for: the pages are cached, or the reads jump.
    Warm,
    /// The pages up to `asked` were asked for or found cached; the last `cached` bytes were cached.
    Cold {
        asked: u64,
        distance: u64,
        cached: u64,
    },
}

/// What the page cache holds of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cached {
    All,
    NotAll,
    Unknown,
}

impl Disk {
    pub(super) fn new() -> Disk {
        Disk {
            expected: 0,
            run: Run::Warm,
            now: true,
            step: STEP_MIN,
            step_limit: STEP_MAX,
        }
    }

    /// Whether asking for what can be read without waiting gets an answer.
    pub(super) fn tells(&self) -> bool {
        self.now
    }

    /// A read at `offset` has to wait. Returns how many bytes were asked for.
    pub(super) fn missed(&mut self, file: &File, offset: u64, now: Now) -> u64 {
        if now == Now::Unknown {
            self.now = false;
        }
        if offset != self.expected {
            return 0;
        }
        if let Run::Warm = self.run {
            self.run = Run::Cold {
                asked: offset,
                distance: DISTANCE_MIN,
                cached: 0,
            };
        }
        self.ask(file, offset)
    }

    /// A read from `start` to `end` is done. Returns how many bytes were asked for.
    pub(super) fn read(&mut self, file: &File, start: u64, end: u64) -> u64 {
        if start != self.expected {
            self.run = Run::Warm;
        }
        self.expected = end;
        self.ask(file, end)
    }

    /// Asks for what lies ahead of `offset`, once a whole step of it was not asked for yet.
    fn ask(&mut self, file: &File, offset: u64) -> u64 {
        let Run::Cold {
            asked,
            distance,
            mut cached,
        } = self.run
        else {
            return 0;
        };
        let mut asked = asked.max(offset);
        if asked + self.step > offset + distance {
            return 0;
        }
        let len = file.metadata().map_or(0, |metadata| metadata.len());
        let goal = len.min(offset + distance);
        let mut bytes = 0;
        while asked < goal {
            let range = asked..goal.min(asked + self.step);
            match self.ask_step(file, &range) {
                Step::Asked(end) => (bytes, asked, cached) = (bytes + end - asked, end, 0),
                Step::Cached => (asked, cached) = (range.end, cached + range.end - range.start),
                Step::Refused => asked = goal,
            }
        }
        let distance = (distance * 2).min(DISTANCE_MAX);
        let warm = cached >= DISTANCE_MAX;
        self.run = if warm {
            Run::Warm
        } else {
            Run::Cold {
                asked,
                distance,
                cached,
            }
        };
        bytes
    }

    /// Asks for one step unless it is cached, and learns how much the kernel grants a call.
    fn ask_step(&mut self, file: &File, range: &Range<u64>) -> Step {
        if cached(file, range) == Cached::All {
            self.grow(range);
            return Step::Cached;
        }
        if read_ahead(file, range.start, range.end - range.start).is_err() {
            return Step::Refused;
        }
        let last_page = range
            .end
            .saturating_sub(page_size().bytes())
            .max(range.start);
        match cached(file, &(last_page..range.end)) {
            Cached::All => self.grow(range),
            Cached::NotAll if self.step > STEP_MIN => {
                self.step /= 2;
                self.step_limit = self.step;
                return Step::Asked(range.end.min(range.start + self.step));
            }
            Cached::NotAll | Cached::Unknown => {}
        }
        Step::Asked(range.end)
    }

    fn grow(&mut self, granted: &Range<u64>) {
        if granted.end - granted.start == self.step {
            self.step = (self.step * 2).min(self.step_limit);
        }
    }
}

enum Step {
    /// The disk was asked up to here.
    Asked(u64),
    /// The page cache holds all of it.
    Cached,
    /// The file system knows no read-ahead.
    Refused,
}

fn cached(file: &File, range: &Range<u64>) -> Cached {
    let page = page_size().bytes();
    let pages = range.end.div_ceil(page) - range.start / page;
    match cache_view(file.as_raw_fd(), range.start, range.end - range.start) {
        Ok(view) if view.cached_pages >= pages => Cached::All,
        Ok(_) => Cached::NotAll,
        Err(_) => Cached::Unknown,
    }
}
