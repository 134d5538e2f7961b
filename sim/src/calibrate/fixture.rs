//! The files that calibration reads, and a clock.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mmap_ahead::lab::{Peer, UsageOf, map_peer, usage};
use mmap_ahead_bench::datafile::{Afterwards, DataFile};
use mmap_ahead_bench::device;
use mmap_ahead_bench::environment::Environment;
use rustix::time::{ClockId, clock_gettime};

use super::Plan;
use crate::Error;

/// The pages of the model.
pub(super) const PAGE: u64 = 4096;

/// What one fault-around maps at most: 16 pages.
pub(super) const BLOCK: u64 = 16 * PAGE;

/// What one page table maps.
pub(super) const TABLE: u64 = 2 << 20;

/// The files that are read as a whole.
pub(super) const LEN: u64 = 128 << 20;

/// How many pages of every block of 64 KiB the sparse files have.
pub(super) const FILLED: [u64; 5] = [1, 2, 4, 8, 16];

/// The sparse files; 1024 blocks.
pub(super) const SPARSE_LEN: u64 = 64 << 20;

/// The file with one page for every page table; 512 of them.
pub(super) const TABLES_LEN: u64 = 512 * TABLE;

pub(super) struct Fixture {
    /// On the disk, [`LEN`] bytes.
    pub(super) disk: PathBuf,
    /// In memory, [`LEN`] bytes.
    pub(super) memory: File,
    /// In memory: for each of [`FILLED`], a file with so many pages a block.
    pub(super) sparse: Vec<(u64, File)>,
    /// In memory: a page for every 2 MiB.
    pub(super) tables: File,
    /// What the disk's queue says of itself.
    pub(super) queue: Queue,
    pub(super) cpu: String,
    _files: [DataFile; 2],
}

impl Fixture {
    pub(super) fn make(plan: &Plan) -> Result<Fixture, Error> {
        let failed = |error: mmap_ahead_bench::Error| Error::Calibrate(error.to_string());
        for (dir, is_memory) in [(&plan.disk, false), (&plan.memory, true)] {
            let kind = device::file_system(dir).map_err(failed)?;
            if device::is_memory(&kind) != is_memory {
                let words = if is_memory { "not in memory" } else { "no disk" };
                return Err(Error::Calibrate(format!("{}: {kind} is {words}", dir.display())));
            }
        }
        let disk = DataFile::make(&plan.disk, LEN, 77, Afterwards::Remove).map_err(failed)?;
        let memory = DataFile::make(&plan.memory, LEN, 77, Afterwards::Remove).map_err(failed)?;
        let sparse = |pages: u64| Ok((pages, sparse(&plan.memory, SPARSE_LEN, BLOCK, pages)?));
        let open = || -> io::Result<_> {
            Ok((
                File::open(memory.path())?,
                FILLED.into_iter().map(sparse).collect::<io::Result<Vec<_>>>()?,
                self::sparse(&plan.memory, TABLES_LEN, TABLE, 1)?,
            ))
        };
        let (file, sparse, tables) =
            open().map_err(|error| Error::Calibrate(format!("in memory: {error}")))?;
        Ok(Fixture {
            disk: disk.path().to_owned(),
            memory: file,
            sparse,
            tables,
            queue: Queue::of(disk.path()),
            cpu: Environment::of(disk.path()).cpu,
            _files: [disk, memory],
        })
    }
}

/// A file without a name whose every `every` bytes begin with so many pages; the rest is nowhere.
fn sparse(dir: &Path, len: u64, every: u64, pages: u64) -> io::Result<File> {
    let path = dir.join(format!("mmap-ahead-sparse-{}-{every}-{pages}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    file.set_len(len)?;
    let filled = vec![1; usize::try_from(pages * PAGE).unwrap_or(0)];
    (0..len / every).try_for_each(|block| file.write_all_at(&filled, block * every))?;
    Ok(file)
}

/// The settings of a disk's queue, where it has them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Queue {
    /// `max_sectors_kb` in bytes.
    pub(super) request_max: Option<u64>,
    /// `max_segments`.
    pub(super) pieces_max: Option<u64>,
    /// `nr_requests`.
    pub(super) depth: Option<u64>,
}

impl Queue {
    fn of(path: &Path) -> Queue {
        let disk = device::Disk::under(path);
        let setting = |name: &str| -> Option<u64> {
            let path = disk.as_ref()?.read_ahead_kb.with_file_name(name);
            std::fs::read_to_string(path).ok()?.trim().parse().ok()
        };
        Queue {
            request_max: setting("max_sectors_kb").map(|kib| kib << 10),
            pieces_max: setting("max_segments"),
            depth: setting("nr_requests"),
        }
    }
}

/// A new mapping: nothing of it is in the page table.
pub(super) fn map(file: &File) -> io::Result<memmap2::Mmap> {
    map_peer(file, Peer::Plain)
}

/// Nanoseconds of this thread's CPU time that `work` takes: whoever else runs meanwhile does not
/// count.
pub(super) fn time(work: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
    let start = cpu_ns();
    work()?;
    Ok(cpu_ns() - start)
}

/// Nanoseconds that pass until `work` is done.
pub(super) fn wall(work: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_nanos() as f64)
}

fn cpu_ns() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// The same for each of `count` times.
pub(super) fn time_each(count: u32, mut work: impl FnMut() -> io::Result<()>) -> io::Result<f64> {
    let all = time(|| (0..count).try_for_each(|_| work()))?;
    Ok(all / f64::from(count))
}

/// Faults of this thread so far.
pub(super) fn faults() -> u64 {
    let usage = usage(UsageOf::Thread);
    usage.minor_faults + usage.major_faults
}

/// Touches a byte every so many bytes.
pub(super) fn touch_every(bytes: &[u8], every: u64) {
    for piece in bytes.chunks(usize::try_from(every).unwrap_or(usize::MAX)) {
        std::hint::black_box(piece[0]);
    }
}
