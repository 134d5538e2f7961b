//! Memory of our own that a device reads into: reserved at once, allocated frame by frame, and
//! handed out as cells that each have one owner.

use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;

use super::{Span, check, page_size};

/// The size of a huge page on x86-64 and of the pieces that `Paged` moves: 2 MiB.
pub(crate) const FRAME_LEN: usize = 2 << 20;

/// Linux 5.14.
const MADV_POPULATE_WRITE: libc::c_int = 23;
/// Linux 6.1.
const MADV_COLLAPSE: libc::c_int = 25;

/// Whether a child process gets a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fork {
    /// As ordinary memory.
    Inherit,
    /// The child has nothing there: a frame shared at fork could never be moved again (TRAPS 14).
    Withhold,
}

/// Anonymous memory, aligned to [`FRAME_LEN`]. Unmapped when the last of its cells is gone.
#[derive(Debug)]
struct Arena {
    span: Span,
    whole: Span,
    fork: Fork,
    process: u32,
}

/// A part of an arena with exactly one owner: whoever has the cell may read and write it, and gives
/// it away to have the kernel write into it.
#[derive(Debug)]
pub(crate) struct Cell {
    arena: Arc<Arena>,
    span: Span,
}

impl Cell {
    /// Reserves `len` bytes, rounded up to whole frames, as one cell. Nothing is allocated yet.
    ///
    /// # Errors
    /// Those of mmap(2): ENOMEM.
    pub(crate) fn reserve(len: usize, fork: Fork) -> io::Result<Cell> {
        let len = len.max(1).next_multiple_of(FRAME_LEN);
        let span = reserve(len)?;
        let process = std::process::id();
        let arena = Arena { span: span.aligned, whole: span.whole, fork, process };
        make_usable(arena.span)?;
        advise(arena.span, libc::MADV_HUGEPAGE);
        if fork == Fork::Withhold {
            advise(arena.span, libc::MADV_DONTFORK);
            advise(arena.span, libc::MADV_DONTDUMP);
        }
        Ok(Cell { span: arena.span, arena: Arc::new(arena) })
    }

    /// Cuts the cell into pieces of `len` bytes; what is left over at the end is given up.
    pub(crate) fn split(self, len: usize) -> Vec<Cell> {
        let whole = |span: &Span| span.len == len;
        let piece = |span| Cell { arena: Arc::clone(&self.arena), span };
        self.span.pieces(len).filter(whole).map(piece).collect()
    }

    pub(crate) fn span(&self) -> Span {
        self.span
    }

    pub(crate) fn len(&self) -> usize {
        self.span.len
    }

    /// What it holds; zeros where nothing was written.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the span lies in the arena, which lives as long as the cell; anonymous memory is
        // initialised; nobody writes while `self` is borrowed, since the cell has one owner.
        unsafe { std::slice::from_raw_parts(self.span.addr as *const u8, self.span.len) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.span.addr as *mut u8, self.span.len) }
    }

    /// Allocates all of it, so that no later touch faults.
    ///
    /// # Errors
    /// ENOMEM. Kernels before 5.14 allocate by touching every page.
    pub(crate) fn populate(&mut self) -> io::Result<()> {
        // SAFETY: populating memory that this cell owns changes no contents.
        let result =
            unsafe { libc::madvise(self.span.addr as *mut _, self.span.len, MADV_POPULATE_WRITE) };
        match check(libc::c_long::from(result)) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                let page = page_size().bytes() as usize;
                self.bytes_mut().iter_mut().step_by(page).for_each(|byte| *byte = 0);
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }

    /// Makes one huge page of it again, and keeps what it holds. Refused before Linux 6.1 and where
    /// there is no free one.
    pub(crate) fn collapse(&mut self) {
        advise(self.span, MADV_COLLAPSE);
    }

    /// Gives the memory back to the system; the cell reads as zeros afterwards.
    pub(crate) fn discard(&mut self) {
        advise(self.span, libc::MADV_DONTNEED);
    }

    /// The part of it that `range` says; panics when that is not inside.
    pub(crate) fn part(&self, range: Range<usize>) -> Span {
        assert!(range.start <= range.end && range.end <= self.span.len, "{range:?} of {self:?}");
        self.span.slice(range.start, range.end)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // A child did not get it; its addresses may be somebody else's there.
        let is_elsewhere = self.fork == Fork::Withhold && self.process != std::process::id();
        if !is_elsewhere {
            unmap(self.whole);
        }
    }
}

/// Advice that may be refused: it is about speed only, or about children.
fn advise(span: Span, advice: libc::c_int) {
    // SAFETY: the callers own the span; the only advice that changes contents (DONTNEED) is given
    // by the one owner of a cell.
    unsafe { libc::madvise(span.addr as *mut _, span.len, advice) };
}

/// An address range and the one inside it that begins at a multiple of [`FRAME_LEN`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Reserved {
    pub(super) whole: Span,
    pub(super) aligned: Span,
}

/// Maps `len` bytes of private anonymous memory, aligned to [`FRAME_LEN`], which nobody may touch
/// before [`make_usable`]. It is never locked (TRAPS 15): with mlockall(MCL_FUTURE) the kernel would
/// fill it at once, and locked memory is neither moved to memory that is not nor given back.
pub(super) fn reserve(len: usize) -> io::Result<Reserved> {
    let padded = len.checked_add(FRAME_LEN).ok_or(io::ErrorKind::OutOfMemory)?;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice disturbs nothing.
    let base = unsafe { libc::mmap(ptr::null_mut(), padded, libc::PROT_NONE, flags, -1, 0) };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let whole = Span { addr: base as usize, len: padded };
    let aligned = Span { addr: whole.addr.next_multiple_of(FRAME_LEN), len };
    // SAFETY: the range was just mapped and holds nothing.
    unsafe { libc::munlock(base, padded) };
    Ok(Reserved { whole, aligned })
}

/// Lets `span`, which was reserved, be read and written.
pub(super) fn make_usable(span: Span) -> io::Result<()> {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the caller reserved the range and owns it; more access changes no contents.
    let result = unsafe { libc::mprotect(span.addr as *mut _, span.len, prot) };
    check(libc::c_long::from(result)).map(|_| ())
}

pub(super) fn unmap(whole: Span) {
    // SAFETY: callers pass a mapping of their own that nothing refers to any more.
    unsafe { libc::munmap(whole.addr as *mut _, whole.len) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_aligned_disjoint_and_zero_until_written() {
        let whole = Cell::reserve(3 * FRAME_LEN - 5, Fork::Inherit).unwrap();
        assert_eq!((whole.len(), whole.span().addr % FRAME_LEN), (3 * FRAME_LEN, 0));
        let mut cells = whole.split(FRAME_LEN);
        assert_eq!(cells.len(), 3);
        cells[1].populate().unwrap();
        cells[1].bytes_mut().fill(7);
        assert!(cells[0].bytes().iter().all(|&byte| byte == 0));
        cells[1].discard();
        assert!(cells[1].bytes().iter().all(|&byte| byte == 0));
        let last = cells.pop().unwrap();
        drop(cells);
        assert_eq!(last.bytes()[FRAME_LEN - 1], 0, "the arena lives as long as its last cell");
    }

    #[test]
    #[should_panic(expected = "0..4097")]
    fn a_part_lies_inside_its_cell() {
        let cell = Cell::reserve(1, Fork::Inherit).unwrap().split(4096).pop().unwrap();
        cell.part(0..4097);
    }
}
