//! Reading what the page cache holds already, and asking for what it does not.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// What can be read without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Now {
    /// So many bytes; 0 at the end of the file.
    Read(usize),
    /// Nothing: the disk has to be waited for.
    Wait,
    /// This kernel or file system does not say.
    Unknown,
}

/// Reads what is in the page cache from `offset` on, and does not wait for the rest.
///
/// # Errors
/// Those of pread(2), EINTR among them.
///
/// Kernel: 4.14 and a file system with FMODE_NOWAIT; [`Now::Unknown`] without. Source: preadv2(2).
pub(crate) fn read_now(file: &File, buf: &mut [u8], offset: u64) -> io::Result<Now> {
    let Ok(offset) = libc::off64_t::try_from(offset) else {
        return Ok(Now::Unknown);
    };
    let part = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    // SAFETY: `part` describes `buf`, which is writable and lives until the call returns.
    let result = unsafe { preadv2(file.as_raw_fd(), &raw const part, 1, offset, libc::RWF_NOWAIT) };
    if let Ok(len) = usize::try_from(result) {
        return Ok(Now::Read(len));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN) => Ok(Now::Wait),
        Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL | libc::EPERM) => Ok(Now::Unknown),
        _ => Err(error),
    }
}

/// Has the kernel start to read `len` bytes from `offset` on into the page cache.
///
/// The kernel silently cuts a call to the larger of the disk's optimal request and its
/// `read_ahead_kb`; whoever asks for more than 128 KiB looks afterwards.
///
/// # Errors
/// Those of posix_fadvise(2), such as ESPIPE for a pipe.
///
/// Source: posix_fadvise(2), POSIX_FADV_WILLNEED; mm/readahead.c, force_page_cache_ra.
pub(crate) fn read_ahead(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let too_large = |_| io::Error::from_raw_os_error(libc::EINVAL);
    let offset = libc::off64_t::try_from(offset).map_err(too_large)?;
    let len = libc::off64_t::try_from(len).map_err(too_large)?;
    // SAFETY: it takes no pointers; a descriptor that cannot be read ahead is refused.
    let errno =
        unsafe { libc::posix_fadvise64(file.as_raw_fd(), offset, len, libc::POSIX_FADV_WILLNEED) };
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}

/// Has the kernel read no more of `file` than it is asked for, through this open file. Only advice.
///
/// Source: posix_fadvise(2), POSIX_FADV_RANDOM.
pub(crate) fn no_read_ahead(file: &File) {
    // SAFETY: it takes no pointers; a descriptor that knows no read-ahead is refused.
    unsafe { libc::posix_fadvise64(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_RANDOM) };
}

// musl's off_t has 64 bits everywhere, glibc's has not.
#[cfg(target_env = "musl")]
use libc::preadv2;
#[cfg(not(target_env = "musl"))]
use libc::preadv64v2 as preadv2;
