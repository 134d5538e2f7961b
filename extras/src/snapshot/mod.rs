//! Snapshots of a mapping that write only what changed since the one before.
//!
//! The first snapshot is the whole mapping; each later one holds the pages that were stored to since, as a
//! [`DirtyTracker`] tells them. [`restore`] puts the bytes together again. Each snapshot is a file of its own, which
//! appears under its name when all of it is on the disk.
//!
//! ```
//! use mmap_ahead::MmapMut;
//! use mmap_ahead_extras::snapshot::{Snapshots, restore};
//!
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path();
//! # if MmapMut::map_anon(1)?.track_stores().is_err() { return Ok(()) } // No mechanism here.
//! let mut snapshots = Snapshots::begin(MmapMut::map_anon(1 << 20)?, dir)?;
//! snapshots.map_mut()[300_000] = 1;
//! let taken = snapshots.take()?;
//! assert!(taken.stored_bytes < 100_000);
//! assert_eq!(restore(dir, taken.number)?, &snapshots.map()[..]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod format;

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufWriter};
use std::ops::Range;
use std::path::{Path, PathBuf};

use mmap_ahead::{DirtyPages, DirtyTracker, MmapMut};

use format::{Snapshot, write};

/// Why a snapshot could not be taken or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Stores to the mapping cannot be tracked here, or not any more.
    #[error("cannot tell what was stored to: {0}")]
    Tracking(#[source] io::Error),
    /// A file could not be written or read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// With what error.
        source: io::Error,
    },
    /// A file is no snapshot, or a damaged one.
    #[error("{} is no whole snapshot: {why}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// A mapping of which snapshots are taken. It owns the mapping, so that what is tracked is what is copied.
#[derive(Debug)]
pub struct Snapshots {
    map: MmapMut,
    tracker: DirtyTracker,
    dir: PathBuf,
    /// A number that no other chain of snapshots has.
    owner: u64,
    next: u64,
    /// What an earlier snapshot that failed should have held.
    owed: Owed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    Nothing,
    Everything,
}

/// A snapshot that is on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its number: what [`restore`] is given. The first is 0.
    pub number: u64,
    /// Its file.
    pub path: PathBuf,
    /// How many bytes of the mapping it holds, in whole pages.
    pub stored_bytes: u64,
    /// In how many pieces.
    pub ranges: usize,
}

impl Snapshots {
    /// Begins to track `map` and takes the first snapshot, all of it, into the folder `dir`, which must be
    /// there. Snapshots that are there already are written over, one after the other; one that needed those cannot be
    /// restored any more.
    ///
    /// # Errors
    /// [`SnapshotError::Tracking`] where no mechanism works; those of writing files.
    pub fn begin(mut map: MmapMut, dir: &Path) -> Result<Snapshots, SnapshotError> {
        let tracker = map.track_stores().map_err(SnapshotError::Tracking)?;
        let (dir, owner) = (dir.to_owned(), RandomState::new().build_hasher().finish());
        let mut snapshots = Snapshots { map, tracker, dir, owner, next: 0, owed: Owed::Everything };
        snapshots.take()?;
        Ok(snapshots)
    }

    /// The mapping, to be read.
    #[must_use]
    pub fn map(&self) -> &MmapMut {
        &self.map
    }

    /// The mapping, to be stored to, flushed, grown.
    pub fn map_mut(&mut self) -> &mut MmapMut {
        &mut self.map
    }

    /// How stores are noticed.
    #[must_use]
    pub fn tracker(&self) -> &DirtyTracker {
        &self.tracker
    }

    /// Writes what was stored to since the last snapshot, and returns when it is on the disk.
    ///
    /// # Errors
    /// [`SnapshotError::Tracking`]; those of writing files. The snapshot after one that failed holds
    /// everything.
    pub fn take(&mut self) -> Result<Taken, SnapshotError> {
        // Asked in any case: what was stored before this one is in it.
        let dirty = self.tracker.take().map_err(SnapshotError::Tracking)?;
        match self.owed {
            Owed::Everything => self.take_ranges(std::slice::from_ref(&(0..self.map.len()))),
            Owed::Nothing => self.take_ranges(DirtyPages::ranges(&dirty)),
        }
    }

    /// Writes all of the mapping, as the first snapshot did: restoring it and later ones needs none before.
    ///
    /// # Errors
    /// As [`take`](Snapshots::take).
    pub fn take_all(&mut self) -> Result<Taken, SnapshotError> {
        self.owed = Owed::Everything;
        self.take()
    }

    fn take_ranges(&mut self, ranges: &[Range<usize>]) -> Result<Taken, SnapshotError> {
        self.owed = Owed::Everything;
        let number = self.next;
        let path = path_of(&self.dir, number);
        write_whole(&path, self.owner, &self.map, ranges)
            .map_err(|source| SnapshotError::File { path: path.clone(), source })?;
        self.owed = Owed::Nothing;
        self.next += 1;
        let stored_bytes = ranges.iter().map(|range| range.len() as u64).sum();
        Ok(Taken { number, path, stored_bytes, ranges: ranges.len() })
    }
}

/// The bytes of the mapping as they were when snapshot `number` of the folder `dir` was taken.
///
/// # Errors
/// [`SnapshotError::Damaged`] for a file that is no whole snapshot, whatever it holds, and for one that needs others
/// which were written over; those of reading files.
pub fn restore(dir: &Path, number: u64) -> Result<Vec<u8>, SnapshotError> {
    // Back to the last one that holds everything.
    let mut chain: Vec<Snapshot> = Vec::new();
    for number in (0..=number).rev() {
        let snapshot = Snapshot::open(&path_of(dir, number))?;
        chain.last().map_or(Ok(()), |later| snapshot.belongs_to(later))?;
        let is_all = snapshot.is_all();
        chain.push(snapshot);
        if is_all {
            break;
        }
    }
    let mut bytes = Vec::new();
    for snapshot in chain.into_iter().rev() {
        snapshot.apply(&mut bytes)?;
    }
    Ok(bytes)
}

fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:06}.snapshot"))
}

/// Under its name there is either nothing, or what was there before, or all of it.
fn write_whole(path: &Path, owner: u64, map: &[u8], ranges: &[Range<usize>]) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let written =
        write_durably(&unfinished, owner, map, ranges).and_then(|()| fs::rename(&unfinished, path));
    written.inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
    // The name as well.
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn write_durably(path: &Path, owner: u64, map: &[u8], ranges: &[Range<usize>]) -> io::Result<()> {
    let file = File::create(path)?;
    let mut out = BufWriter::with_capacity(1 << 20, &file);
    write(&mut out, owner, map, ranges)?;
    io::Write::flush(&mut out)?;
    drop(out);
    file.sync_data()
}
