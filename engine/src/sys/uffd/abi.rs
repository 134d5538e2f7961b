//! What the kernel and userfaultfd(2) say to each other: numbers, layouts, the descriptor.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd};

use crate::sys::check;

pub(in crate::sys) const UFFD_API: u64 = 0xaa;
const UFFD_USER_MODE_ONLY: libc::c_int = 1;
pub(in crate::sys) const EVENT_PAGEFAULT: u8 = 0x12;
pub(super) const MODE_MISSING: u64 = 1;
/// Bits of `features` and of `ioctls`.
pub(super) const FEATURE_SIGBUS: u64 = 1 << 7;
pub(super) const FEATURE_POISON: u64 = 1 << 14;
pub(super) const FEATURE_MOVE: u64 = 1 << 16;
/// Faults taken in by one read(2).
pub(in crate::sys) const FAULTS_AT_ONCE: usize = 64;

/// `_IOWR(0xaa, number, size)`: the same layout on x86-64 and arm64.
pub(in crate::sys) const fn ioctl_number(number: u64, size: usize) -> u64 {
    (3 << 30) | ((size as u64) << 16) | (0xaa << 8) | number
}
const USERFAULTFD_IOC_NEW: u64 = 0xaa00;

#[repr(C)]
#[derive(Debug, Default)]
pub(in crate::sys) struct Api {
    pub(in crate::sys) api: u64,
    pub(in crate::sys) features: u64,
    pub(in crate::sys) ioctls: u64,
}

#[repr(C)]
#[derive(Debug, Default)]
pub(in crate::sys) struct Range {
    pub(in crate::sys) start: u64,
    pub(in crate::sys) len: u64,
}

#[repr(C)]
#[derive(Debug, Default)]
pub(in crate::sys) struct Register {
    pub(in crate::sys) range: Range,
    pub(in crate::sys) mode: u64,
    pub(in crate::sys) ioctls: u64,
}

/// The argument of COPY and MOVE: where to, from where, how many bytes, mode, how many were done.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Transfer {
    pub(super) to: u64,
    pub(super) from: u64,
    pub(super) len: u64,
    pub(super) mode: u64,
    pub(super) done: i64,
}

/// The argument of ZEROPAGE and POISON.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Fill {
    pub(super) range: Range,
    pub(super) mode: u64,
    pub(super) done: i64,
}

/// `struct uffd_msg`, as far as page faults use it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::sys) struct Message {
    pub(in crate::sys) event: u8,
    reserved: [u8; 7],
    flags: u64,
    pub(in crate::sys) address: u64,
    more: u64,
}

/// Whose touches are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultScope {
    /// Those of the program and those of the kernel on its behalf.
    All,
    /// Those of the program only (`UFFD_USER_MODE_ONLY`): a system call that is given a page which
    /// is not in memory returns EFAULT.
    UserMode,
}

/// How a touch of a page that is not there is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The thread that touched waits, and [`Uffd::take_faults`](super::Uffd::take_faults) tells.
    Queued,
    /// The thread that touched gets SIGBUS, and a system call EFAULT (UFFD_FEATURE_SIGBUS).
    Signalled,
}

/// Takes in what waits, without waiting. Returns how many messages were read.
pub(in crate::sys) fn read_messages(
    mut file: &File,
    messages: &mut [Message],
) -> io::Result<usize> {
    let len = size_of_val(messages);
    let start = messages.as_mut_ptr().cast::<u8>();
    // SAFETY: messages are plain integers without padding, so they may be seen as bytes.
    let bytes = unsafe { std::slice::from_raw_parts_mut(start, len) };
    match file.read(bytes) {
        Ok(read) => Ok(read / size_of::<Message>()),
        Err(error) if would_block(&error) => Ok(0),
        Err(error) => Err(error),
    }
}

pub(in crate::sys) fn ioctl<T>(file: &File, number: u64, argument: &mut T) -> io::Result<()> {
    // SAFETY: every caller passes the structure that belongs to the number, and ranges that lie in
    // the reservation, in a cell, or in a mapping that is watched.
    let result =
        unsafe { libc::ioctl(file.as_raw_fd(), number as _, std::ptr::from_mut(argument)) };
    check(libc::c_long::from(result)).map(|_| ())
}

fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// The least restricted one that this user may have (TRAPS 19).
pub(in crate::sys) fn open() -> io::Result<(File, FaultScope)> {
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK;
    let full = open_with(flags).or_else(|_| open_device(flags));
    match full {
        Ok(file) => Ok((file, FaultScope::All)),
        Err(_) => open_with(flags | UFFD_USER_MODE_ONLY).map(|file| (file, FaultScope::UserMode)),
    }
}

fn open_with(flags: libc::c_int) -> io::Result<File> {
    // SAFETY: the call takes flags only and makes a new descriptor.
    let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, flags) };
    owned(check(fd)?)
}

/// Linux 6.1: whoever may open the device may have the full kind.
fn open_device(flags: libc::c_int) -> io::Result<File> {
    let device = File::options().read(true).write(true).open("/dev/userfaultfd")?;
    // SAFETY: this request takes flags by value and makes a new descriptor.
    let fd = unsafe { libc::ioctl(device.as_raw_fd(), USERFAULTFD_IOC_NEW as _, flags) };
    owned(check(libc::c_long::from(fd))?)
}

fn owned(fd: u64) -> io::Result<File> {
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { File::from_raw_fd(fd as libc::c_int) })
}

/// Asks for `needed`, and for what this kernel has of MOVE and POISON. The features that a kernel has are
/// told by the first of two descriptors only if it is asked for none; so try the most first.
pub(super) fn negotiate(file: &File, needed: u64) -> io::Result<u64> {
    let wanted = [FEATURE_MOVE | FEATURE_POISON, FEATURE_POISON, 0].map(|more| more | needed);
    let mut last = io::Error::from_raw_os_error(libc::EINVAL);
    for features in wanted {
        let mut api = Api { api: UFFD_API, features, ioctls: 0 };
        match ioctl(file, ioctl_number(0x3f, size_of::<Api>()), &mut api) {
            Ok(()) => return Ok(features),
            Err(error) => last = error,
        }
    }
    Err(last)
}
