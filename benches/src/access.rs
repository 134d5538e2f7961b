//! Reads the steps of a pattern through one engine.

mod by_threads;
mod copies;
mod direct;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mmap_ahead::lab::{self, DirectFile};
use mmap_ahead::{
    BUDGET_DEFAULT, Faults, Mmap, MmapOptions, Mode, Paged, PagedOptions, PolicyKind, Reader,
    RecordedSet,
};

use crate::checksum::Checksum;
use crate::engine::Engine;
use crate::job::Job;
use crate::result::Quality;
use crate::steps::{SEQ_STEP_LEN, Step, Steps};

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many bytes, repetitions counted.
    pub bytes: u64,
    /// How many steps.
    pub steps: u64,
    /// The checksum over all of it.
    pub checksum: Checksum,
}

impl Tally {
    /// What two readers read together.
    fn and(self, other: Tally) -> Tally {
        Tally {
            bytes: self.bytes + other.bytes,
            steps: self.steps + other.steps,
            checksum: self.checksum.and(other.checksum),
        }
    }

    #[inline]
    fn add(&mut self, step: Step, bytes: &[u8]) {
        self.checksum.add(step.offset, bytes);
        self.bytes += step.len;
        self.steps += 1;
    }
}

/// How our own engines are set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// What is read ahead.
    pub policy: PolicyKind,
    /// What `paged` may use, in bytes.
    pub memory_limit: u64,
    /// Where the recorded set of `mmap+replay` is.
    pub set: Option<PathBuf>,
}

impl Default for Setup {
    /// The default policy, and 32 MiB, to show that `paged` takes no more.
    fn default() -> Setup {
        Setup { policy: PolicyKind::default(), memory_limit: 32 << 20, set: None }
    }
}

/// A file, open through an engine.
#[derive(Debug)]
pub struct Access(Opened);

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of them at a time")]
enum Opened {
    Read { file: File, buffer: Vec<u8> },
    Buffered { reader: BufReader<File>, buffer: Vec<u8> },
    Peer(memmap2::Mmap),
    Rayon(memmap2::Mmap),
    Ours(Mmap),
    Reader { reader: Reader, buffer: Vec<u8> },
    Paged(Paged),
    Direct(DirectFile),
}

impl Access {
    /// Opens the file as the engine does; everything from here on is part of a run's time.
    ///
    /// # Errors
    /// The engine's own; [`ErrorKind::Unsupported`] for `direct` on a file system in memory.
    pub fn open(engine: Engine, path: &Path, setup: Setup) -> io::Result<Access> {
        let Setup { policy, memory_limit, set } = setup;
        let ours = |mode: Mode| {
            let mut options = MmapOptions::new();
            options.mode(mode).policy(policy);
            lab::map_file(&File::open(path)?, &options).map(Opened::Ours)
        };
        let paged = |faults: Faults| {
            let options = PagedOptions::new().policy(policy).memory_limit(memory_limit);
            lab::open_paged(path, &options.faults(faults)).map(Opened::Paged)
        };
        let buffer = || vec![0; SEQ_STEP_LEN as usize];
        Ok(Access(match engine {
            Engine::Read(len) => {
                Opened::Read { file: File::open(path)?, buffer: vec![0; len as usize] }
            }
            Engine::BufReader => {
                Opened::Buffered { reader: BufReader::new(File::open(path)?), buffer: buffer() }
            }
            Engine::Rayon => Opened::Rayon(lab::map_peer(&File::open(path)?, lab::Peer::Plain)?),
            Engine::Memmap2(peer) => Opened::Peer(lab::map_peer(&File::open(path)?, peer)?),
            Engine::Mmap => ours(Mode::Auto)?,
            Engine::MmapGuard => ours(Mode::Guard)?,
            Engine::MmapReplay => Opened::Ours(replay(path, policy, set.as_deref())?),
            Engine::Reader => Opened::Reader { reader: Reader::open(path)?, buffer: buffer() },
            Engine::Paged => paged(Faults::ServiceThread)?,
            Engine::PagedFaulting => paged(Faults::OnFaultingThread)?,
            Engine::Direct => Opened::Direct(direct::open(path)?),
        }))
    }

    /// Takes every step and sums every byte of it.
    ///
    /// # Errors
    /// Those of the engine, and when the file has become shorter than the steps.
    pub fn sum(&mut self, steps: Steps) -> io::Result<Tally> {
        match &mut self.0 {
            Opened::Direct(file) => direct::sum(file, steps),
            Opened::Peer(map) => sum_slice(map, steps),
            Opened::Rayon(map) => by_threads::sum_rayon(map, steps),
            Opened::Buffered { reader, .. } if steps.is_one_run() => {
                copies::sum_lent(reader, steps)
            }
            Opened::Buffered { reader, buffer } => copies::sum(steps, buffer, |piece, offset| {
                copies::seek_and_read(reader, piece, offset)
            }),
            Opened::Ours(map) => sum_slice(map, steps),
            Opened::Paged(map) => sum_slice(map, steps),
            Opened::Read { file, buffer } => {
                copies::sum(steps, buffer, |piece, offset| file.read_exact_at(piece, offset))
            }
            Opened::Reader { reader, .. } if steps.is_one_run() => copies::sum_lent(reader, steps),
            Opened::Reader { reader, buffer } => copies::sum(steps, buffer, |piece, offset| {
                copies::read_exact_at(reader, piece, offset)
            }),
        }
    }

    /// [`sum`](Access::sum) one step after the other, never two of them as one: for whoever watches
    /// the steps.
    ///
    /// # Errors
    /// As [`sum`](Access::sum); [`ErrorKind::Unsupported`] for engines that read many at once.
    pub fn sum_each(&mut self, steps: impl Iterator<Item = Step>) -> io::Result<Tally> {
        match &mut self.0 {
            Opened::Peer(map) => sum_slice(map, steps),
            Opened::Ours(map) => sum_slice(map, steps),
            Opened::Paged(map) => sum_slice(map, steps),
            Opened::Read { file, buffer } => {
                copies::sum(steps, buffer, |piece, offset| file.read_exact_at(piece, offset))
            }
            Opened::Reader { reader, buffer } => copies::sum(steps, buffer, |piece, offset| {
                copies::read_exact_at(reader, piece, offset)
            }),
            Opened::Buffered { reader, buffer } => copies::sum(steps, buffer, |piece, offset| {
                copies::seek_and_read(reader, piece, offset)
            }),
            Opened::Rayon(_) | Opened::Direct(_) => {
                Err(io::Error::new(ErrorKind::Unsupported, "it reads many steps at once"))
            }
        }
    }

    /// [`sum`](Access::sum) by several threads, each of which takes every `threads`th step.
    ///
    /// # Errors
    /// As [`sum`](Access::sum); [`ErrorKind::Unsupported`] for engines that have one cursor.
    pub fn sum_by(&mut self, steps: &Steps, threads: usize) -> io::Result<Tally> {
        match &self.0 {
            _ if threads <= 1 => self.sum(steps.clone()),
            Opened::Peer(map) => by_threads::sum(steps, threads, |part| sum_slice(map, part)),
            Opened::Ours(map) => by_threads::sum(steps, threads, |part| sum_slice(map, part)),
            Opened::Paged(map) => by_threads::sum(steps, threads, |part| sum_slice(map, part)),
            Opened::Read { file, buffer } => by_threads::sum(steps, threads, |part| {
                let buffer = &mut vec![0; buffer.len()];
                copies::sum(part, buffer, |piece, offset| file.read_exact_at(piece, offset))
            }),
            Opened::Rayon(_) => {
                let words = "rayon shares them out itself: no --threads";
                Err(io::Error::new(ErrorKind::Unsupported, words))
            }
            Opened::Reader { .. } | Opened::Buffered { .. } | Opened::Direct(_) => {
                let words = "it has one cursor: no threads";
                Err(io::Error::new(ErrorKind::Unsupported, words))
            }
        }
    }

    /// Does a job over the whole file as one slice.
    ///
    /// # Errors
    /// Those of the engine and of the job; [`ErrorKind::Unsupported`] for engines that lend no
    /// slice of the whole file. `read` copies all of it into memory first, as programs do.
    pub fn work(&mut self, job: Job) -> io::Result<Tally> {
        let of = |bytes: &[u8]| {
            let mut checksum = Checksum::default();
            checksum.add(0, &job.work(bytes)?.to_le_bytes());
            Ok(Tally { bytes: bytes.len() as u64, steps: 1, checksum })
        };
        match &mut self.0 {
            Opened::Peer(map) => of(map),
            Opened::Ours(map) => of(map),
            Opened::Paged(map) => of(map),
            Opened::Read { file, .. } => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes)?;
                of(&bytes)
            }
            Opened::Buffered { .. }
            | Opened::Rayon(_)
            | Opened::Reader { .. }
            | Opened::Direct(_) => {
                let words = "it lends no slice of the whole file: no --job";
                Err(io::Error::new(ErrorKind::Unsupported, words))
            }
        }
    }

    /// Whether reading ahead helped, as our own mapping says; none for the others.
    #[must_use]
    pub fn quality(&self) -> Option<Quality> {
        let Opened::Ours(map) = &self.0 else { return None };
        let stats = map.stats();
        Some(Quality {
            accuracy: stats.accuracy(),
            coverage: stats.coverage(),
            timeliness: stats.timeliness(),
        })
    }

    /// What the engine says it did; empty for the peers.
    #[must_use]
    pub fn stats(&self) -> Vec<(&'static str, u64)> {
        match &self.0 {
            Opened::Ours(map) => map.stats().fields(),
            Opened::Paged(map) => map.stats().fields(),
            Opened::Reader { reader, .. } => {
                let stats = reader.stats();
                vec![
                    ("reads", stats.reads),
                    ("waits", stats.waits),
                    ("ahead_bytes", stats.ahead_bytes),
                    ("pread_bytes", stats.pread_bytes),
                    ("direct_bytes", stats.direct_bytes),
                ]
            }
            Opened::Read { .. }
            | Opened::Buffered { .. }
            | Opened::Peer(_)
            | Opened::Rayon(_)
            | Opened::Direct(_) => Vec::new(),
        }
    }
}

/// Maps the file and has all of the set read, without waiting for it. The budget is that of the set, for
/// what else is read ahead too.
fn replay(path: &Path, policy: PolicyKind, set: Option<&Path>) -> io::Result<Mmap> {
    let words = "it needs a recorded set of the same steps";
    let set = set.ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, words))?;
    let set = RecordedSet::load(set)?;
    let mut options = MmapOptions::new();
    options.policy(policy).budget(set.bytes().max(BUDGET_DEFAULT.0));
    let map = lab::map_file(&File::open(path)?, &options)?;
    // It goes on when the handle is dropped.
    map.replay(&set)?;
    Ok(map)
}

/// Takes every step of a mapping that is recorded, and writes down what was touched.
///
/// # Errors
/// Those of the mapping, and of the file that is written.
pub fn record(path: &Path, steps: Steps, to: &Path) -> io::Result<Tally> {
    let map = lab::map_file(&File::open(path)?, MmapOptions::new().record())?;
    let tally = sum_slice(&map, steps)?;
    map.recorded()?.save(to)?;
    Ok(tally)
}

/// The reader of a mapping: it does not cooperate, it only reads.
fn sum_slice(map: &[u8], steps: impl Iterator<Item = Step>) -> io::Result<Tally> {
    let mut tally = Tally::default();
    for step in steps {
        let range = step.range();
        let bytes = map.get(range.start as usize..range.end as usize);
        tally.add(step, bytes.ok_or(ErrorKind::UnexpectedEof)?);
    }
    Ok(tally)
}
