//! What the program asks of a mapping by itself: prefetches, recorded sets, residency.

use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;

use super::Follow;
use crate::Error;
use crate::record::RecordedSet;
use crate::residency::Residency;
use crate::runtime::pool::{Pool, When};
use crate::runtime::prefetch::{Prefetch, PrefetchState};
use crate::runtime::shared::Request;
use crate::stats::Counters;
use crate::sys;

const RECORDED_NEEDS: &str = "a read-only mapping of a file that was made with `MmapOptions::record` and not \
     changed since, in a process that may read /proc/self/pagemap";
const REPLAY_NEEDS: &str =
    "a read-only mapping of at least 1 MiB of a file, whose length was not changed since";

impl Follow {
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
}
