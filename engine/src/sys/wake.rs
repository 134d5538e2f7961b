//! Waiting for several descriptors, and one that other threads make readable.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd};
use std::time::Duration;

use super::check;

/// The most descriptors of one wait.
const FDS_MAX: usize = 4;

/// Readable from [`ring`](Wake::ring) to [`clear`](Wake::clear): eventfd(2).
#[derive(Debug)]
pub(crate) struct Wake(File);

impl Wake {
    pub(crate) fn new() -> io::Result<Wake> {
        // SAFETY: takes numbers only and makes a new descriptor.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        let fd = check(libc::c_long::from(fd))?;
        // SAFETY: the descriptor was just made and belongs to nobody else.
        Ok(Wake(unsafe { File::from_raw_fd(fd as libc::c_int) }))
    }

    pub(crate) fn ring(&self) {
        // It fails only when 2^64 - 1 rings are waiting: then it is readable anyway.
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }

    pub(crate) fn clear(&self) {
        // It fails only when nobody rang.
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sleeps until one of `fds` is readable, or `timeout` is over (`None`: for as long as it takes), or
/// for no reason.
///
/// # Errors
/// Those of poll(2).
///
/// # Panics
/// With more than four descriptors.
pub(crate) fn wait_readable(fds: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    let none = libc::pollfd { fd: -1, events: 0, revents: 0 };
    let mut polled = [none; FDS_MAX];
    for (slot, fd) in polled[..fds.len()].iter_mut().zip(fds) {
        *slot = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    }
    let milliseconds = timeout.map_or(-1, |timeout| {
        libc::c_int::try_from(timeout.as_millis()).unwrap_or(libc::c_int::MAX)
    });
    // SAFETY: `polled` holds `fds.len()` valid entries for the length of the call.
    let result = unsafe { libc::poll(polled.as_mut_ptr(), fds.len() as _, milliseconds) };
    match check(libc::c_long::from(result)) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        other => other.map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_heard_until_it_is_cleared() {
        let wake = Wake::new().unwrap();
        let begun = std::time::Instant::now();
        wake.ring();
        wake.ring();
        wait_readable(&[wake.as_fd()], None).unwrap();
        wake.clear();
        wait_readable(&[wake.as_fd()], Some(Duration::from_millis(20))).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(20), "it is silent after `clear`");
    }
}
