//! The threads: each waits for one block at a time.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Inner;
use crate::sys::{self, Span};

/// Blocks that are read at once, for all mappings: two keep a disk of 3 GB/s busy, one nearly.
const THREADS: usize = 2;
/// Blocks that may wait.
const JOBS_MAX: usize = 64;
/// How long one more waits for a place among them: a disk of 1 GB/s brings a block in this time.
const SEND_WAIT: Duration = Duration::from_millis(2);
const STACK_BYTES: usize = 128 << 10;

/// The threads, as seen by those who give them work.
#[derive(Debug)]
pub(super) struct Readers {
    jobs: Sender<Job>,
}

/// One block of a file, and where it lies in a mapping.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) twin: Arc<Inner>,
    pub(super) block: usize,
    pub(super) range: Range<usize>,
}

impl Readers {
    /// The threads of this process, started when they are first needed; `None` where there can be none.
    pub(super) fn get() -> Option<&'static Readers> {
        static READERS: OnceLock<Option<Readers>> = OnceLock::new();
        READERS.get_or_init(Readers::start).as_ref()
    }

    fn start() -> Option<Readers> {
        let (jobs, inbox) = bounded(JOBS_MAX);
        let started = (0..THREADS).filter(|_| start_one(inbox.clone())).count();
        (started > 0).then_some(Readers { jobs })
    }

    /// Has `job` done, soon; waits a moment for its turn. Returns whether anybody does.
    pub(super) fn send(&self, job: Job) -> bool {
        self.jobs.send_timeout(job, SEND_WAIT).is_ok()
    }
}

fn start_one(inbox: Receiver<Job>) -> bool {
    let builder = thread::Builder::new().name("mmap-ahead-read".into()).stack_size(STACK_BYTES);
    let started = builder.spawn(move || {
        sys::block_all_signals();
        inbox.iter().for_each(Job::carry_out);
    });
    started.is_ok()
}

impl Job {
    fn carry_out(self) {
        let Job { twin, block, range } = &self;
        if !twin.is_over.load(Ordering::Acquire) {
            // The file may have become shorter: whoever reads there finds out.
            let _ = twin.read(twin.map.pages().slice(range.start, range.end));
        }
        twin.is_there(*block);
    }
}

impl Inner {
    /// Has all of `span`, a block, read or on its way.
    fn read(&self, span: Span) -> std::io::Result<()> {
        let page = sys::page_size().bytes() as usize;
        let missing = if self.is_cache_visible { first_missing(span)? } else { Some(0) };
        let Some(index) = missing else { return Ok(()) };
        sys::populate(span.slice(index * page, (index + 1) * page))?;
        let last = span.slice((span.len - 1) / page * page, span.len);
        let is_whole = self.is_cache_visible && sys::first_page_is_cached(last)?;
        if !is_whole {
            // A part of it was there before, or this kernel reads no more for a fault here than elsewhere.
            sys::will_need(std::iter::once(span))?;
        }
        sys::drop_from_page_table(span)
    }
}

/// The first page of `span`, a block, that is not in memory.
fn first_missing(span: Span) -> std::io::Result<Option<usize>> {
    let page = sys::page_size().bytes() as usize;
    let mut bits = [0; super::block::BLOCK_BYTES / 4096];
    let bits = &mut bits[..span.len.div_ceil(page)];
    sys::which_cached(span, bits)?;
    Ok(bits.iter().position(|&bit| bit & 1 == 0))
}
