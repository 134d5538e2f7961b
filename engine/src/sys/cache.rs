//! cachestat(2): how much of a file is in the page cache.

use std::io;
use std::os::fd::RawFd;

use super::check;

/// The number is the same on every architecture (unified table, 6.5).
const SYS_CACHESTAT: libc::c_long = 451;

#[repr(C)]
#[derive(Default)]
struct CachestatRange {
    off: u64,
    len: u64,
}

#[repr(C)]
#[derive(Default)]
struct Cachestat {
    nr_cache: u64,
    nr_dirty: u64,
    nr_writeback: u64,
    nr_evicted: u64,
    nr_recently_evicted: u64,
}

/// What the kernel says about a file's pages in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheView {
    /// Pages in the page cache.
    pub cached_pages: u64,
    /// Pages that are not written back yet.
    pub dirty_pages: u64,
    /// Pages that were there and have been reclaimed; those that were dropped on demand do not count.
    pub evicted_pages: u64,
}

/// Counts the cached pages of `len` bytes of `file` from `offset` on; `len` 0 means to its end.
///
/// # Errors
/// EPERM when the caller neither owns nor may write the file, ENOSYS before Linux 6.5, EOPNOTSUPP
/// on hugetlbfs.
///
/// Kernel: 6.5. Source: mm/filemap.c, cachestat.
pub(crate) fn cache_view(file: RawFd, offset: u64, len: u64) -> io::Result<CacheView> {
    let range = CachestatRange { off: offset, len };
    let mut stat = Cachestat::default();
    let range_ptr: *const CachestatRange = &raw const range;
    let stat_ptr: *mut Cachestat = &raw mut stat;
    // SAFETY: both structures live until the call returns and have the kernel's layout.
    let result = unsafe { libc::syscall(SYS_CACHESTAT, file, range_ptr, stat_ptr, 0) };
    check(result)?;
    Ok(CacheView {
        cached_pages: stat.nr_cache,
        dirty_pages: stat.nr_dirty,
        evicted_pages: stat.nr_evicted,
    })
}
