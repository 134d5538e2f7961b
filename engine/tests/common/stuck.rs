//! A mapping of a file that nobody serves: a memfd whose pages userfaultfd is asked for.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use mmap_ahead::{Mmap, MmapOptions, Prefetch, PrefetchState};

use super::{MIB, becomes};

/// How long anything may take before a test says that it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// `_IOWR(0xaa, 0x3f, struct uffdio_api)` and `_IOWR(0xaa, 0x00, struct uffdio_register)`.
const UFFDIO_API: u64 = 0xc018_aa3f;
const UFFDIO_REGISTER: u64 = 0xc020_aa00;
const UFFD_API: u64 = 0xaa;
const REGISTER_MODE_MISSING: u64 = 1;

/// A userfaultfd on which `bytes` are registered, or why there is none.
fn ask_for_missing(bytes: &[u8]) -> Result<OwnedFd, String> {
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: plain call that makes a descriptor.
    let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, flags) };
    if fd < 0 {
        return Err(format!("userfaultfd: {}", std::io::Error::last_os_error()));
    }
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let uffd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    let mut api = [UFFD_API, 0, 0];
    // SAFETY: the structure has the size that the request carries, and lives until the return.
    let agreed = unsafe { libc::ioctl(uffd.as_raw_fd(), UFFDIO_API, api.as_mut_ptr()) };
    let mut register = [bytes.as_ptr() as u64, bytes.len() as u64, REGISTER_MODE_MISSING, 0];
    // SAFETY: as above. What it changes is how the first touches of the test's own mapping go.
    let registered =
        unsafe { libc::ioctl(uffd.as_raw_fd(), UFFDIO_REGISTER, register.as_mut_ptr()) };
    if (agreed, registered) != (0, 0) {
        return Err(format!("userfaultfd: {}", std::io::Error::last_os_error()));
    }
    Ok(uffd)
}

/// Whether a fault waits to be served.
fn has_fault(uffd: &OwnedFd) -> bool {
    let mut poll = libc::pollfd { fd: uffd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure, which lives until the return.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready == 1 && poll.revents & libc::POLLIN != 0
}

fn memfd(name: &str) -> File {
    let name = std::ffi::CString::new(name).unwrap();
    // SAFETY: the name is a C string; the call makes a new descriptor.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0, "memfd_create: {}", std::io::Error::last_os_error());
    // SAFETY: the descriptor was just made and belongs to nobody else.
    unsafe { File::from_raw_fd(fd) }
}

/// A mapping in which a worker hangs.
pub(crate) struct Stuck {
    pub(crate) map: Mmap,
    pub(crate) prefetch: Prefetch,
    /// Closing it serves the file again.
    pub(crate) uffd: OwnedFd,
}

impl Stuck {
    pub(crate) fn new(name: &str) -> Result<Stuck, String> {
        Stuck::with_len(name, 4 * MIB)
    }

    pub(crate) fn with_len(name: &str, len: usize) -> Result<Stuck, String> {
        let file = memfd(name);
        file.set_len(len as u64).unwrap();
        // SAFETY: nobody else knows the file.
        let map = unsafe { Mmap::map(&file) }.unwrap();
        let uffd = ask_for_missing(&map)?;
        let prefetch = map.prefetch(..);
        let stuck = Stuck { map, prefetch, uffd };
        assert!(becomes(PATIENCE, || has_fault(&stuck.uffd)), "no worker fetches it");
        assert_eq!(stuck.prefetch.state(), PrefetchState::Pending);
        Ok(stuck)
    }
}
