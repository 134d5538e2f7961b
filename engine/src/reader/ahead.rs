//! Keeping the disk busy ahead of a forward run.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::FILE_BUFFER_LEN;
use super::reach::Reach;
use super::trial::Trial;
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

/// What is asked of the disk, and when: only ahead of a forward run that met an uncached page, and
/// only where that proved faster.
#[derive(Debug)]
pub(super) struct Disk {
    /// Where the next read starts if it goes on with the run.
    expected: u64,
    run: Run,
    /// Looked up when a run first has to wait.
    reach: Option<Reach>,
    trial: Trial,
    /// What the trial's time is counted from.
    epoch: Instant,
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
    Cold { asked: u64, distance: u64, cached: u64 },
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
            reach: None,
            trial: Trial::Kernel { from: 0, since: Duration::ZERO },
            epoch: Instant::now(),
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
            self.run = Run::Warm;
        }
        if let Run::Warm = self.run {
            if !self.worth_it(file, offset) {
                return 0;
            }
            self.run = Run::Cold { asked: offset, distance: DISTANCE_MIN, cached: 0 };
            self.trial.begin(offset, self.epoch.elapsed());
        }
        self.ask(file, offset)
    }

    /// Whether the read at `offset` goes on with a run, beyond what one read brings in, on a disk
    /// that the kernel does not keep busy by itself.
    fn worth_it(&mut self, file: &File, offset: u64) -> bool {
        if offset != self.expected || self.reach == Some(Reach::Far) || self.trial == Trial::Lost {
            return false;
        }
        let Ok(metadata) = file.metadata() else {
            return false;
        };
        if metadata.len() <= offset + FILE_BUFFER_LEN as u64 {
            return false;
        }
        *self.reach.get_or_insert_with(|| Reach::of(&metadata)) == Reach::Near
    }

    /// A read from `start` to `end` is done. Returns how many bytes were asked for.
    pub(super) fn read(&mut self, file: &File, start: u64, end: u64) -> u64 {
        if start != self.expected {
            self.run = Run::Warm;
        }
        self.expected = end;
        if let Run::Cold { .. } = self.run {
            self.trial.reached(end, self.epoch.elapsed());
        }
        self.ask(file, end)
    }

    /// Asks for what lies ahead of `offset`, once a whole step of it was not asked for yet.
    fn ask(&mut self, file: &File, offset: u64) -> u64 {
        let Run::Cold { asked, distance, mut cached } = self.run else {
            return 0;
        };
        if !self.trial.asks() {
            return 0;
        }
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
        self.run = if warm { Run::Warm } else { Run::Cold { asked, distance, cached } };
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
        let last_page = range.end.saturating_sub(page_size().bytes()).max(range.start);
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A disk whose kernel reads ahead little and slowly, whatever this machine's does.
    fn near() -> Disk {
        Disk { reach: Some(Reach::Near), trial: Trial::Won, ..Disk::new() }
    }

    fn file_of(len: usize) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![1; len]).unwrap();
        file
    }

    /// Fresh pages are in the page cache: all of them count as cached, and nothing is asked for.
    #[test]
    fn cached_pages_are_not_asked_for_and_end_the_run() {
        let file = file_of(20 << 20);
        let mut disk = near();
        assert_eq!(disk.missed(&file, 0, Now::Wait), 0);
        assert!(matches!(disk.run, Run::Cold { .. }), "{disk:?}");
        for offset in (0..20 << 20).step_by(FILE_BUFFER_LEN) {
            assert_eq!(disk.read(&file, offset, offset + FILE_BUFFER_LEN as u64), 0);
        }
        assert!(matches!(disk.run, Run::Warm), "{disk:?}");
    }

    #[test]
    fn a_run_stays_within_its_distance_of_the_offset_and_within_the_file() {
        let file = file_of(10 << 20);
        let mut disk = near();
        disk.missed(&file, 0, Now::Wait);
        let mut offset = 0;
        while let Run::Cold { asked, distance, .. } = disk.run {
            assert!(asked <= (offset + distance).min(10 << 20), "{disk:?} at {offset}");
            assert!(distance <= DISTANCE_MAX && disk.step <= STEP_MAX);
            disk.read(&file, offset, offset + 100_000);
            offset += 100_000;
        }
        assert!(offset > 0);
    }

    #[test]
    fn a_jump_ends_the_run_and_starts_none() {
        let file = file_of(4 << 20);
        let mut disk = near();
        disk.missed(&file, 1 << 20, Now::Wait);
        assert!(matches!(disk.run, Run::Warm), "the first read is not where a run would start");
        disk.missed(&file, 0, Now::Wait);
        assert!(matches!(disk.run, Run::Cold { .. }));
        disk.read(&file, 2 << 20, 3 << 20);
        assert!(matches!(disk.run, Run::Warm), "it went elsewhere");
        disk.missed(&file, 3 << 20, Now::Wait);
        assert!(matches!(disk.run, Run::Cold { .. }), "the second read in a row");
        disk.missed(&file, 0, Now::Wait);
        assert!(matches!(disk.run, Run::Warm));
    }

    #[test]
    fn nothing_is_asked_where_it_cannot_help() {
        let short = file_of(FILE_BUFFER_LEN);
        let mut disk = near();
        disk.missed(&short, 0, Now::Wait);
        assert!(matches!(disk.run, Run::Warm), "one read brings all of it in");
        let file = file_of(4 << 20);
        let mut far = Disk { reach: Some(Reach::Far), ..Disk::new() };
        far.missed(&file, 0, Now::Wait);
        assert!(matches!(far.run, Run::Warm), "the kernel is left alone");
    }

    #[test]
    fn steps_grow_while_they_are_granted() {
        let mut disk = near();
        disk.grow(&(0..disk.step / 2));
        assert_eq!(disk.step, STEP_MIN, "half a step proves nothing");
        for expected in [256 << 10, 512 << 10, 1 << 20, 2 << 20, 2 << 20] {
            disk.grow(&(0..disk.step));
            assert_eq!(disk.step, expected);
        }
    }
}
