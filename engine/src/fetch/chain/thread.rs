//! The thread: opens, reads and closes what it is told to.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::files::{Files, Opening};
use crate::sys;

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

#[derive(Debug)]
enum Job {
    Open(u64, Opening),
    Read(u64, Range<u64>),
    /// The sender is dropped when the file is closed.
    Close(u64, Sender<()>),
}

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
            // Where it is refused, all that is sent is refused from now on.
            if sys::leave_descriptor_table().is_ok() {
                work(&inbox);
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
    let mut files = Files::default();
    for job in inbox {
        match job {
            Job::Open(key, opening) => files.add(key, opening),
            Job::Read(key, range) => files.read(key, &range),
            Job::Close(key, _held) => files.close(key),
        }
    }
}
