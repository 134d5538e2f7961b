//! Pages that vanish under a mapping: the process-wide SIGBUS handler puts zeros in their place.
//!
//! A touch of a mapped page that the file does not have any more, or that cannot be read, raises
//! SIGBUS. The handler looks for the mapping in a fixed table of those that asked for it, notes the
//! page there, maps a private page of zeros in its place, and the touch is repeated. Everything else
//! goes to the handler that was there before.
//!
//! The same handler serves the pages of a `Paged` on the thread that touched them: see `here`.
//!
//! Limits, which the documentation of `MmapOptions::guard_sigbus` repeats: a thread that blocks SIGBUS
//! is killed by the kernel; whoever replaces the handler later must hand on to it; a library that holds
//! this code must not be unloaded.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use super::ranges::{Place, Ranges};
use super::signal::{Chain, Errno};
use super::{Span, page_size};

/// There is nothing behind the address: beyond the end of the file, or it could not be read. (Memory
/// that broke has other codes, and is not ours.) The same number everywhere on Linux.
const BUS_ADRERR: i32 = 2;

/// Mappings under the guard at a time. A guess: looking through all of them costs the handler about
/// 5 us, and the table takes 350 KiB, of which only what is used is ever touched.
const MAPPINGS_MAX: usize = 4096;

static CHAIN: Chain = Chain::new(libc::SIGBUS, on_fault);
static TABLE: Ranges<Losses, MAPPINGS_MAX> = Ranges::new([const { Losses::new() }; MAPPINGS_MAX]);

/// What the handler knows and notes of one mapping. Offsets are bytes from its first page on.
struct Losses {
    base: AtomicUsize,
    len: AtomicUsize,
    /// PROT_READ, with PROT_WRITE or without.
    prot: AtomicI32,
    /// The pages that were replaced all lie in `first..end`; empty when none was.
    first: AtomicUsize,
    end: AtomicUsize,
}

impl Losses {
    const fn new() -> Losses {
        Losses {
            base: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
            prot: AtomicI32::new(0),
            // All zero, so that the table takes no room in the program's file.
            first: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
        }
    }

    fn reset(&self, span: Span, prot: i32) {
        self.base.store(span.addr, Ordering::Relaxed);
        self.len.store(span.len, Ordering::Relaxed);
        self.prot.store(prot, Ordering::Relaxed);
        self.first.store(usize::MAX, Ordering::Relaxed);
        self.end.store(0, Ordering::Relaxed);
    }

    fn lost(&self) -> Option<Range<usize>> {
        let range = self.first.load(Ordering::SeqCst)..self.end.load(Ordering::SeqCst);
        (!range.is_empty()).then_some(range)
    }

    /// Puts zeros in the place of the page at `offset`. Where the process may have no more areas, in
    /// the place of the whole mapping, which needs none. False when the kernel refuses both, as it
    /// does in the middle of a huge page of hugetlbfs.
    fn replace(&self, offset: usize) -> bool {
        let page = page_size().bytes() as usize;
        let start = offset / page * page;
        self.zero(start..start + page) || self.zero(0..self.len.load(Ordering::Relaxed))
    }

    /// Noted before it is done: whoever reads the zeros and looks afterwards finds the note.
    fn zero(&self, range: Range<usize>) -> bool {
        self.first.fetch_min(range.start, Ordering::SeqCst);
        self.end.fetch_max(range.end, Ordering::SeqCst);
        let addr = self.base.load(Ordering::Relaxed).wrapping_add(range.start);
        let addr = std::ptr::without_provenance_mut(addr);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
        let prot = self.prot.load(Ordering::Relaxed);
        // SAFETY: whoever gets here holds the slot, so the range is inside a mapping that `watch` was
        // given and that its owner keeps until the slot is retired, which waits for holders. A mapped
        // file can change at any time anyway, and what was there could not be read.
        let mapped = unsafe { libc::mmap(addr, range.len(), prot, flags, -1, 0) };
        mapped != libc::MAP_FAILED
    }
}

/// A mapping whose vanished pages are replaced by zeros.
///
/// Dropping it retires it, so that the mapping may be unmapped or changed afterwards.
pub(crate) struct SigbusGuard {
    place: Place<Losses>,
}

/// What may be done to the zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zeros {
    /// They may be read. Never executed: a program that runs on through zeros does anything.
    ReadOnly,
    /// They may be stored to, and the stores are lost.
    Writable,
}

impl SigbusGuard {
    /// Takes a live mapping under the guard: whole pages, all of it the engine's own. Its owner drops
    /// the guard before it is unmapped, moved or protected otherwise.
    ///
    /// # Errors
    /// Those of [`Chain::install`]; `OutOfMemory` when 4,096 mappings are under the guard already.
    pub(crate) fn watch(span: Span, zeros: Zeros) -> io::Result<SigbusGuard> {
        CHAIN.install()?;
        let prot = match zeros {
            Zeros::ReadOnly => libc::PROT_READ,
            Zeros::Writable => libc::PROT_READ | libc::PROT_WRITE,
        };
        let (place, ()) = TABLE.take((span.addr, span.len), |losses| losses.reset(span, prot))?;
        Ok(SigbusGuard { place })
    }

    /// Ends it. Nothing is replaced any more from the return on, so that what [`lost`](Self::lost) says
    /// now stays true.
    pub(crate) fn end(self) -> Option<Range<usize>> {
        self.place.retire();
        self.lost()
    }

    /// Where pages were replaced, in bytes from the mapping's first page on: all of them lie in it,
    /// whole pages, though others may too.
    pub(crate) fn lost(&self) -> Option<Range<usize>> {
        self.place.data().lost()
    }
}

/// Installs the handler: see [`Chain::install`].
pub(super) fn install() -> io::Result<()> {
    CHAIN.install()
}

impl fmt::Debug for SigbusGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigbusGuard").field("lost", &self.lost()).finish()
    }
}

/// What the kernel calls. It takes no lock, allocates nothing, writes no log and cannot panic.
extern "C-unwind" fn on_fault(
    _signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let errno = Errno::save();
    // SAFETY: the kernel passes a signal's own information, valid until the return.
    let is_ours = unsafe { answer(info) };
    errno.restore();
    if !is_ours {
        // SAFETY: as above.
        unsafe { CHAIN.hand_on(info, context) };
    }
}

/// Replaces the touched page. False when the fault is in none of our mappings, or cannot be helped.
///
/// # Safety
/// `info` is that of a running SIGBUS handler.
unsafe fn answer(info: *const libc::siginfo_t) -> bool {
    // SAFETY: the caller's promise; nobody writes to it meanwhile.
    let info = unsafe { &*info };
    if info.si_code != BUS_ADRERR {
        return false;
    }
    // SAFETY: the information of a fault holds the address.
    let addr = unsafe { info.si_addr() } as usize;
    let Some(losses) = TABLE.find(addr) else { return super::here::answer(addr) };
    losses.replace(addr.wrapping_sub(losses.base.load(Ordering::Relaxed)))
}
