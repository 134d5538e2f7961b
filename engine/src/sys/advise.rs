//! madvise(2) and process_madvise(2): the calls that fetch.
//!
//! All but one of them are safe to call on any address: they bring pages in, they never change what
//! memory holds. A range that is not mapped any more is an error, not undefined behaviour.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Span, check, page_size};

/// Linux 5.14, both.
const MADV_POPULATE_READ: libc::c_int = 22;
const MADV_POPULATE_WRITE: libc::c_int = 23;
/// The same numbers on every architecture (unified table).
const SYS_PIDFD_OPEN: libc::c_long = 434;
const SYS_PROCESS_MADVISE: libc::c_long = 440;
/// Ranges handed to one process_madvise call. Measured: 64 at a time cost 0.11 us each, a loop of
/// madvise 0.27 us.
const BATCH: usize = 64;

/// Starts the device on every span (MADV_WILLNEED) and does not wait for it.
///
/// The kernel silently cuts a call to max(io_pages, ra_pages) of the device, so spans must not be
/// longer than that.
pub(crate) fn will_need(spans: impl Iterator<Item = Span>) -> io::Result<()> {
    advise_all(spans, libc::MADV_WILLNEED)
}

/// Empties every span (MADV_DONTNEED): the callers own them, and what is there can be had again.
pub(super) fn drop_all(spans: impl Iterator<Item = Span>) -> io::Result<()> {
    advise_all(spans, libc::MADV_DONTNEED)
}

/// Has the kernel read each page of `span` alone from now on (MADV_RANDOM). It still maps cached pages
/// around one that is touched.
pub(crate) fn advise_random(span: Span) -> io::Result<()> {
    advise(span, libc::MADV_RANDOM)
}

/// Undoes [`advise_random`] (MADV_NORMAL).
pub(crate) fn advise_normal(span: Span) -> io::Result<()> {
    advise(span, libc::MADV_NORMAL)
}

/// Advice that only the laboratory gives.
#[cfg(feature = "lab")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveAdvice {
    /// MADV_NORMAL.
    Normal,
    /// MADV_SEQUENTIAL.
    Sequential,
    /// MADV_RANDOM.
    Random,
    /// MADV_HUGEPAGE.
    HugePage,
    /// MADV_WILLNEED.
    WillNeed,
    /// MADV_DONTNEED.
    DropMapped,
}

/// Advises `span`, a part of a shared mapping of a file.
#[cfg(feature = "lab")]
pub(super) fn advise_live(span: Span, advice: LiveAdvice) -> io::Result<()> {
    let number = match advice {
        LiveAdvice::Normal => libc::MADV_NORMAL,
        LiveAdvice::Sequential => libc::MADV_SEQUENTIAL,
        LiveAdvice::Random => libc::MADV_RANDOM,
        LiveAdvice::HugePage => libc::MADV_HUGEPAGE,
        LiveAdvice::WillNeed => libc::MADV_WILLNEED,
        LiveAdvice::DropMapped => libc::MADV_DONTNEED,
    };
    advise(span, number)
}

/// Has every page of `span` in the page table (MADV_POPULATE_READ), page by page.
pub(crate) fn populate(span: Span) -> io::Result<()> {
    advise(span, MADV_POPULATE_READ)
}

/// Has every page of `span` in the page table, ready for stores, as if one had been made to each
/// (MADV_POPULATE_WRITE): holes of the file are allocated, its pages are dirty, no byte changes. What
/// would be SIGBUS for a store (no space, beyond the end of the file) is EFAULT here.
pub(crate) fn populate_for_stores(span: Span) -> io::Result<()> {
    advise(span, MADV_POPULATE_WRITE)
}

/// Takes `span`, a part of a shared mapping of a file, out of the page table (MADV_DONTNEED). The file's
/// pages stay as they are, with what was stored to them; the next touch maps them again.
pub(crate) fn drop_from_page_table(span: Span) -> io::Result<()> {
    advise(span, libc::MADV_DONTNEED)
}

/// Has `span` in the page table by touching one page in `around` bytes and leaving the others to
/// the kernel's fault-around: measured at 22 GB/s on tmpfs, where [`populate`] reaches 12.5, since
/// each page that is there already costs it a walk.
///
/// The page touched is the last of its block: pages arrive in ascending order, so the others are
/// likely to be there when it is.
pub(crate) fn populate_around(span: Span, around: usize) -> io::Result<()> {
    let page = page_size().bytes() as usize;
    if around <= page {
        return populate(span);
    }
    let lead = (around - span.addr % around) % around;
    let first = span.slice(0, lead);
    let rest = span.slice(lead, span.len);
    let blocks = std::iter::once(first).chain(rest.pieces(around));
    let touched = blocks.filter(|block| !block.is_empty()).map(|block| {
        let last = (block.len - 1) / page * page;
        block.slice(last, last + page)
    });
    advise_all(touched, MADV_POPULATE_READ)
}

/// Whether this kernel has MADV_POPULATE_READ: asked once, with an empty range.
pub(crate) fn has_populate() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| is_known(MADV_POPULATE_READ))
}

/// Whether this kernel has MADV_POPULATE_WRITE: asked once, with an empty range.
pub(crate) fn has_populate_for_stores() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| is_known(MADV_POPULATE_WRITE))
}

/// Whether this kernel has huge pages at all, so that a mapping may be advised to use them.
#[cfg(feature = "lab")]
pub(crate) fn has_huge_pages() -> bool {
    is_known(libc::MADV_HUGEPAGE)
}

/// Whether this kernel knows `advice` at all: asked with an empty range, which changes nothing.
pub(crate) fn is_known(advice: libc::c_int) -> bool {
    advise(Span { addr: 0, len: 0 }, advice).is_ok()
}

/// Whether a process may advise itself in batches: tried on pages that are there already.
#[cfg(feature = "lab")]
pub(crate) fn batches_work(span: Span) -> bool {
    let range = libc::iovec { iov_base: span.addr as *mut _, iov_len: span.len };
    process_madvise(&[range], MADV_POPULATE_READ).is_ok()
}

fn advise(span: Span, advice: libc::c_int) -> io::Result<()> {
    let addr = span.addr as *mut libc::c_void;
    // SAFETY: WILLNEED, POPULATE_READ and POPULATE_WRITE bring pages in and never change what memory
    // holds, RANDOM, NORMAL and their kin change how faults read; DONTNEED comes from `drop_all`, whose
    // callers own the memory, and from `drop_from_page_table` and the laboratory, for shared mappings of
    // files, whose bytes it does not change either.
    let result = unsafe { libc::madvise(addr, span.len, advice) };
    check(libc::c_long::from(result)).map(|_| ())
}

/// Batches through process_madvise on oneself; where that is refused (before 6.13, seccomp), a loop.
fn advise_all(spans: impl Iterator<Item = Span>, advice: libc::c_int) -> io::Result<()> {
    let mut spans = spans.peekable();
    let mut batch = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
    while spans.peek().is_some() {
        let mut count = 0;
        for span in spans.by_ref().take(BATCH) {
            batch[count] = libc::iovec { iov_base: span.addr as *mut _, iov_len: span.len };
            count += 1;
        }
        advise_batch(&batch[..count], advice)?;
    }
    Ok(())
}

fn advise_batch(batch: &[libc::iovec], advice: libc::c_int) -> io::Result<()> {
    static REFUSED: AtomicBool = AtomicBool::new(false);
    if batch.len() > 1 && !REFUSED.load(Ordering::Relaxed) {
        let wanted: usize = batch.iter().map(|range| range.iov_len).sum();
        match process_madvise(batch, advice) {
            Ok(done) if done as usize == wanted => return Ok(()),
            Ok(_) => {}
            Err(error) if is_refusal(&error) => REFUSED.store(true, Ordering::Relaxed),
            Err(error) => return Err(error),
        }
    }
    batch.iter().try_for_each(|range| {
        advise(Span { addr: range.iov_base as usize, len: range.iov_len }, advice)
    })
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOSYS | libc::EPERM | libc::EINVAL | libc::EBADF | libc::ESRCH)
    )
}

fn process_madvise(batch: &[libc::iovec], advice: libc::c_int) -> io::Result<u64> {
    let own = own_pidfd()?;
    // SAFETY: `batch` is a valid array of ranges; the advice changes no contents (see the module).
    let result =
        unsafe { libc::syscall(SYS_PROCESS_MADVISE, own, batch.as_ptr(), batch.len(), advice, 0) };
    check(result)
}

/// A pidfd of this process, opened once (close-on-exec by nature).
fn own_pidfd() -> io::Result<libc::c_int> {
    static OWN: OnceLock<Result<libc::c_int, i32>> = OnceLock::new();
    let opened = OWN.get_or_init(|| {
        // SAFETY: plain call; the descriptor it makes stays open for the life of the process.
        let fd =
            unsafe { libc::syscall(SYS_PIDFD_OPEN, libc::c_long::from(std::process::id()), 0) };
        check(fd).map(|fd| fd as libc::c_int).map_err(|e| e.raw_os_error().unwrap_or(libc::ENOSYS))
    });
    opened.map_err(io::Error::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::arena::{FRAME_LEN, make_usable, reserve, unmap};

    #[test]
    fn a_batch_that_is_done_in_part_is_an_error() {
        if !has_populate() {
            return println!("skipped: no MADV_POPULATE_READ here");
        }
        let page = page_size().bytes() as usize;
        let reserved = reserve(FRAME_LEN).unwrap();
        let part = |index: usize| reserved.aligned.slice(index * page, (index + 1) * page);
        for index in [0, 2, 3] {
            make_usable(part(index)).unwrap();
        }
        let batch = |indices: &[usize]| {
            advise_all(indices.iter().map(|&index| part(index)), MADV_POPULATE_READ)
        };
        batch(&[0, 2, 3]).unwrap();
        // The second may not be touched.
        assert!(batch(&[0, 1, 2]).is_err());
        assert!(batch(&[1, 0]).is_err());
        unmap(reserved.whole);
    }
}
