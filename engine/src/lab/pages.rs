//! Which pages of a mapping the page cache holds: for whoever watches a reader from beside.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

use crate::sys::{self, CacheView, Span};

/// Says for each page of `bytes` of `map` whether the page cache holds it: `held[i]` for the `i`th, 1
/// or 0 in its lowest bit. Touches nothing. `bytes` begins at a page and is cut to the mapping;
/// `held` has a byte for each of its pages.
///
/// The kernel says yes for every page of a file that the caller neither owns nor may write.
///
/// # Errors
/// EAGAIN when the kernel is short of memory for a moment.
///
/// # Panics
/// When `held` has another length.
///
/// Source: mincore(2).
pub fn held_pages(map: &memmap2::Mmap, bytes: Range<usize>, held: &mut [u8]) -> io::Result<()> {
    let span = Span { addr: map.as_ptr().addr(), len: map.len() };
    sys::which_cached(span.slice(bytes.start, bytes.end), held)
}

/// How much of `bytes` of `file` the page cache holds. Source: cachestat(2), Linux 6.5.
///
/// # Errors
/// As [`cached`](super::cached).
pub fn cached_in(file: &File, bytes: Range<u64>) -> io::Result<CacheView> {
    sys::cache_view(file.as_raw_fd(), bytes.start, bytes.end - bytes.start)
}
