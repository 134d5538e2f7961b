//! mmap(MAP_FIXED | MAP_POPULATE) over a part of a live mapping.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::Span;

/// Maps `span` anew from `file` at `offset`, read-only and shared, and populates it.
///
/// The caller's mapping must be exactly that already (read-only, MAP_SHARED, same file and offset):
/// then the bytes behind every address stay the same, and only the page table changes. The kernel
/// replaces the area in one step under its lock: a reader never meets a hole. When the call fails
/// because no more areas may be made (ENOMEM), the old area stays: the kernel checks before it
/// removes. What is left: a file system whose own mmap fails for a file that it mapped before (a
/// network server that went away, a disk that was shut down) may leave a gap, in which a reader gets
/// SIGSEGV where it would have got SIGBUS. That is why this is never the default.
///
/// Kernel: any. Source: mm/vma.c, mmap_region (the count is checked before the old area is taken
/// away).
pub(crate) fn remap_populated(span: Span, file: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
    let flags = libc::MAP_SHARED | libc::MAP_FIXED | libc::MAP_POPULATE;
    let fd = file.as_raw_fd();
    let addr = span.addr as *mut libc::c_void;
    let offset = offset as libc::off_t;
    // SAFETY: `span` lies inside a live read-only shared mapping of the same file and offset, held
    // by its gate, so that every byte stays what it was; see above.
    let mapped = unsafe { libc::mmap(addr, span.len, libc::PROT_READ, flags, fd, offset) };
    if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}
