//! userfaultfd(2): pages that are filled when they are touched, and taken away again.

mod abi;
#[cfg(feature = "lab")]
mod lab;

pub use abi::FaultScope;
pub(crate) use abi::Missing;
#[cfg(feature = "lab")]
pub use lab::{Userfault, try_userfault};

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

pub(super) use abi::{
    Api, EVENT_PAGEFAULT, FAULTS_AT_ONCE, Message, Range, Register, UFFD_API, ioctl, ioctl_number,
    open, read_messages,
};
use abi::{FEATURE_MOVE, FEATURE_POISON, FEATURE_SIGBUS, Fill, MODE_MISSING, Transfer, negotiate};

use super::advise::drop_all;
use super::arena::{self, FRAME_LEN, Reserved};
use super::{Cell, Span, check};

/// A move or a copy that did not go all the way.
#[derive(Debug)]
pub(crate) struct Stopped {
    /// How many bytes were done before.
    pub(crate) at: usize,
    pub(crate) why: Refused,
}

/// How a page came not to be put where it should.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The device, or somebody else, still holds the pages (EBUSY): now and then for a moment
    /// after a direct read.
    Pinned,
    /// There is a page already (EEXIST), or there is none to take (ENOENT).
    Raced,
    Failed(io::Error),
}

/// Addresses that hold nothing until they are filled. Never written to by the program, but mapped
/// writable: UFFDIO_MOVE asks for that.
#[derive(Debug)]
pub(crate) struct Uffd {
    file: File,
    scope: FaultScope,
    features: u64,
    reserved: Reserved,
    /// The process that made it: a child has nothing at these addresses, or something else.
    process: u32,
}

impl Uffd {
    /// Reserves `len` bytes, rounded up to whole frames, and watches over them.
    ///
    /// # Errors
    /// EPERM and ENOSYS where userfaultfd is blocked; EINVAL before Linux 4.14 for
    /// [`Missing::Signalled`]; ENOMEM.
    pub(crate) fn reserve(len: usize, missing: Missing) -> io::Result<Uffd> {
        let (file, scope) = open()?;
        let (needed, scope) = match missing {
            Missing::Queued => (0, scope),
            Missing::Signalled => (FEATURE_SIGBUS, FaultScope::UserMode),
        };
        let features = negotiate(&file, needed)?;
        let len = len.max(1).next_multiple_of(FRAME_LEN);
        // In this order (TRAPS 15): with mlockall(MCL_FUTURE) the kernel would fill a readable range
        // with zeros before it is watched over.
        let reserved = arena::reserve(len)?;
        let uffd = Uffd { file, scope, features, reserved, process: std::process::id() };
        let span = uffd.span();
        uffd.watch(span)?;
        // Without MADV_HUGEPAGE a touch allocates a page table before it is reported, and a frame that
        // moves over a page table is split into its 512 pages: ten times the system time.
        for advice in [libc::MADV_DONTFORK, libc::MADV_DONTDUMP, libc::MADV_HUGEPAGE] {
            // SAFETY: the range was just reserved for this purpose; none of these changes contents.
            unsafe { libc::madvise(span.addr as *mut _, span.len, advice) };
        }
        arena::make_usable(span)?;
        Ok(uffd)
    }

    /// The addresses, all of them.
    pub(crate) fn span(&self) -> Span {
        self.reserved.aligned
    }

    /// The first `len` bytes as a slice.
    ///
    /// # Safety
    /// What is filled in never differs from what was filled in there before, and the bytes are read
    /// by nobody who serves the faults.
    pub(crate) unsafe fn bytes(&self, len: usize) -> &[u8] {
        assert!(len <= self.span().len);
        // SAFETY: the range is mapped as long as `self` lives and only ever filled; the caller
        // vouches for contents that stay the same.
        unsafe { std::slice::from_raw_parts(self.span().addr as *const u8, len) }
    }

    pub(crate) fn scope(&self) -> FaultScope {
        self.scope
    }

    pub(crate) fn has_move(&self) -> bool {
        self.features & FEATURE_MOVE != 0
    }

    pub(crate) fn has_poison(&self) -> bool {
        self.features & FEATURE_POISON != 0
    }

    /// Lets frames be moved into `cell`, which must be populated: from now on a touch where it is
    /// empty would wait for ever.
    pub(crate) fn adopt(&self, cell: &Cell) -> io::Result<()> {
        self.watch(cell.span())
    }

    /// The end of [`adopt`](Uffd::adopt).
    pub(crate) fn disown(&self, cell: &Cell) -> io::Result<()> {
        let Span { addr, len } = cell.span();
        let mut range = Range { start: addr as u64, len: len as u64 };
        self.call(ioctl_number(1, 16) & !(1 << 30), &mut range)
    }

    fn watch(&self, span: Span) -> io::Result<()> {
        let range = Range { start: span.addr as u64, len: span.len as u64 };
        let mut register = Register { range, mode: MODE_MISSING, ioctls: 0 };
        self.call(ioctl_number(0, size_of::<Register>()), &mut register)
    }

    /// Adds the offsets at which somebody waits; does not wait itself.
    pub(crate) fn take_faults(&self, faults: &mut Vec<usize>) -> io::Result<()> {
        let mut messages = [Message::default(); FAULTS_AT_ONCE];
        let read = read_messages(&self.file, &mut messages)?;
        let base = self.span().addr;
        let offsets = messages[..read].iter().filter(|message| message.event == EVENT_PAGEFAULT);
        faults.extend(offsets.map(|message| (message.address as usize).wrapping_sub(base)));
        Ok(())
    }

    /// Puts the frame in `cell` at `offset`, where nothing may be, and wakes who waits there. The
    /// cell is empty afterwards. Begins `from` bytes into both: where it stopped the last time.
    pub(crate) fn put(&self, cell: &Cell, offset: usize, from: usize) -> Result<(), Stopped> {
        let to = self.part(offset, cell.len());
        self.transfer(MOVE, cell.span(), to, from)
    }

    /// Takes the frame at `offset` back into `cell`, which is empty. Whoever reads there waits. When
    /// it stops half way, what was taken is back at `offset` afterwards, and the cell is empty.
    pub(crate) fn take(&self, offset: usize, cell: &mut Cell) -> Result<(), Stopped> {
        let from = self.part(offset, cell.len());
        let Err(stopped) = self.transfer(MOVE, from, cell.span(), 0) else { return Ok(()) };
        let taken = cell.part(0..stopped.at);
        let place = self.part(offset, stopped.at);
        if let Err(back) = self.transfer(MOVE, taken, place, 0) {
            self.transfer(COPY, taken, place, back.at)?;
            cell.discard();
        }
        Err(stopped)
    }

    /// Copies `from`, a part of a cell, to `offset`, and wakes who waits there. Pages that are there
    /// already stay.
    pub(crate) fn copy(&self, from: Span, offset: usize) -> Result<(), Stopped> {
        let to = self.part(offset, from.len);
        self.transfer(COPY, from, to, 0)
    }

    /// Copies `from`, a part of a cell of one page, to `offset`, where nothing may be. Async-signal-safe.
    pub(crate) fn copy_page(&self, from: Span, offset: usize) -> Result<(), Refused> {
        let to = self.part(offset, from.len);
        loop {
            let mut transfer = Transfer {
                to: to.addr as u64,
                from: from.addr as u64,
                len: to.len as u64,
                ..Transfer::default()
            };
            let result = self.call(ioctl_number(COPY, size_of::<Transfer>()), &mut transfer);
            let Err(error) = result else { return Ok(()) };
            match error.raw_os_error() {
                Some(libc::EAGAIN) => {}
                Some(libc::EEXIST) => return Err(Refused::Raced),
                _ => return Err(Refused::Failed(error)),
            }
        }
    }

    /// Fills `len` bytes from `offset` on with zeros.
    pub(crate) fn zero(&self, offset: usize, len: usize) -> io::Result<()> {
        self.fill(4, offset, len)
    }

    /// Makes a touch there a SIGBUS from now on, also for who waits there.
    pub(crate) fn poison(&self, offset: usize, len: usize) -> io::Result<()> {
        self.fill(8, offset, len)
    }

    fn fill(&self, number: u64, offset: usize, len: usize) -> io::Result<()> {
        let to = self.part(offset, len);
        let range = Range { start: to.addr as u64, len: to.len as u64 };
        let mut fill = Fill { range, mode: 0, done: 0 };
        match self.call(ioctl_number(number, size_of::<Fill>()), &mut fill) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => self.wake(offset, len),
            other => other,
        }
    }

    /// Wakes who waits there, to look again.
    pub(crate) fn wake(&self, offset: usize, len: usize) -> io::Result<()> {
        let at = self.part(offset, len);
        let mut range = Range { start: at.addr as u64, len: at.len as u64 };
        self.call(ioctl_number(2, size_of::<Range>()) & !(1 << 30), &mut range)
    }

    /// Copies what is at `offset`, which must be there: nobody would serve a touch of this thread.
    pub(crate) fn copy_out(&self, offset: usize, to: &mut [u8]) {
        let from = self.part(offset, to.len()).addr as *const u8;
        // SAFETY: the range is mapped as long as `self` lives; its bytes do not change while they are
        // there, and `to` is memory of somebody else.
        unsafe { std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
    }

    /// [`empty`](Uffd::empty) for many ranges, given by offset and length.
    pub(crate) fn empty_all(&self, ranges: &[(usize, usize)]) -> io::Result<()> {
        drop_all(ranges.iter().map(|&(offset, len)| self.part(offset, len)))
    }

    /// Empties `len` bytes from `offset` on: the next touch waits to be filled again.
    pub(crate) fn empty(&self, offset: usize, len: usize) -> io::Result<()> {
        let at = self.part(offset, len);
        // SAFETY: the range is ours; readers that touch it again are served the same bytes.
        let result = unsafe { libc::madvise(at.addr as *mut _, at.len, libc::MADV_DONTNEED) };
        check(libc::c_long::from(result)).map(|_| ())
    }

    fn part(&self, offset: usize, len: usize) -> Span {
        let whole = self.span();
        assert!(offset <= whole.len && len <= whole.len - offset, "{offset} + {len} of {whole:?}");
        whole.slice(offset, offset + len)
    }

    fn transfer(&self, number: u64, from: Span, to: Span, begin: usize) -> Result<(), Stopped> {
        let mut at = begin;
        while at < to.len {
            let mut transfer = Transfer {
                to: (to.addr + at) as u64,
                from: (from.addr + at) as u64,
                len: (to.len - at) as u64,
                ..Transfer::default()
            };
            let result = self.call(ioctl_number(number, size_of::<Transfer>()), &mut transfer);
            let Err(error) = result else { return Ok(()) };
            // What was done before the error, which is the next one's then.
            let done = usize::try_from(transfer.done).unwrap_or(0);
            at += done;
            let why = match error.raw_os_error() {
                Some(libc::EAGAIN) => continue,
                Some(libc::EEXIST) if number == COPY => {
                    at += if done == 0 { self.skip(to, at) } else { 0 };
                    continue;
                }
                _ if done > 0 => continue,
                Some(libc::EBUSY) => Refused::Pinned,
                Some(libc::EEXIST | libc::ENOENT) => Refused::Raced,
                _ => Refused::Failed(error),
            };
            return Err(Stopped { at, why });
        }
        Ok(())
    }

    /// Wakes whoever waits for the page at `at`, which is there already, and steps over it.
    fn skip(&self, to: Span, at: usize) -> usize {
        let page = super::page_size().bytes() as usize;
        let offset = to.addr - self.span().addr + at;
        // It fails for addresses that are not watched over, which these are.
        let _ = self.wake(offset, page);
        page
    }

    fn call<T>(&self, number: u64, argument: &mut T) -> io::Result<()> {
        ioctl(&self.file, number, argument)
    }
}

const COPY: u64 = 3;
const MOVE: u64 = 5;

impl AsFd for Uffd {
    /// Readable when somebody waits.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Uffd {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            arena::unmap(self.reserved.whole);
        }
    }
}

#[cfg(test)]
mod tests;
