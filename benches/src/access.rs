//! Reads the steps of a pattern through one engine.

use std::fs::File;
use std::io::{self, BufRead, ErrorKind};
use std::iter::{Peekable, Skip, StepBy};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use mmap_ahead::lab::{self, Depth, DirectFile};
use mmap_ahead::{
    BUDGET_DEFAULT, Mmap, MmapOptions, Mode, Paged, PagedOptions, PolicyKind, Reader, RecordedSet,
};

use crate::checksum::Checksum;
use crate::device;
use crate::engine::Engine;
use crate::result::Quality;
use crate::steps::{SEQ_STEP_LEN, STEP_LEN, Step, Steps};

/// The longest direct read: 2 MiB, as `Reader`'s and the probe's.
const DIRECT_LEN_MAX: u64 = 2 << 20;

/// The memory of direct reads: 32 MiB, as the probe's.
const DIRECT_MEMORY: u64 = 32 << 20;

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
enum Opened {
    Read { file: File, buffer: Vec<u8> },
    Peer(memmap2::Mmap),
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
        let buffer = || vec![0; SEQ_STEP_LEN as usize];
        Ok(Access(match engine {
            Engine::Read => Opened::Read { file: File::open(path)?, buffer: buffer() },
            Engine::Memmap2(peer) => Opened::Peer(lab::map_peer(&File::open(path)?, peer)?),
            Engine::Mmap => ours(Mode::Auto)?,
            Engine::MmapGuard => ours(Mode::Guard)?,
            Engine::MmapReplay => Opened::Ours(replay(path, policy, set.as_deref())?),
            Engine::Reader => Opened::Reader { reader: Reader::open(path)?, buffer: buffer() },
            Engine::Paged => {
                let options = PagedOptions::new().policy(policy).memory_limit(memory_limit);
                Opened::Paged(lab::open_paged(path, &options)?)
            }
            Engine::Direct => Opened::Direct(open_direct(path)?),
        }))
    }

    /// Takes every step and sums every byte of it.
    ///
    /// # Errors
    /// Those of the engine, and when the file has become shorter than the steps.
    pub fn sum(&mut self, steps: Steps) -> io::Result<Tally> {
        match &mut self.0 {
            Opened::Direct(file) => sum_direct(file, steps),
            Opened::Peer(map) => sum_slice(map, steps),
            Opened::Ours(map) => sum_slice(map, steps),
            Opened::Paged(map) => sum_slice(map, steps),
            Opened::Read { file, buffer } => {
                sum_copies(steps, buffer, |piece, offset| file.read_exact_at(piece, offset))
            }
            Opened::Reader { reader, .. } if steps.is_one_run() => sum_lent(reader, steps),
            Opened::Reader { reader, buffer } => {
                sum_copies(steps, buffer, |piece, offset| read_exact_at(reader, piece, offset))
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
            Opened::Peer(map) => by_threads(steps, threads, |part| sum_slice(map, part)),
            Opened::Ours(map) => by_threads(steps, threads, |part| sum_slice(map, part)),
            Opened::Paged(map) => by_threads(steps, threads, |part| sum_slice(map, part)),
            Opened::Read { file, .. } => by_threads(steps, threads, |part| {
                let buffer = &mut vec![0; SEQ_STEP_LEN as usize];
                sum_copies(part, buffer, |piece, offset| file.read_exact_at(piece, offset))
            }),
            Opened::Reader { .. } | Opened::Direct(_) => {
                let words = "it has one cursor: no threads";
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
            Opened::Read { .. } | Opened::Peer(_) | Opened::Direct(_) => Vec::new(),
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

/// Direct reads are refused where there is nothing to go past: since Linux 6.6 tmpfs takes O_DIRECT
/// and copies from memory.
fn open_direct(path: &Path) -> io::Result<DirectFile> {
    let kind = device::file_system(path).map_err(io::Error::other)?;
    if device::is_memory(&kind) {
        let words = format!("lies on {kind}, which has no disk for `direct` to read from");
        return Err(io::Error::new(ErrorKind::Unsupported, words));
    }
    DirectFile::open(path)
}

/// Whoever knows all steps beforehand and keeps the disk as busy as it can be.
fn sum_direct(file: &DirectFile, steps: Steps) -> io::Result<Tally> {
    let mut tally = Tally::default();
    let mut count = 0;
    let depth = direct_depth(&steps);
    let whole = if steps.is_one_run() { DIRECT_LEN_MAX } else { 0 };
    let ranges = Merged { steps: steps.inspect(|_| count += 1).peekable(), len_max: whole };
    file.read(ranges, depth, |offset, bytes| {
        tally.checksum.add(offset, bytes);
        tally.bytes += bytes.len() as u64;
    })?;
    tally.steps = count;
    Ok(tally)
}

/// 32 reads at once of what a step reads; fewer and longer ones where that is much or one run.
fn direct_depth(steps: &Steps) -> Depth {
    let step_len = steps.touch().saturating_add(STEP_LEN).next_power_of_two();
    let buffer_len = if steps.is_one_run() { DIRECT_LEN_MAX } else { step_len.min(DIRECT_LEN_MAX) };
    let buffers = (DIRECT_MEMORY / buffer_len).clamp(2, 64) as usize;
    Depth { reads: (buffers - 1).min(32), buffers, buffer_len: buffer_len as usize }
}

/// Steps that adjoin each other, as one range of at most `len_max` bytes (or one step).
struct Merged<S: Iterator<Item = Step>> {
    steps: Peekable<S>,
    len_max: u64,
}

impl<S: Iterator<Item = Step>> Iterator for Merged<S> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        let mut range = self.steps.next()?.range();
        let fits = |range: &Range<u64>, step: &Step| {
            step.offset == range.end && step.range().end - range.start <= self.len_max
        };
        while let Some(step) = self.steps.next_if(|step| fits(&range, step)) {
            range.end = step.range().end;
        }
        Some(range)
    }
}

/// Every `threads`th step to each thread.
fn by_threads(
    steps: &Steps,
    threads: usize,
    sum: impl Fn(StepBy<Skip<Steps>>) -> io::Result<Tally> + Sync,
) -> io::Result<Tally> {
    let sum = &sum;
    let tallies: Vec<_> = thread::scope(|scope| {
        let part = |first| steps.clone().skip(first).step_by(threads);
        let spawn = |first| scope.spawn(move || sum(part(first)));
        let running: Vec<_> = (0..threads).map(spawn).collect();
        let joined = running.into_iter().map(|thread| thread.join());
        joined.map(|tally| tally.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    tallies.into_iter().try_fold(Tally::default(), |all, tally| {
        let tally = tally?;
        Ok(Tally {
            bytes: all.bytes + tally.bytes,
            steps: all.steps + tally.steps,
            checksum: all.checksum.and(tally.checksum),
        })
    })
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

/// The reader of one run through what `Reader` lends: no copy of its own.
fn sum_lent(reader: &mut Reader, steps: Steps) -> io::Result<Tally> {
    let mut tally = Tally::default();
    for step in steps {
        let mut offset = step.offset;
        while offset < step.range().end {
            let lent = reader.fill_buf()?;
            let want = lent.len().min((step.range().end - offset) as usize);
            if want == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            tally.checksum.add(offset, &lent[..want]);
            reader.consume(want);
            offset += want as u64;
        }
        tally.bytes += step.len;
        tally.steps += 1;
    }
    Ok(tally)
}

/// As the method of `File`, which is made of read_at in the same way.
fn read_exact_at(reader: &Reader, mut piece: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !piece.is_empty() {
        match reader.read_at(piece, offset)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => {
                piece = &mut piece[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// The reader of copies: a step is copied a buffer at a time by `read_exact`.
fn sum_copies(
    steps: impl Iterator<Item = Step>,
    buffer: &mut [u8],
    mut read_exact: impl FnMut(&mut [u8], u64) -> io::Result<()>,
) -> io::Result<Tally> {
    let mut tally = Tally::default();
    for step in steps {
        let mut offset = step.offset;
        while offset < step.range().end {
            let want = (step.range().end - offset).min(buffer.len() as u64);
            let piece = &mut buffer[..want as usize];
            read_exact(piece, offset)?;
            tally.checksum.add(offset, piece);
            offset += want;
        }
        tally.bytes += step.len;
        tally.steps += 1;
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datafile::{Afterwards, DataFile};
    use crate::pattern::Pattern;

    const LEN: u64 = (3 << 20) + 5000;

    /// Every engine over every pattern: the same bytes.
    #[test]
    fn all_engines_read_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let file = DataFile::make(dir.path(), LEN, 2, Afterwards::Remove).unwrap();
        let mut cases = 0;
        for name in [
            "seq",
            "reverse",
            "stride:12KiB",
            "streams:5",
            "random",
            "zipf:0.9",
            "blocks:1MiB",
            "blocks:100/9000",
        ] {
            let pattern: Pattern = name.parse().unwrap();
            let steps = Steps::new(&pattern, LEN, None, 6).unwrap();
            let set = dir.path().join("set");
            let setup = Setup { set: Some(set.clone()), ..Setup::default() };
            let tally = |engine: Engine| {
                Access::open(engine, file.path(), setup.clone())?.sum(steps.clone())
            };
            let right = tally(Engine::Read).unwrap();
            assert!(right.bytes > 0 && right.steps > 0);
            assert_eq!(record(file.path(), steps.clone(), &set).unwrap(), right, "recorded {name}");
            for engine in Engine::ALL {
                assert_eq!(tally(engine).unwrap(), right, "{engine} {name}");
                cases += 1;
            }
        }
        assert_eq!(cases, 8 * 12);
    }

    #[test]
    fn threads_that_share_the_steps_read_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let file = DataFile::make(dir.path(), LEN, 2, Afterwards::Remove).unwrap();
        let steps = Steps::new(&Pattern::Random, LEN, None, 3).unwrap().first(500);
        let tally = |engine, threads| {
            Access::open(engine, file.path(), Setup::default())?.sum_by(&steps, threads)
        };
        let right = tally(Engine::Read, 1).unwrap();
        assert_eq!(right.steps, 500);
        for engine in Engine::ALL {
            match tally(engine, 3) {
                Ok(tally) => assert_eq!(tally, right, "{engine}"),
                Err(error) if engine == Engine::MmapReplay => {
                    assert_eq!(error.kind(), ErrorKind::InvalidInput, "it has no set");
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unsupported, "{engine}");
                    assert!(matches!(engine, Engine::Reader | Engine::Direct), "{engine}");
                }
            }
        }
    }

    #[test]
    fn a_file_cut_under_the_steps_is_an_error_and_no_panic() {
        let dir = tempfile::tempdir().unwrap();
        let file = DataFile::make(dir.path(), LEN, 2, Afterwards::Remove).unwrap();
        let steps = Steps::new(&Pattern::Seq, LEN + 4096, None, 0).unwrap();
        for engine in
            [Engine::Read, Engine::Memmap2(lab::Peer::Plain), Engine::Mmap, Engine::Direct]
        {
            let mut access = Access::open(engine, file.path(), Setup::default()).unwrap();
            let error = access.sum(steps.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{engine}");
        }
    }
}
