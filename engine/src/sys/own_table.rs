//! A table of file descriptors for one thread alone.

use std::io;

/// Ends the calling thread's part in the program's table of file descriptors: what it opens from now on
/// is seen by nobody, counts towards nobody's RLIMIT_NOFILE, is inherited by no child, and closing it
/// releases none of the program's record locks (which any close in the program's own table does).
///
/// The thread has standard input, output and error, and nothing else.
///
/// # Errors
/// ENOSYS before Linux 5.9, and what a seccomp filter says.
///
/// Kernel: 5.9. Source: close_range(2); fs/file.c, sys_close_range; fs/locks.c,
/// locks_remove_posix.
pub(crate) fn leave_descriptor_table() -> io::Result<()> {
    let first = (libc::STDERR_FILENO + 1) as libc::c_uint;
    let flags = libc::CLOSE_RANGE_UNSHARE;
    // SAFETY: with this flag it closes descriptors of this thread's own copy only.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, flags) };
    super::check(result).map(|_| ())
}
