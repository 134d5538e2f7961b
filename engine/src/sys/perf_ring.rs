//! The ring into which the kernel writes perf records.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use super::page_size;

/// Where the kernel's write position is in the first page. Source: struct perf_event_mmap_page.
const HEAD: usize = 1024;
/// Where ours is.
const TAIL: usize = 1032;

/// One page that says who is where, then a power of two of pages with records.
#[derive(Debug)]
pub(super) struct Ring {
    start: NonNull<u8>,
    page: usize,
    /// Bytes of records.
    len: usize,
}

// SAFETY: the mapping is shared with the kernel only, and may be used from any thread.
unsafe impl Send for Ring {}

impl Ring {
    /// For `event`, at least `len` bytes.
    pub(super) fn new(event: &OwnedFd, len: usize) -> io::Result<Ring> {
        let page = page_size().bytes() as usize;
        let len = len.max(page).next_power_of_two();
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let fd = event.as_raw_fd();
        // SAFETY: a new mapping at an address of the kernel's choice replaces none.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), page + len, protection, libc::MAP_SHARED, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Ring { start, page, len })
    }

    /// Moves all that the kernel has written to the end of `into`: whole records, since it moves its
    /// position by whole records.
    pub(super) fn drain(&mut self, into: &mut Vec<u8>) {
        let tail = self.position(TAIL).load(Ordering::Relaxed);
        // Acquire: the records were written before the position was.
        let head = self.position(HEAD).load(Ordering::Acquire);
        let count = usize::try_from(head.wrapping_sub(tail)).unwrap_or(0).min(self.len);
        let from = (tail as usize) & (self.len - 1);
        let first = count.min(self.len - from);
        self.copy(from, first, into);
        self.copy(0, count - first, into);
        // Release: the records were read before the kernel may write there again.
        self.position(TAIL).store(head, Ordering::Release);
    }

    fn copy(&self, from: usize, count: usize, into: &mut Vec<u8>) {
        debug_assert!(from + count <= self.len);
        into.reserve(count);
        let end = into.len();
        let place = into.spare_capacity_mut().as_mut_ptr().cast::<u8>();
        // SAFETY: the callers stay within the `len` bytes behind the first page.
        let records = unsafe { self.start.as_ptr().add(self.page + from) };
        // SAFETY: `count` bytes are readable there, and the kernel writes to none of them before the
        // tail has moved; as many were reserved behind the end of `into`, which does not overlap.
        unsafe { ptr::copy_nonoverlapping(records, place, count) };
        // SAFETY: these bytes were just written.
        unsafe { into.set_len(end + count) };
    }

    fn position(&self, at: usize) -> &AtomicU64 {
        // SAFETY: the offset lies in the first page.
        let place = unsafe { self.start.as_ptr().add(at) };
        // SAFETY: it is aligned to 8, mapped as long as `self`, and both sides use it atomically.
        unsafe { AtomicU64::from_ptr(place.cast()) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `new` made, whole, and nobody uses it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.page + self.len) };
    }
}
