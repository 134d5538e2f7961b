//! Reads in flight for a `Paged`: io_uring where the source is a file and the kernel lets us, else
//! threads.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::source::Source;
use crate::sys::{self, Cell, Landed, Ring, Wake};

/// Threads that read, where io_uring is not to be had. A guess: enough for the depth of one disk.
const THREADS_MAX: usize = 16;
const STACK_BYTES: usize = 256 << 10;
/// After a source said WouldBlock.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(1);

/// A queue of reads. Memory that is read into is in its keeping until the read has landed.
pub(super) trait Disk: Send {
    /// How many reads may be added.
    fn room(&self) -> usize;

    /// Has `part` of `cell` read from `offset` on, once it is submitted.
    fn read(&mut self, token: u64, cell: Cell, part: Range<usize>, offset: u64);

    /// Starts what was added.
    fn submit(&mut self) -> io::Result<()>;

    /// Whether something could not be started yet.
    fn has_backlog(&mut self) -> bool {
        false
    }

    /// The next read that has ended; does not wait.
    fn land(&mut self) -> Option<Landed>;

    /// Readable when a read may have ended.
    fn as_fd(&self) -> BorrowedFd<'_>;

    /// What offsets and lengths are multiples of.
    fn alignment(&self) -> usize;

    /// Its name, for `stats`.
    fn queue(&self) -> Queue;
}

/// Who has the reads in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Queue {
    /// io_uring(7).
    IoUring,
    /// A pool of threads that call pread(2) or [`Source::read_at`].
    Threads,
}

/// The best queue that there is for `source`.
pub(super) fn disk(source: &Arc<dyn Source>, depth: usize) -> io::Result<Box<dyn Disk>> {
    if let Some(file) = source.file() {
        match Ring::new(depth) {
            Ok(ring) => {
                let alignment = source.alignment();
                return Ok(Box::new(RingDisk { ring, file, alignment }));
            }
            Err(error) => {
                tracing::debug!(%error, "mmap-ahead: no io_uring here; threads read instead");
            }
        }
    }
    Ok(Box::new(ThreadDisk::new(source, depth)?))
}

struct RingDisk {
    ring: Ring,
    file: Arc<OwnedFd>,
    alignment: usize,
}

impl Disk for RingDisk {
    fn room(&self) -> usize {
        self.ring.room()
    }

    fn read(&mut self, token: u64, cell: Cell, part: Range<usize>, offset: u64) {
        self.ring.read(token, cell, part, &self.file, offset);
    }

    fn submit(&mut self) -> io::Result<()> {
        self.ring.submit()
    }

    fn has_backlog(&mut self) -> bool {
        self.ring.has_backlog()
    }

    fn land(&mut self) -> Option<Landed> {
        self.ring.land()
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }

    fn alignment(&self) -> usize {
        self.alignment
    }

    fn queue(&self) -> Queue {
        Queue::IoUring
    }
}

struct Job {
    token: u64,
    cell: Cell,
    part: Range<usize>,
    offset: u64,
}

struct ThreadDisk {
    /// None while the threads end.
    jobs: Option<Sender<Job>>,
    landed: Receiver<Landed>,
    wake: Arc<Wake>,
    threads: Vec<JoinHandle<()>>,
    room: usize,
    alignment: usize,
}

impl ThreadDisk {
    fn new(source: &Arc<dyn Source>, depth: usize) -> io::Result<ThreadDisk> {
        let (jobs, todo) = unbounded::<Job>();
        let (done, landed) = unbounded();
        let wake = Arc::new(Wake::new()?);
        let (jobs, threads, alignment) = (Some(jobs), Vec::new(), source.alignment());
        let mut disk = ThreadDisk { jobs, landed, wake, threads, room: depth, alignment };
        for _ in 0..depth.min(THREADS_MAX) {
            let (source, todo, done) = (Arc::clone(source), todo.clone(), done.clone());
            let wake = Arc::clone(&disk.wake);
            let work = move || {
                sys::block_all_signals();
                for job in todo {
                    // Nobody listens any more when the `Paged` is gone.
                    let _ = done.send(job.run(&*source));
                    wake.ring();
                }
            };
            let builder = thread::Builder::new().name("mmap-ahead-read".into());
            disk.threads.push(builder.stack_size(STACK_BYTES).spawn(work)?);
        }
        Ok(disk)
    }
}

impl Job {
    fn run(mut self, source: &dyn Source) -> Landed {
        let buf = &mut self.cell.bytes_mut()[self.part];
        let len = buf.len();
        // Readers wait for it: a panic of the source's is an error of the page.
        let read = AssertUnwindSafe(|| super::retry(|| source.read_at(buf, self.offset)));
        let result = catch_unwind(read).unwrap_or_else(|_| Err(io::Error::other("it panicked")));
        let result = match result {
            Ok(read) if read > len => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "it read more than was asked for"))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::sleep(AGAIN);
                Err(error)
            }
            other => other,
        };
        Landed { token: self.token, cell: self.cell, result }
    }
}

impl Disk for ThreadDisk {
    fn room(&self) -> usize {
        self.room
    }

    fn read(&mut self, token: u64, cell: Cell, part: Range<usize>, offset: u64) {
        self.room -= 1;
        if let Some(jobs) = &self.jobs {
            // The receivers live in threads that end only after `jobs` is dropped.
            let _ = jobs.send(Job { token, cell, part, offset });
        }
    }

    fn submit(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn land(&mut self) -> Option<Landed> {
        let landed = match self.landed.try_recv() {
            Ok(landed) => landed,
            Err(_) => {
                // Cleared before the last look: a ring after it is not lost.
                self.wake.clear();
                self.landed.try_recv().ok()?
            }
        };
        self.room += 1;
        Some(landed)
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    fn alignment(&self) -> usize {
        self.alignment
    }

    fn queue(&self) -> Queue {
        Queue::Threads
    }
}

impl Drop for ThreadDisk {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // Panics of the source do not get this far.
            let _ = thread.join();
        }
    }
}
