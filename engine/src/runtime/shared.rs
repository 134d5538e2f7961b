//! What the owner of a mapping and the workers share.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_queue::ArrayQueue;

use super::gate::Gate;
use super::prefetch::{Prefetch, PrefetchState};
use super::recording::Recording;
use super::task::Task;
use crate::options::Ahead;
use crate::stats::{Counters, Stats};
use crate::sys::{self, Faults, FileFacts, Span, TripSlot};

/// Explicit prefetches that may wait at once; one more is refused.
const REQUESTS_MAX: usize = 64;

/// An explicit prefetch on its way to a worker.
#[derive(Debug)]
pub(super) struct Request {
    /// Page-aligned pieces of the mapping.
    pub(super) spans: Vec<Span>,
    pub(super) handle: Prefetch,
}

/// What may be done to a mapping besides starting the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conduct {
    /// Follow readers, build page tables.
    Follow,
    /// Follow writers, build page tables that may be stored to.
    WriteAhead,
    /// Build page tables, but only when asked.
    OnRequest,
    /// Nothing: what a reader touches is being recorded.
    Record,
    /// Never build page tables: in a writable mapping of a file they would be read-only entries,
    /// and every store would fault again, page by page, where one fault maps a whole folio.
    ReadOnly,
}

/// One mapping.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) span: Span,
    /// The file offset of the first page.
    pub(super) offset: u64,
    pub(super) ahead: Ahead,
    pub(super) conduct: Conduct,
    pub(super) facts: Option<FileFacts>,
    /// The closed windows of Mode::Guard.
    pub(super) guard: Option<Arc<TripSlot>>,
    /// The faults of others when the mapping was made, if they are known.
    pub(super) faults: Option<Faults>,
    /// Trips that the pool has scheduled a look for.
    pub(super) trips_seen: AtomicU64,
    pub(super) gate: Gate,
    pub(super) counters: Counters,
    pub(super) requests: ArrayQueue<Request>,
    /// What was asked for and may not have ended: a worker stuck in one of them cannot end it.
    asked: Mutex<Vec<Prefetch>>,
    /// Bytes of explicit prefetches that are not done yet: kept within the budget.
    pub(super) requested: AtomicU64,
    pub(super) is_paused: AtomicBool,
    pub(super) is_random: AtomicBool,
    /// The caller gave advice of his own or locked pages: the area is not replaced any more.
    pub(super) is_advised: Arc<AtomicBool>,
    /// Which entry of the queue is valid: see `pool`.
    pub(super) stamp: AtomicU64,
    /// The file, for the fetcher that needs it; taken by the task.
    pub(super) file: Mutex<Option<Arc<OwnedFd>>>,
    pub(super) task: Mutex<Task>,
    /// What was touched, where that is all that is wanted: nothing is read ahead then.
    pub(super) recording: Option<Mutex<Recording>>,
}

impl Shared {
    pub(super) fn new(
        span: Span,
        offset: u64,
        ahead: &Ahead,
        conduct: Conduct,
        facts: Option<FileFacts>,
        file: Option<Arc<OwnedFd>>,
        guard: Option<Arc<TripSlot>>,
    ) -> Shared {
        Shared {
            span,
            offset,
            ahead: ahead.clone(),
            conduct,
            facts,
            guard,
            faults: sys::faults_before_ours(),
            trips_seen: AtomicU64::new(0),
            gate: Gate::default(),
            counters: Counters::default(),
            requests: ArrayQueue::new(REQUESTS_MAX),
            asked: Mutex::default(),
            requested: AtomicU64::new(0),
            is_paused: AtomicBool::new(false),
            is_random: AtomicBool::new(false),
            is_advised: Arc::default(),
            stamp: AtomicU64::new(0),
            file: Mutex::new(file),
            task: Mutex::new(Task::default()),
            recording: None,
        }
    }

    /// Remembers `handle` until it has ended.
    pub(super) fn ask(&self, handle: &Prefetch) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() == asked.capacity() {
            asked.retain(|asked| asked.state() == PrefetchState::Pending);
        }
        asked.push(handle.clone());
    }

    /// Ends what was asked for and will not be done, since the mapping goes away.
    pub(super) fn cancel_requests(&self) {
        while let Some(request) = self.requests.pop() {
            request.handle.finish(PrefetchState::Cancelled);
        }
        let asked = std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner));
        for handle in asked {
            handle.finish(PrefetchState::Cancelled);
        }
    }

    /// The recording, if there is one.
    pub(super) fn recording(&self) -> Option<MutexGuard<'_, Recording>> {
        let recording = self.recording.as_ref()?;
        Some(recording.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives back what the task holds (a kept file), unless a worker is stuck in it.
    pub(super) fn end_task(&self) {
        let task = self.task.try_lock().ok().map(|mut task| std::mem::take(&mut *task));
        drop(task);
    }

    /// Opens the windows of Mode::Guard that `span` lies in, if there are any.
    pub(super) fn open(&self, span: Span) -> io::Result<()> {
        let Some(slot) = &self.guard else { return Ok(()) };
        let from = (span.addr - self.span.addr) / slot.granule();
        let to = (span.addr + span.len - self.span.addr).div_ceil(slot.granule());
        slot.open(from..to)
    }

    /// The guard opens everything for good (`Fate::Reopen`), or just lets go of a mapping that is
    /// unmapped next. Works in a forked child too.
    pub(super) fn end_guard(&self, fate: Fate) {
        let Some(slot) = &self.guard else { return };
        if fate == Fate::Reopen && slot.open_all().is_err() {
            tracing::warn!("mmap-ahead: a guarded mapping could not be opened again");
        }
        slot.retire();
    }

    /// Whether trips came in since the last time this was asked.
    pub(super) fn has_new_trips(&self) -> bool {
        self.guard.as_ref().is_some_and(|slot| {
            let trips = slot.counts().trips;
            self.trips_seen.swap(trips, Ordering::Relaxed) != trips
        })
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = self.counters.snapshot();
        if let Some(slot) = &self.guard {
            let counts = slot.counts();
            stats.trips = counts.trips;
            stats.trips_handled = counts.handled;
            stats.trips_dropped = counts.dropped;
            let page = sys::page_size().bytes();
            let open = (counts.open_windows * slot.granule() as u64).min(self.span.len as u64);
            stats.pages_open = open / page;
        }
        stats
    }

    /// Whether readers are followed at the moment.
    pub(super) fn is_followed(&self) -> bool {
        matches!(self.conduct, Conduct::Follow | Conduct::WriteAhead)
            && !self.is_paused.load(Ordering::Relaxed)
            && !self.is_random.load(Ordering::Relaxed)
    }
}

/// What becomes of a guarded mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It lives on, unguarded.
    Reopen,
    /// It is unmapped.
    Unmap,
}
