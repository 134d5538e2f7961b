//! Whether a file can change: read leases, seals, fs-verity.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use super::check;

/// The same number on every Linux; missing from the libc crate.
const F_SETSIG: libc::c_int = 10;
/// A signal that does nothing unless somebody asked for it.
const QUIET_SIGNAL: libc::c_int = libc::SIGURG;
/// `_IOR('f', 1, long)`: the flags of a file, as fscrypt and fs-verity show them.
const FS_IOC_GETFLAGS: u64 =
    (2 << 30) | ((size_of::<libc::c_long>() as u64) << 16) | (0x66 << 8) | 1;
const FS_VERITY_FL: libc::c_long = 0x0010_0000;

/// A read lease: while it is held, nobody has the file open for writing, and whoever wants to waits
/// (up to /proc/sys/fs/lease-break-time, 45 s) until it is given up or taken away.
///
/// Source: fcntl(2), F_SETLEASE.
#[derive(Debug)]
pub(crate) struct Lease(Arc<OwnedFd>);

impl Lease {
    /// Takes a lease on `file`, which is open for reading only.
    ///
    /// # Errors
    /// EAGAIN: somebody has it open for writing. EACCES: it belongs to somebody else. EINVAL: its
    /// file system knows no leases. ENOENT: it has no name; the kernel grants a lease on a memfd
    /// although its maker may write to it.
    pub(crate) fn take(file: Arc<OwnedFd>) -> io::Result<Lease> {
        let fd = file.as_raw_fd();
        if is_nameless(&file)? {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        // The signal that would tell of a break is SIGIO, which kills. Once before the lease, so
        // that there is no moment with it, and once after, because taking one sets the owner.
        fcntl(fd, F_SETSIG, QUIET_SIGNAL)?;
        fcntl(fd, libc::F_SETLEASE, libc::F_RDLCK)?;
        let lease = Lease(file);
        fcntl(fd, F_SETSIG, QUIET_SIGNAL)?;
        fcntl(fd, libc::F_SETOWN, 0)?;
        Ok(lease)
    }

    /// Whether nobody can have written since it was taken.
    pub(crate) fn holds(&self) -> bool {
        fcntl(self.0.as_raw_fd(), libc::F_GETLEASE, 0)
            .is_ok_and(|kind| kind == libc::F_RDLCK as u64)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The descriptor may live on in a read that is in flight.
        let _ = fcntl(self.0.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK);
    }
}

fn is_nameless(file: &OwnedFd) -> io::Result<bool> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `stat` is writable memory for the answer.
    let result = unsafe { libc::fstat(file.as_raw_fd(), stat.as_mut_ptr()) };
    check(libc::c_long::from(result))?;
    // SAFETY: plain numbers, zeroed before and filled in by the call.
    Ok(unsafe { stat.assume_init() }.st_nlink == 0)
}

/// Whether `file` is a memfd whose bytes and length are sealed for good.
pub(crate) fn is_sealed(file: &OwnedFd) -> bool {
    let needed = (libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK) as u64;
    fcntl(file.as_raw_fd(), libc::F_GET_SEALS, 0).is_ok_and(|seals| seals & needed == needed)
}

/// Whether `file` is under fs-verity: read-only for ever.
pub(crate) fn has_verity(file: &OwnedFd) -> bool {
    let mut flags: libc::c_long = 0;
    // SAFETY: the request writes one long to `flags`.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_GETFLAGS as _, &raw mut flags) };
    result == 0 && flags & FS_VERITY_FL != 0
}

/// File systems whose files change only by what this kernel does to them through this very inode, so
/// that a lease means something. Not FUSE, virtiofs or network ones (somebody else's kernel writes),
/// nor overlay (a mapping of the file below writes past its lease).
const LOCAL: [i64; 5] = [0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010, 0x0102_1994];

/// Whether `file` lies on ext4, xfs, btrfs, f2fs or tmpfs.
pub(crate) fn is_local(file: &OwnedFd) -> bool {
    let mut raw = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: `raw` is writable memory for the structure.
    let result = unsafe { libc::fstatfs(file.as_raw_fd(), raw.as_mut_ptr()) };
    // SAFETY: all-zero bytes are a valid statfs, and the call has filled it if it succeeded.
    let stat = unsafe { raw.assume_init() };
    #[allow(clippy::unnecessary_cast, reason = "its type differs between targets")]
    let kind = stat.f_type as i64;
    result == 0 && LOCAL.contains(&kind)
}

fn fcntl(fd: libc::c_int, command: libc::c_int, argument: libc::c_int) -> io::Result<u64> {
    // SAFETY: every command used here takes an integer and leaves memory alone.
    let result = unsafe { libc::fcntl(fd, command, argument) };
    check(libc::c_long::from(result))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::OpenOptionsExt;

    fn read_only(path: &std::path::Path) -> Arc<OwnedFd> {
        Arc::new(OwnedFd::from(File::open(path).unwrap()))
    }

    #[test]
    fn a_lease_is_refused_while_there_is_a_writer_and_broken_by_the_next_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        let refused = Lease::take(read_only(&path)).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EAGAIN));
        let path = file.into_temp_path();
        let lease = Lease::take(read_only(&path)).unwrap();
        assert!(lease.holds());
        // Does not wait, but says that it wants to write: no signal kills us, and the lease is no
        // proof any more.
        let mut options = File::options();
        let writer = options.write(true).custom_flags(libc::O_NONBLOCK).open(&path);
        assert_eq!(writer.unwrap_err().raw_os_error(), Some(libc::EWOULDBLOCK));
        assert!(!lease.holds());
        drop(lease);
        File::options().write(true).open(&path).unwrap();
    }

    #[test]
    fn no_lease_is_taken_on_a_memfd_that_its_maker_may_write() {
        // SAFETY: the name is a C string; the call makes a new descriptor.
        let fd = unsafe { libc::memfd_create(c"writable".as_ptr(), libc::MFD_CLOEXEC) };
        // SAFETY: the descriptor was just made and belongs to nobody else.
        let _maker = unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd) };
        let refused = Lease::take(read_only(format!("/proc/self/fd/{fd}").as_ref())).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ENOENT));
    }

    #[test]
    fn only_a_memfd_with_both_seals_is_sealed() {
        let seals = [
            (0, false),
            (libc::F_SEAL_SHRINK, false),
            (libc::F_SEAL_SHRINK | libc::F_SEAL_WRITE, true),
        ];
        for (seals, expected) in seals {
            let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
            // SAFETY: the name is a C string; the call makes a new descriptor.
            let fd = unsafe { libc::memfd_create(c"sealed".as_ptr(), flags) };
            // SAFETY: the descriptor was just made and belongs to nobody else.
            let file = unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd) };
            fcntl(fd, libc::F_ADD_SEALS, seals).unwrap();
            assert_eq!(is_sealed(&file), expected, "{seals:#x}");
        }
        assert!(!is_sealed(&OwnedFd::from(File::open("/proc/self/exe").unwrap())));
        assert!(!has_verity(&OwnedFd::from(File::open("/proc/self/exe").unwrap())));
    }
}
