//! What the page cache has of a piece of the file, before it is read past it and afterwards.

use std::ops::Range;
use std::os::fd::AsRawFd;

use super::stream::Stream;
use crate::sys::{CacheView, Now, cache_view, page_size, read_now};

/// One page of so many that is not cached makes a frame cold. Measured: 2 MiB take 0.9 ms from the
/// disk and 0.3 ms from the cache, and the kernel needs 1 to 2 ms for a cold frame.
const COLD_SHARE: u64 = 4;

/// Where the kernel does not count cached pages, so many places of a frame are tried.
const SAMPLES: u64 = 4;

pub(super) enum Meanwhile {
    Nothing,
    /// All of it is cached, by whomever.
    Cached,
    Written,
}

pub(super) enum Look {
    Cached,
    Cold(Option<CacheView>),
}

impl Stream {
    /// What happened to the cache since the frame was read. That pages are dirty is no news to
    /// [`Version`], except while one long write(2) goes on, which changes the times only once.
    pub(super) fn look_again(&self, range: &Range<u64>, seen: Option<CacheView>) -> Meanwhile {
        let Some(seen) = seen else { return Meanwhile::Nothing };
        let len = range.end - range.start;
        match cache_view(self.quiet.as_raw_fd(), range.start, len) {
            Ok(now) if now.dirty_pages > seen.dirty_pages => Meanwhile::Written,
            Ok(now) if now.cached_pages >= len.div_ceil(page_size().bytes()) => Meanwhile::Cached,
            Ok(_) => Meanwhile::Nothing,
            Err(_) => Meanwhile::Written,
        }
    }

    /// Whether a piece of the file is better read from the disk.
    pub(super) fn look(&self, range: Range<u64>) -> Look {
        let page = page_size().bytes();
        let len = range.end - range.start;
        match cache_view(self.quiet.as_raw_fd(), range.start, len) {
            Ok(view) => {
                let pages = range.end.div_ceil(page) - range.start / page;
                let absent = pages.saturating_sub(view.cached_pages);
                if absent * COLD_SHARE >= pages { Look::Cold(Some(view)) } else { Look::Cached }
            }
            Err(_) if (0..SAMPLES).any(|at| self.waits(range.start + len * at / SAMPLES)) => {
                Look::Cold(None)
            }
            Err(_) => Look::Cached,
        }
    }

    /// Whether the byte at `offset` has to be waited for. Brings in its page at most.
    fn waits(&self, offset: u64) -> bool {
        matches!(read_now(&self.quiet, &mut [0], offset), Ok(Now::Wait))
    }
}
