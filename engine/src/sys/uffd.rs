//! userfaultfd(2): pages that are filled when they are touched, and taken away again.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd};

use super::advise::drop_all;
use super::arena::{self, FRAME_LEN, Reserved};
use super::{Cell, Span, check};

pub(super) const UFFD_API: u64 = 0xaa;
const UFFD_USER_MODE_ONLY: libc::c_int = 1;
pub(super) const EVENT_PAGEFAULT: u8 = 0x12;
const MODE_MISSING: u64 = 1;
/// Bits of `features` and of `ioctls`.
const FEATURE_POISON: u64 = 1 << 14;
const FEATURE_MOVE: u64 = 1 << 16;
/// Faults taken in by one read(2).
pub(super) const FAULTS_AT_ONCE: usize = 64;

/// `_IOWR(0xaa, number, size)`: the same layout on x86-64 and arm64.
pub(super) const fn ioctl_number(number: u64, size: usize) -> u64 {
    (3 << 30) | ((size as u64) << 16) | (0xaa << 8) | number
}
const USERFAULTFD_IOC_NEW: u64 = 0xaa00;

#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Api {
    pub(super) api: u64,
    pub(super) features: u64,
    pub(super) ioctls: u64,
}

#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Range {
    pub(super) start: u64,
    pub(super) len: u64,
}

#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Register {
    pub(super) range: Range,
    pub(super) mode: u64,
    pub(super) ioctls: u64,
}

/// The argument of COPY and MOVE: where to, from where, how many bytes, mode, how many were done.
#[repr(C)]
#[derive(Debug, Default)]
struct Transfer {
    to: u64,
    from: u64,
    len: u64,
    mode: u64,
    done: i64,
}

/// The argument of ZEROPAGE and POISON.
#[repr(C)]
#[derive(Debug, Default)]
struct Fill {
    range: Range,
    mode: u64,
    done: i64,
}

/// `struct uffd_msg`, as far as page faults use it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Message {
    pub(super) event: u8,
    reserved: [u8; 7],
    flags: u64,
    pub(super) address: u64,
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
    /// EPERM and ENOSYS where userfaultfd is blocked; ENOMEM.
    pub(crate) fn reserve(len: usize) -> io::Result<Uffd> {
        let (file, scope) = open()?;
        let features = negotiate(&file)?;
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

/// Takes in what waits, without waiting. Returns how many messages were read.
pub(super) fn read_messages(mut file: &File, messages: &mut [Message]) -> io::Result<usize> {
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

pub(super) fn ioctl<T>(file: &File, number: u64, argument: &mut T) -> io::Result<()> {
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
pub(super) fn open() -> io::Result<(File, FaultScope)> {
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

/// Asks for what this kernel has of MOVE and POISON. The features that a kernel has are told by the
/// first of two descriptors only if it is asked for none; so try the most first.
fn negotiate(file: &File) -> io::Result<u64> {
    let wanted = [FEATURE_MOVE | FEATURE_POISON, FEATURE_POISON, 0];
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

/// What this user gets of userfaultfd.
#[cfg(feature = "lab")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Userfault {
    /// Whose touches can be served.
    pub scope: FaultScope,
    /// UFFDIO_MOVE: whole frames are moved, not copied. Linux 6.8.
    pub has_move: bool,
    /// UFFDIO_POISON: a bad page is a SIGBUS for who touches it. Linux 6.6.
    pub has_poison: bool,
}

/// Tries to get one.
#[cfg(feature = "lab")]
pub fn try_userfault() -> io::Result<Userfault> {
    let uffd = Uffd::reserve(1)?;
    let (has_move, has_poison) = (uffd.has_move(), uffd.has_poison());
    Ok(Userfault { scope: uffd.scope(), has_move, has_poison })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Fork;

    fn uffd(len: usize) -> Option<Uffd> {
        let uffd = Uffd::reserve(len).ok();
        if uffd.is_none() {
            println!("skipped: no userfaultfd here");
        }
        uffd
    }

    fn frame(byte: u8) -> Cell {
        let mut cell = Cell::reserve(FRAME_LEN, Fork::Withhold).unwrap();
        cell.populate().unwrap();
        cell.bytes_mut().fill(byte);
        cell
    }

    fn bytes(uffd: &Uffd) -> &[u8] {
        // SAFETY: the test fills what it reads, always with the same.
        unsafe { uffd.bytes(uffd.span().len) }
    }

    #[test]
    fn a_frame_moves_in_and_out_and_in_again() {
        let Some(uffd) = uffd(2 * FRAME_LEN) else { return };
        if !uffd.has_move() {
            return println!("skipped: no UFFDIO_MOVE here");
        }
        let mut cell = frame(7);
        uffd.adopt(&cell).unwrap();
        uffd.put(&cell, FRAME_LEN, 0).unwrap();
        assert!(bytes(&uffd)[FRAME_LEN..].iter().all(|&byte| byte == 7));
        let again = uffd.put(&cell, FRAME_LEN, 0);
        assert!(matches!(again, Err(Stopped { at: 0, why: Refused::Raced })));
        uffd.take(FRAME_LEN, &mut cell).unwrap();
        assert!(cell.bytes().iter().all(|&byte| byte == 7));
        uffd.put(&cell, FRAME_LEN, 0).unwrap();
        assert_eq!(bytes(&uffd)[FRAME_LEN + 5], 7);
        uffd.take(FRAME_LEN, &mut cell).unwrap();
        uffd.disown(&cell).unwrap();
    }

    /// One page in the middle is there already: what was moved before it is known.
    #[test]
    fn a_move_says_where_it_stopped_and_goes_on_from_there() {
        let Some(uffd) = uffd(FRAME_LEN) else { return };
        if !uffd.has_move() {
            return println!("skipped: no UFFDIO_MOVE here");
        }
        let (middle, page) = (100 * 4096, 4096);
        let mut cell = frame(5);
        uffd.adopt(&cell).unwrap();
        uffd.zero(middle, page).unwrap();
        let stopped = uffd.put(&cell, 0, 0).unwrap_err();
        assert!(
            matches!(stopped, Stopped { at, why: Refused::Raced } if at == middle),
            "{stopped:?}"
        );
        uffd.empty(middle, page).unwrap();
        uffd.put(&cell, 0, middle).unwrap();
        assert!(bytes(&uffd).iter().all(|&byte| byte == 5));
        // And back, stopped by a hole: nothing is missing afterwards but the hole.
        uffd.empty(middle, page).unwrap();
        let stopped = uffd.take(0, &mut cell).unwrap_err();
        assert!(
            matches!(stopped, Stopped { at, why: Refused::Raced } if at == middle),
            "{stopped:?}"
        );
        assert!(bytes(&uffd)[..middle].iter().all(|&byte| byte == 5));
        assert!(bytes(&uffd)[middle + page..].iter().all(|&byte| byte == 5));
        uffd.zero(middle, page).unwrap();
        uffd.take(0, &mut cell).unwrap();
        assert_eq!((cell.bytes()[middle - 1], cell.bytes()[middle]), (5, 0));
    }

    #[test]
    fn a_touch_is_reported_and_a_copy_wakes_it() {
        let Some(uffd) = uffd(FRAME_LEN) else { return };
        let cell = frame(9);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| bytes(&uffd)[5 * 4096 + 17]);
            let mut faults = Vec::new();
            while faults.is_empty() {
                uffd.take_faults(&mut faults).unwrap();
            }
            assert_eq!(faults, [5 * 4096]);
            uffd.copy(cell.part(0..4096), 5 * 4096).unwrap();
            assert_eq!(reader.join().unwrap(), 9);
        });
        // A page that is there already is stepped over.
        uffd.copy(cell.part(0..8 * 4096), 2 * 4096).unwrap();
        assert!(bytes(&uffd)[2 * 4096..10 * 4096].iter().all(|&byte| byte == 9));
        uffd.empty(5 * 4096, 4096).unwrap();
        uffd.zero(5 * 4096, 4096).unwrap();
        assert_eq!(bytes(&uffd)[5 * 4096], 0);
    }
}
