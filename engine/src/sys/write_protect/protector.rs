use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::sys::uffd::{
    Api, EVENT_PAGEFAULT, FAULTS_AT_ONCE, Message, Range, Register, UFFD_API, ioctl, ioctl_number,
    open, read_messages,
};
use crate::sys::{Span, fork_guard_init, in_forked_child};

/// `UFFD_FEATURE_*`, include/uapi/linux/userfaultfd.h.
pub(super) const FEATURE_PAGEFAULT_FLAG_WP: u64 = 1 << 0;
pub(super) const FEATURE_WP_HUGETLBFS_SHMEM: u64 = 1 << 12;
/// Pages of anonymous memory that are not there yet are watched as well.
pub(super) const FEATURE_WP_UNPOPULATED: u64 = 1 << 13;
pub(super) const FEATURE_WP_ASYNC: u64 = 1 << 15;

const REGISTER_MODE_WP: u64 = 1 << 1;
const WRITEPROTECT_MODE_WP: u64 = 1 << 0;

#[repr(C)]
#[derive(Debug)]
struct WriteProtect {
    range: Range,
    mode: u64,
}

/// A userfaultfd that write-protects one mapping. Dropping it lifts the protection and lets everyone go on
/// who waits.
#[derive(Debug)]
pub(super) struct Protector {
    file: File,
    span: Span,
}

impl Protector {
    /// # Errors
    /// EPERM and ENOSYS where userfaultfd is blocked, EINVAL where the kernel lacks one of `features` or
    /// cannot protect this kind of mapping with them, EBUSY when somebody else watches it.
    pub(super) fn new(span: Span, features: u64) -> io::Result<Protector> {
        fork_guard_init();
        let (file, _) = open()?;
        let mut api = Api { api: UFFD_API, features, ioctls: 0 };
        ioctl(&file, ioctl_number(0x3f, size_of::<Api>()), &mut api)?;
        let mut register = Register { range: range(span), mode: REGISTER_MODE_WP, ioctls: 0 };
        ioctl(&file, ioctl_number(0, size_of::<Register>()), &mut register)?;
        let protector = Protector { file, span };
        protector.protect(span)?;
        Ok(protector)
    }

    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// Has the next store to each page of `part` noticed.
    pub(super) fn protect(&self, part: Span) -> io::Result<()> {
        self.write_protect(part, WRITEPROTECT_MODE_WP)
    }

    /// Lets stores to `part` through, and wakes who waits there.
    pub(super) fn release(&self, part: Span) -> io::Result<()> {
        self.write_protect(part, 0)
    }

    /// Calls `each` with the offset of every page that somebody waits to store to; does not wait itself.
    pub(super) fn take_waiting(&self, mut each: impl FnMut(usize)) -> io::Result<()> {
        let mut messages = [Message::default(); FAULTS_AT_ONCE];
        let read = read_messages(&self.file, &mut messages)?;
        let faults = messages[..read].iter().filter(|message| message.event == EVENT_PAGEFAULT);
        faults.for_each(|message| each((message.address as usize).wrapping_sub(self.span.addr)));
        Ok(())
    }

    fn write_protect(&self, part: Span, mode: u64) -> io::Result<()> {
        let mut argument = WriteProtect { range: range(part), mode };
        ioctl(&self.file, ioctl_number(6, size_of::<WriteProtect>()), &mut argument)
    }
}

fn range(span: Span) -> Range {
    Range { start: span.addr as u64, len: span.len as u64 }
}

impl AsFd for Protector {
    /// Readable when somebody waits.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Protector {
    fn drop(&mut self) {
        // In a child the descriptor still speaks of its parent's memory, where all stays as it is.
        if !in_forked_child() {
            let mut range = range(self.span);
            // It fails only when the mapping is gone already.
            let _ = ioctl(&self.file, ioctl_number(1, size_of::<Range>()) & !(1 << 30), &mut range);
        }
    }
}
