use std::ops::Range;
use std::os::fd::RawFd;

use super::prefetch::{Prefetch, PrefetchState};
use crate::options::Ahead;
use crate::residency::Residency;
use crate::stats::Stats;

/// What may be done with a mapping, as far as the engine has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// PROT_READ (and perhaps PROT_EXEC), MAP_SHARED.
    ReadShared,
    /// PROT_READ, MAP_PRIVATE.
    ReadPrivate,
    /// Writable in any way, or anonymous: never followed by itself.
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
pub(crate) struct Follow {}

impl Follow {
    /// Starts to follow `region`, or returns an inert handle: never fails. `file` is used during the
    /// call only, unless `ahead.keep_file`; `None` when there is no file at hand (make_read_only).
    pub(crate) fn start(region: Region, file: Option<RawFd>, ahead: &Ahead) -> Follow {
        let _ = (region, file, ahead);
        Follow {}
    }

    /// Nothing is followed (anonymous memory, writable mappings).
    pub(crate) fn inert() -> Follow {
        Follow {}
    }

    /// Ends following, and returns when no call on the mapping is in flight any more. Needed before
    /// the mapping changes its protection, address or length. Idempotent.
    pub(crate) fn settle(&mut self) {}

    /// Ends following and runs `unmap`: at once, or, when a call on this mapping has been stuck for
    /// 10 ms, as soon as that call returns, on the worker that made it.
    pub(crate) fn release(self, unmap: impl FnOnce() + Send + 'static) {
        unmap();
    }

    /// See `Mmap::prefetch_many`; ranges are bytes of the slice, already clipped to it.
    pub(crate) fn prefetch(&self, ranges: &[Range<usize>]) -> Prefetch {
        let _ = ranges;
        Prefetch::new(PrefetchState::Refused)
    }

    /// See `Mmap::residency`; the range is bytes of the slice, already clipped to it.
    pub(crate) fn residency(&self, range: Range<usize>) -> Residency {
        let _ = range;
        Residency::Unknown
    }

    /// The caller's own advice for the whole mapping: MADV_RANDOM stops following, others resume it.
    pub(crate) fn advised_random(&self, random: bool) {
        let _ = random;
    }

    pub(crate) fn pause(&self) {}

    pub(crate) fn resume(&self) {}

    pub(crate) fn stats(&self) -> Stats {
        Stats::default()
    }
}
