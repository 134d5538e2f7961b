//! The thread: opens, reads and closes what it is told to.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::walk::Walk;
use crate::sys::{self, FileFacts};

/// Jobs that may wait, while the device is stuck with another one; more are refused.
const JOBS_MAX: usize = 64;
/// How long the end of a mapping waits for its file to be closed.
const CLOSE_WAIT: Duration = Duration::from_millis(10);
const STACK_BYTES: usize = 128 << 10;

/// The thread, as seen by those who give it work.
#[derive(Debug)]
pub(super) struct Reader {
    jobs: Sender<Job>,
    keys: AtomicU64,
}

/// What it takes to open a mapping's file.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) path: PathBuf,
    pub(super) facts: FileFacts,
    /// What the kernel reads ahead of it by itself.
    pub(super) window: u64,
    /// Set when it cannot be read like this, or not any more.
    pub(super) is_broken: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Job {
    Open(u64, Opening),
    Read(u64, Range<u64>),
    /// The sender is dropped when the file is closed.
    Close(u64, Sender<()>),
}

/// A file that is open, and where it is told that it cannot be read.
type Walks = HashMap<u64, (Walk, Arc<AtomicBool>)>;

impl Reader {
    /// The thread of this process, started when it is first needed; `None` where it cannot be.
    pub(super) fn get() -> Option<&'static Reader> {
        static READER: OnceLock<Option<Reader>> = OnceLock::new();
        READER.get_or_init(Reader::start).as_ref()
    }

    fn start() -> Option<Reader> {
        let (jobs, inbox) = bounded(JOBS_MAX);
        let builder = thread::Builder::new().name("mmap-ahead-read".into()).stack_size(STACK_BYTES);
        let started = builder.spawn(move || {
            sys::block_all_signals();
            match sys::leave_descriptor_table() {
                Ok(()) => work(&inbox),
                Err(error) => tracing::debug!(%error, "mmap-ahead: no files of our own"),
            }
        });
        started.ok().map(|_| Reader { jobs, keys: AtomicU64::new(0) })
    }

    /// Opens a file under the key that is returned, soon. `None` when nobody does.
    pub(super) fn open(&self, opening: Opening) -> Option<u64> {
        let key = self.keys.fetch_add(1, Ordering::Relaxed);
        self.jobs.try_send(Job::Open(key, opening)).ok().map(|()| key)
    }

    /// Reads, soon. Returns whether anybody does.
    pub(super) fn read(&self, key: u64, range: Range<u64>) -> bool {
        self.jobs.try_send(Job::Read(key, range)).is_ok()
    }

    /// Closes, and waits for it a moment.
    pub(super) fn close(&self, key: u64) {
        let (held, closed) = bounded(0);
        if self.jobs.send_timeout(Job::Close(key, held), CLOSE_WAIT).is_ok() {
            let _ = closed.recv_timeout(CLOSE_WAIT);
        }
    }
}

fn work(inbox: &Receiver<Job>) {
    let mut walks = Walks::new();
    for job in inbox {
        match job {
            Job::Open(key, opening) => open(&mut walks, key, opening),
            Job::Read(key, range) => read(&mut walks, key, &range),
            Job::Close(key, _held) => drop(walks.remove(&key)),
        }
    }
}

fn open(walks: &mut Walks, key: u64, opening: Opening) {
    let Opening { path, facts, window, is_broken } = opening;
    match open_same(&path, facts).and_then(|file| Walk::new(file, window)) {
        Ok(walk) => drop(walks.insert(key, (walk, is_broken))),
        Err(error) => {
            tracing::debug!(%error, ?path, "mmap-ahead: not opened for reading ahead");
            is_broken.store(true, Ordering::Relaxed);
        }
    }
}

fn read(walks: &mut Walks, key: u64, range: &Range<u64>) {
    let Some((walk, is_broken)) = walks.get_mut(&key) else { return };
    if let Err(error) = walk.read(range) {
        tracing::debug!(%error, ?range, "mmap-ahead: the kernel's read-ahead cannot be followed");
        is_broken.store(true, Ordering::Relaxed);
        walks.remove(&key);
    }
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
