//! Locks on single bytes of a file that last as long as an open file description: what is left of a
//! process that died is that its locks are gone.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::check;

/// Locks one byte of `file`, which need not exist, for as long as this open file is open anywhere
/// (a descriptor of it that a child inherited counts). Says whether it was free.
///
/// Another open of the same file, also one in this process, is somebody else. `file` must be open for
/// writing.
///
/// # Errors
/// Those of fcntl(2): EBADF, ENOLCK. Kernel: Linux 3.15. Source: fcntl(2), F_OFD_SETLK.
pub fn try_lock(file: &File, byte: u64) -> io::Result<bool> {
    let mut lock = whole_write_lock(byte);
    match fcntl(file, libc::F_OFD_SETLK, &mut lock) {
        Ok(()) => Ok(true),
        Err(error) if is_taken(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether somebody else, by another open of the file, holds the lock on this byte.
///
/// # Errors
/// Those of fcntl(2).
pub fn is_locked_by_others(file: &File, byte: u64) -> io::Result<bool> {
    let mut lock = whole_write_lock(byte);
    fcntl(file, libc::F_OFD_GETLK, &mut lock)?;
    Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES))
}

fn whole_write_lock(byte: u64) -> libc::flock {
    // SAFETY: all-zero bytes are a valid flock; on some targets it has padding fields.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = byte as libc::off_t;
    lock.l_len = 1;
    lock
}

fn fcntl(file: &File, command: libc::c_int, lock: &mut libc::flock) -> io::Result<()> {
    // SAFETY: the descriptor is open as long as the borrow, and the call reads and writes `lock` only.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), command, std::ptr::from_mut(lock)) };
    check(libc::c_long::from(result)).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_locked_for_others_until_its_holder_is_gone() {
        let holder = tempfile::tempfile().unwrap();
        let path = format!("/proc/self/fd/{}", holder.as_raw_fd());
        let other = File::options().read(true).write(true).open(path).unwrap();
        assert!(try_lock(&holder, 7).unwrap());
        assert!(try_lock(&holder, 7).unwrap(), "one's own lock is no obstacle");
        assert!(!is_locked_by_others(&holder, 7).unwrap());
        assert!(is_locked_by_others(&other, 7).unwrap());
        assert!(!is_locked_by_others(&other, 8).unwrap());
        assert!(!try_lock(&other, 7).unwrap());
        drop(holder);
        assert!(try_lock(&other, 7).unwrap());
    }
}
