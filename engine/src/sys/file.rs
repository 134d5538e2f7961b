//! What an open file says about itself while it is being mapped.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use super::cache_view;
use crate::page::ByteLen;
use crate::record::FileStamp;

/// Facts about a mapped file that cannot be asked for later, since a mapping keeps no descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileFacts {
    /// Major and minor number of the device that holds it.
    pub(crate) device: (u32, u32),
    /// Its number there.
    pub(crate) inode: u64,
    /// Whether mincore(2) tells the truth about it.
    pub(crate) is_cache_visible: bool,
    /// Length and modification time when it was mapped.
    pub(crate) stamp: FileStamp,
}

/// Reads the facts; two system calls.
pub(crate) fn file_facts(file: RawFd) -> io::Result<FileFacts> {
    let stat = stat(file)?;
    let device = (libc::major(stat.st_dev), libc::minor(stat.st_dev));
    let len = ByteLen(u64::try_from(stat.st_size).unwrap_or(0));
    let mtime_ns = mtime_ns(&stat);
    let is_cache_visible = is_cache_visible(file, stat.st_uid);
    let inode = stat.st_ino;
    Ok(FileFacts { device, inode, is_cache_visible, stamp: FileStamp { len, mtime_ns } })
}

/// The length of a regular file; `None` for anything else, whose length says nothing.
pub(crate) fn regular_len(file: RawFd) -> Option<u64> {
    let stat = stat(file).ok()?;
    let is_regular = stat.st_mode & libc::S_IFMT == libc::S_IFREG;
    u64::try_from(stat.st_size).ok().filter(|_| is_regular)
}

fn stat(file: RawFd) -> io::Result<libc::stat> {
    let mut raw = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `raw` is writable memory for a stat structure.
    let result = unsafe { libc::fstat(file, raw.as_mut_ptr()) };
    super::check(libc::c_long::from(result))?;
    // SAFETY: the call succeeded, so it has filled the structure.
    Ok(unsafe { raw.assume_init() })
}

/// Nanoseconds since 1970; a time beyond what 64 bits hold is the last that they do.
#[allow(clippy::unnecessary_cast, reason = "both are shorter where pointers are")]
fn mtime_ns(stat: &libc::stat) -> i64 {
    let seconds = (stat.st_mtime as i64).saturating_mul(1_000_000_000);
    seconds.saturating_add(stat.st_mtime_nsec as i64)
}

/// The kernel shows the cache of a file to whoever owns it or may write it. cachestat(2) says EPERM
/// where mincore(2) would lie, but not on every kernel that has it: only a yes of both counts, from it
/// and from the owner.
fn is_cache_visible(file: RawFd, owner: libc::uid_t) -> bool {
    match cache_view(file, 0, 1) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => false,
        Ok(_) | Err(_) => {
            // SAFETY: geteuid has no precondition and cannot fail.
            let user = unsafe { libc::geteuid() };
            user == 0 || user == owner
        }
    }
}

/// A descriptor of our own for the same open file (close-on-exec).
pub(crate) fn keep(file: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the caller's descriptor is open during the call: it was just used to map the file.
    let file = unsafe { BorrowedFd::borrow_raw(file) };
    file.try_clone_to_owned()
}

/// Frees the space of `range` of a file, which reads as zeros from then on and stays as long as it is.
///
/// # Errors
/// EOPNOTSUPP where the file system cannot. Source: fallocate(2).
pub(crate) fn punch_hole(file: &std::fs::File, range: std::ops::Range<u64>) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    let (start, len) = (range.start as libc::off_t, (range.end - range.start) as libc::off_t);
    // SAFETY: the descriptor is open as long as the borrow; the call takes numbers only.
    let result = unsafe { libc::fallocate(file.as_raw_fd(), mode, start, len) };
    super::check(libc::c_long::from(result)).map(|_| ())
}
