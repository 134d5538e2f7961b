//! mincore(2): which pages of a mapping the page cache holds.

use std::io;

use super::{Span, check, page_size};

/// Whether the page at the start of `span` is in the page cache. One page: 0.1 to 0.3 us.
///
/// The kernel says yes for every page of a file that the caller neither owns nor may write: ask
/// [`FileFacts`](super::FileFacts) first.
pub(crate) fn first_page_is_cached(span: Span) -> io::Result<bool> {
    let mut bits = [0u8; 1];
    mincore(span.slice(0, 1), &mut bits)?;
    Ok(bits[0] & 1 != 0)
}

/// Whether every page of `span` is in the page cache; stops at the first that is not.
pub(crate) fn all_cached(span: Span) -> io::Result<bool> {
    let page = page_size().bytes() as usize;
    let mut bits = [0u8; 512];
    for piece in span.pieces(512 * page) {
        let bits = &mut bits[..piece.len.div_ceil(page)];
        mincore(piece, bits)?;
        if bits.iter().any(|&bit| bit & 1 == 0) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Says for each page of `span` whether it is in the page cache: bit 0 of its byte.
///
/// # Panics
/// When `bits` is not as long as `span` has pages.
pub(crate) fn which_cached(span: Span, bits: &mut [u8]) -> io::Result<()> {
    assert_eq!(bits.len(), span.len.div_ceil(page_size().bytes() as usize), "{span:?}");
    mincore(span, bits)
}

fn mincore(span: Span, bits: &mut [u8]) -> io::Result<()> {
    let addr = span.addr as *mut libc::c_void;
    // SAFETY: `bits` has a byte for each page of `span`; the call reads page tables only.
    let result = unsafe { libc::mincore(addr, span.len, bits.as_mut_ptr()) };
    check(libc::c_long::from(result)).map(|_| ())
}
