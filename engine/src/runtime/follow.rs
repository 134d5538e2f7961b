//! A mapping's tie to the runtime.

use std::io;
use std::ops::Range;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};

use super::pool::{Pool, When};
use super::prefetch::{Prefetch, PrefetchState};
use super::recording::Recording;
use super::shared::{Conduct, Fate, Request, Shared};
use crate::Error;
use crate::options::{Ahead, FOLLOWED_LEN_MIN, Mode, Stores};
use crate::record::RecordedSet;
use crate::residency::Residency;
use crate::stats::{Counters, Stats};
use crate::sys::{self, FileFacts, Span, TripSlot};

const RECORDED_NEEDS: &str = "a read-only mapping of a file that was made with `MmapOptions::record` and not \
     changed since, in a process that may read /proc/self/pagemap";
const REPLAY_NEEDS: &str =
    "a read-only mapping of at least 1 MiB of a file, whose length was not changed since";

/// What may be done with a mapping, as far as the engine has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// PROT_READ, MAP_SHARED.
    ReadShared,
    /// PROT_READ | PROT_EXEC, MAP_SHARED.
    ExecShared,
    /// PROT_READ, MAP_PRIVATE.
    ReadPrivate,
    /// PROT_READ | PROT_WRITE, MAP_SHARED: written ahead where that was asked for.
    WriteShared,
    /// Writable in any other way, or anonymous: never followed by itself.
    Other,
}

/// A live mapping: where it is, what it maps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    /// The first byte of the slice (not rounded to a page).
    pub(crate) addr: usize,
    /// The length of the slice in bytes.
    pub(crate) len: usize,
    /// The file offset of the first byte; 0 for anonymous memory.
    pub(crate) file_offset: u64,
    pub(crate) access: Access,
}

/// A mapping's tie to the runtime. Inert when nothing follows the mapping.
#[derive(Debug)]
pub(crate) struct Follow {
    tie: Option<Tie>,
}

/// What it takes to begin: for a mapping that is not followed, only an explicit call does.
#[derive(Debug)]
struct Tie {
    region: Region,
    ahead: Ahead,
    facts: Option<FileFacts>,
    shared: OnceLock<Arc<Shared>>,
}

impl Follow {
    /// Starts to follow `region`, or returns an inert handle: never fails. `file` is used during the
    /// call only, `None` when there is no file at hand; `kept` may be kept while the mapping lives.
    pub(crate) fn start(
        region: Region,
        file: Option<RawFd>,
        kept: Option<Arc<OwnedFd>>,
        ahead: &Ahead,
    ) -> Follow {
        if ahead.mode == Mode::Off || is_switched_off() || sys::in_forked_child() {
            return Follow::inert();
        }
        let conduct = conduct(&region, ahead);
        let is_read_only = !matches!(region.access, Access::WriteShared | Access::Other);
        let is_recorded = is_read_only && region.len > 0 && ahead.record;
        let is_read = conduct == Some(Conduct::Follow) || is_recorded;
        let facts = file.filter(|_| is_read).and_then(|file| sys::file_facts(file).ok());
        let tie = Tie { region, ahead: ahead.clone(), facts, shared: OnceLock::new() };
        let recorded = tie.shared_to_record().filter(|_| is_recorded);
        if let Some(shared) = recorded {
            Pool::get().follow(&shared);
            let _ = tie.shared.set(shared);
        } else if let Some(conduct) = conduct {
            let shared = tie.share(conduct, kept);
            Pool::get().follow(&shared);
            let _ = tie.shared.set(shared);
        }
        Follow { tie: Some(tie) }
    }

    /// Nothing is followed (anonymous memory).
    pub(crate) fn inert() -> Follow {
        Follow { tie: None }
    }

    /// Ends following, and returns when no call on the mapping is in flight any more. Needed before
    /// the mapping changes its protection, address or length. Idempotent.
    pub(crate) fn settle(&mut self) {
        if let Some(shared) = self.tie.take().and_then(|tie| tie.into_shared(Fate::Reopen)) {
            shared.gate.close();
            Pool::get().forget(&shared);
            shared.cancel_requests();
            shared.end_task();
            if let Some(recording) = shared.recording() {
                recording.end();
            }
        }
    }

    /// Ends following and runs `unmap`: at once, or, when a call on this mapping has been stuck for
    /// 10 ms, as soon as that call returns, on the worker that made it.
    pub(crate) fn release(self, unmap: impl FnOnce() + Send + 'static) {
        match self.tie.and_then(|tie| tie.into_shared(Fate::Unmap)) {
            Some(shared) => {
                shared.gate.close_and(unmap);
                Pool::get().forget(&shared);
                shared.cancel_requests();
                shared.end_task();
            }
            None => unmap(),
        }
    }

    /// See `Mmap::prefetch_many`; ranges are bytes of the slice, already clipped to it.
    pub(crate) fn prefetch(&self, ranges: &[Range<usize>]) -> Prefetch {
        let Some(tie) = self.tie.as_ref().filter(|_| !sys::in_forked_child()) else {
            return Prefetch::new(PrefetchState::Refused);
        };
        let shared = tie.shared();
        Counters::add(&shared.counters.prefetches, 1);
        if shared.recording.is_some() {
            Counters::add(&shared.counters.prefetches_refused, 1);
            return Prefetch::new(PrefetchState::Refused);
        }
        let spans = tie.spans_within_budget(ranges, shared);
        let handle = Prefetch::new(PrefetchState::Pending);
        shared.ask(&handle);
        let request = Request { spans, handle: handle.clone() };
        let is_queued = match shared.requests.push(request) {
            Ok(()) => true,
            Err(Request { spans, .. }) => {
                let bytes = spans.iter().map(|span| span.len as u64).sum();
                shared.requested.fetch_sub(bytes, Ordering::Relaxed);
                false
            }
        };
        if !is_queued || !Pool::get().schedule(shared, When::Now) {
            Counters::add(&shared.counters.prefetches_refused, 1);
            handle.finish(PrefetchState::Refused);
        }
        handle
    }

    /// See `Mmap::recorded`.
    pub(crate) fn recorded(&self) -> io::Result<RecordedSet> {
        let shared = self.followed().filter(|_| !sys::in_forked_child());
        match shared.and_then(|shared| shared.recording()) {
            Some(mut recording) => recording.set(),
            None => {
                Err(Error::Unsupported { what: "a recorded set", needs: RECORDED_NEEDS }.into())
            }
        }
    }

    /// See `Mmap::replay`.
    pub(crate) fn replay(&self, set: &RecordedSet) -> Result<Prefetch, Error> {
        let Some(tie) = self.tie.as_ref().filter(|_| !sys::in_forked_child()) else {
            return Ok(Prefetch::new(PrefetchState::Refused));
        };
        let facts =
            tie.facts.ok_or(Error::Unsupported { what: "a replay", needs: REPLAY_NEEDS })?;
        set.check(facts.stamp, sys::page_size())?;
        let ranges: Vec<_> = set.byte_runs().map(|run| tie.region.part_of(run)).collect();
        Ok(self.prefetch(&ranges))
    }

    /// See `Mmap::residency`; the range is bytes of the slice, already clipped to it.
    pub(crate) fn residency(&self, range: Range<usize>) -> Residency {
        let Some(tie) = &self.tie else { return Residency::Unknown };
        if !tie.facts.is_some_and(|facts| facts.is_cache_visible) {
            return Residency::Unknown;
        }
        match sys::all_cached(tie.region.pages_of(range)) {
            Ok(true) => Residency::Resident,
            Ok(false) => Residency::Absent,
            Err(_) => Residency::Unknown,
        }
    }

    /// The caller's own advice for the whole mapping: MADV_RANDOM stops following, others resume it.
    pub(crate) fn advised_random(&self, random: bool) {
        if let Some(shared) = self.followed() {
            shared.is_random.store(random, Ordering::Relaxed);
            self.look_now(shared);
        }
    }

    /// The caller gave advice of his own, or locked pages, before or after: from now on nothing is
    /// done that would lose it.
    pub(crate) fn advised(&self) {
        if let Some(shared) = self.followed() {
            shared.is_advised.store(true, Ordering::Release);
        }
    }

    pub(crate) fn pause(&self) {
        if let Some(shared) = self.followed() {
            shared.is_paused.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn resume(&self) {
        if let Some(shared) = self.followed() {
            shared.is_paused.store(false, Ordering::Relaxed);
            self.look_now(shared);
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.followed().map(|shared| shared.stats()).unwrap_or_default()
    }

    /// Opens what Mode::Guard closed of `range` (bytes of the slice), so that the kernel may read it.
    pub(crate) fn open(&self, range: Range<usize>) -> io::Result<()> {
        match (&self.tie, self.followed()) {
            (Some(tie), Some(shared)) => shared.open(tie.region.pages_of(range)),
            _ => Ok(()),
        }
    }

    fn followed(&self) -> Option<&Arc<Shared>> {
        self.tie.as_ref()?.shared.get()
    }

    fn look_now(&self, shared: &Arc<Shared>) {
        if !sys::in_forked_child() {
            Pool::get().schedule(shared, When::Now);
        }
    }
}

impl Tie {
    /// The shared part, made when an explicit call needs it first.
    fn shared(&self) -> &Arc<Shared> {
        let conduct = match self.region.access {
            Access::WriteShared | Access::Other => Conduct::ReadOnly,
            _ => Conduct::OnRequest,
        };
        self.shared.get_or_init(|| self.share(conduct, None))
    }

    fn share(&self, conduct: Conduct, kept: Option<Arc<OwnedFd>>) -> Arc<Shared> {
        let file = kept.filter(|_| self.region.access == Access::ReadShared);
        let span = self.region.whole();
        let offset = self.region.file_offset - self.region.lead() as u64;
        let guard = self.guard(span, conduct);
        Arc::new(Shared::new(span, offset, &self.ahead, conduct, self.facts, file, guard))
    }

    /// The shared part of a mapping that is recorded; `None` where that cannot be done.
    fn shared_to_record(&self) -> Option<Arc<Shared>> {
        let facts = self.facts.filter(|_| self.ahead.record)?;
        let mut shared = self.share(Conduct::Record, None);
        let Shared { span, offset, .. } = *shared;
        let recording = Recording::begin(span, offset, facts)
            .inspect_err(|error| tracing::warn!(%error, "mmap-ahead: nothing is recorded"))
            .ok()?;
        Arc::get_mut(&mut shared)?.recording = Some(Mutex::new(recording));
        Some(shared)
    }

    /// Closes the mapping's windows, where that was asked for and can be done.
    fn guard(&self, span: Span, conduct: Conduct) -> Option<Arc<TripSlot>> {
        let is_plain = matches!(self.region.access, Access::ReadShared | Access::ReadPrivate);
        let is_wanted = self.ahead.mode == Mode::Guard && conduct == Conduct::Follow && is_plain;
        if !is_wanted {
            return None;
        }
        let guard = sys::guard(span, Pool::get().bell());
        guard
            .inspect_err(|error| tracing::warn!(%error, "mmap-ahead: no guard; markers instead"))
            .ok()
            .map(Arc::new)
    }

    /// Only the process that made the mapping has workers to wait for: a forked child must not
    /// touch locks that a worker may have held at the fork.
    fn into_shared(self, fate: Fate) -> Option<Arc<Shared>> {
        let shared = self.shared.into_inner()?;
        shared.end_guard(fate);
        Some(shared).filter(|_| !sys::in_forked_child())
    }

    /// The pages of `ranges`, cut where the prefetches that are not done yet reach the budget.
    fn spans_within_budget(&self, ranges: &[Range<usize>], shared: &Shared) -> Vec<Span> {
        let mut spans = Vec::with_capacity(ranges.len());
        for range in ranges.iter().filter(|range| !range.is_empty()) {
            let pages = self.region.pages_of(range.clone());
            let requested = shared.requested.load(Ordering::Relaxed);
            let room = self.ahead.budget().0.saturating_sub(requested);
            let taken = pages.slice(0, usize::try_from(room).unwrap_or(usize::MAX));
            if !taken.is_empty() {
                shared.requested.fetch_add(taken.len as u64, Ordering::Relaxed);
                spans.push(taken);
            }
        }
        spans
    }
}

impl Region {
    /// How far the slice starts behind the start of its page.
    fn lead(&self) -> usize {
        self.addr % sys::page_size().bytes() as usize
    }

    /// The part of the slice that maps `bytes` of the file; empty when there is none.
    fn part_of(&self, bytes: Range<u64>) -> Range<usize> {
        let part = |offset: u64| {
            let at = offset.saturating_sub(self.file_offset);
            usize::try_from(at).map_or(self.len, |at| at.min(self.len))
        };
        part(bytes.start)..part(bytes.end)
    }

    /// The whole mapping, from its first page's start to its last page's end.
    fn whole(&self) -> Span {
        self.pages_of(0..self.len)
    }

    /// The whole pages that hold `range`.
    fn pages_of(&self, range: Range<usize>) -> Span {
        let page = sys::page_size().bytes() as usize;
        let start = (self.addr + range.start) / page * page;
        let end = (self.addr + range.end).next_multiple_of(page);
        Span { addr: start, len: end - start }
    }
}

/// How `region` is followed from the start on, if it is.
fn conduct(region: &Region, ahead: &Ahead) -> Option<Conduct> {
    if (region.len as u64) < FOLLOWED_LEN_MIN.0 {
        return None;
    }
    let (conduct, is_possible) = match region.access {
        Access::Other => return None,
        Access::WriteShared if ahead.stores == Stores::Unknown => return None,
        Access::WriteShared => (Conduct::WriteAhead, sys::has_populate_for_stores()),
        Access::ReadShared | Access::ExecShared | Access::ReadPrivate => {
            (Conduct::Follow, sys::has_populate())
        }
    };
    is_possible.then_some(conduct)
}

/// MMAP_AHEAD=off in the environment, read once.
fn is_switched_off() -> bool {
    static OFF: OnceLock<bool> = OnceLock::new();
    *OFF.get_or_init(|| std::env::var_os("MMAP_AHEAD").is_some_and(|value| value == "off"))
}
