//! Which pages of a mapping the page cache holds: for whoever watches a reader from beside.

use std::io;
use std::ops::Range;

use crate::sys::{self, Span};

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
