//! The files that are read: opened when a run in them needs it, closed when their mapping goes or others need
//! the room.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::walk::Walk;
use crate::sys::{self, FileFacts};

/// Open files of all mappings together; the one that was quiet longest makes room.
const WALKS_MAX: usize = 32;
/// A range that begins no further from where a walk is belongs to it: as far as a run is read ahead.
const NEAR: u64 = 32 << 20;

/// What it takes to open a mapping's file.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) path: PathBuf,
    pub(super) facts: FileFacts,
    /// What the kernel reads ahead of it by itself.
    pub(super) window: u64,
    /// Why it cannot be read like this, or not any more. Held by its mapping too, as long as there is one.
    pub(super) broken: Arc<OnceLock<io::Error>>,
}

/// What was opened, and what may be.
#[derive(Debug, Default)]
pub(super) struct Files {
    openings: HashMap<u64, Opening>,
    /// For each run one, of which file it is first; the last that was used is the last.
    walks: Vec<(u64, Walk)>,
}

impl Files {
    pub(super) fn add(&mut self, key: u64, opening: Opening) {
        // Of a mapping that went away while the device was stuck nobody could tell.
        self.openings.retain(|_, opening| Arc::strong_count(&opening.broken) > 1);
        self.walks.retain(|(of, _)| self.openings.contains_key(of));
        self.openings.insert(key, opening);
    }

    pub(super) fn close(&mut self, key: u64) {
        self.openings.remove(&key);
        self.walks.retain(|(of, _)| *of != key);
    }

    /// Reads `range` of the file `key`; where that cannot be, whoever asks again is told.
    pub(super) fn read(&mut self, key: u64, range: &Range<u64>) {
        let Some(opening) = self.openings.get(&key) else { return };
        let found = take_nearest(&mut self.walks, key, range.start);
        let walk = found.map_or_else(|| opening.open(), Ok);
        match walk.and_then(|mut walk| walk.read(range).map(|()| walk)) {
            Ok(walk) => {
                if self.walks.len() == WALKS_MAX {
                    self.walks.remove(0);
                }
                self.walks.push((key, walk));
            }
            Err(error) => {
                let _ = opening.broken.set(error);
                self.close(key);
            }
        }
    }
}

impl Opening {
    fn open(&self) -> io::Result<Walk> {
        Walk::new(open_same(&self.path, self.facts)?, self.window)
    }
}

/// The walk through the file `key` that is nearest to `at`, if one is near enough.
fn take_nearest(walks: &mut Vec<(u64, Walk)>, key: u64, at: u64) -> Option<Walk> {
    let distance = |walk: &Walk| walk.end().abs_diff(at);
    let of_file = walks.iter().enumerate().filter(|(_, (of, _))| *of == key);
    let near = of_file.filter(|(_, (_, walk))| distance(walk) <= NEAR);
    let (index, _) = near.min_by_key(|(_, (_, walk))| distance(walk))?;
    Some(walks.remove(index).1)
}

/// Opens what is called `path`, if that is the file that was mapped.
fn open_same(path: &Path, facts: FileFacts) -> io::Result<File> {
    // Looked at before it is opened: what has the name now may be a device, or a pipe without a writer.
    let found = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path)?;
    let now = sys::file_facts(found.as_raw_fd())?;
    if (now.device, now.inode) != (facts.device, facts.inode) {
        return Err(io::ErrorKind::NotFound.into());
    }
    File::open(format!("/proc/thread-self/fd/{}", found.as_raw_fd()))
}
