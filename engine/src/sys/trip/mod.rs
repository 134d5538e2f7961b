//! The guard's mechanism: mappings whose pages are closed until they are touched.
//!
//! A guarded mapping starts without any access right. The first touch of a window (a run of pages
//! of a fixed size) raises SIGSEGV; the [`handler`] finds the mapping in a fixed [`table`], opens
//! the window with mprotect(2), leaves its number in a bounded [`ring`] and rings the bell.
//! Everything that is not a load from a guarded page goes to the handler that was there before.
//!
//! Limits, which the documentation of `Mode::Guard` repeats: a system call given a closed page
//! returns EFAULT; a thread that blocks SIGSEGV is killed by a trip; whoever replaces the SIGSEGV
//! handler later must hand on to it; a library that holds this code must not be unloaded.

mod context;
mod handler;
mod ring;
mod stores;
mod table;
mod windows;

#[cfg(all(test, not(loom)))]
mod tests;

use std::fmt;
use std::io;
use std::ops::Range;

use super::{Bell, Span, page_size};
use table::{Place, Protection};

use handler::{install, set_bell};

/// What happened on one guarded mapping so far. `trips` = `handled` + `dropped` whenever no trip
/// is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TripCounts {
    /// Touches of closed pages that were answered.
    pub(crate) trips: u64,
    /// Those that left nothing to tell, or whose window is in the ring or was drained from it.
    pub(crate) handled: u64,
    /// Those that opened a window of which the worker does not hear: the ring was full, or this is
    /// a forked child.
    pub(crate) dropped: u64,
    /// The part of `handled` that found its window opened by somebody else just before.
    pub(crate) repeats: u64,
    /// Windows that are open, whoever opened them.
    pub(crate) open_windows: u64,
}

/// A guarded mapping's place in the table of the process.
///
/// Dropping it retires it: trips on pages that are still closed are then no longer answered, so the
/// mapping is unmapped after that, or was opened with [`open_all`](TripSlot::open_all) before it.
pub(crate) struct TripSlot {
    place: Place,
}

/// The least window: 2 MiB, the largest folio. In a smaller area the kernel maps no folio whole
/// that crosses its edge, and random touches of a warm file take ten times the faults.
const GRANULE_MIN: usize = 2 << 20;

/// Closes a whole mapping: [`TripSlot::close`] with windows of 2 MiB or more, open meaning
/// PROT_READ.
///
/// # Errors
/// Those of [`install`] and [`TripSlot::close`]; the mapping is open then.
pub(crate) fn guard(span: Span, bell: &'static Bell) -> io::Result<TripSlot> {
    install()?;
    set_bell(bell);
    let addr = std::ptr::without_provenance(span.addr);
    // SAFETY: a span is a live mapping of the engine's. Its owner retires the slot before it
    // unmaps it or changes its protection, and nobody else may change either.
    unsafe { TripSlot::close(addr, span.len, GRANULE_MIN, libc::PROT_READ) }
}

/// Has the first store to each window of a writable mapping noticed: windows as small as 2,048 of them
/// allow, a page at least. Loads are not hindered.
///
/// # Errors
/// As [`guard`]; every page is writable then.
pub(crate) fn watch_stores(span: Span) -> io::Result<TripSlot> {
    install()?;
    let addr = std::ptr::without_provenance(span.addr);
    let protection =
        Protection { open: libc::PROT_READ | libc::PROT_WRITE, closed: libc::PROT_READ };
    // SAFETY: as for `guard`; the mapping is readable and writable.
    unsafe { TripSlot::arm(addr, span.len, page_size().bytes() as usize, protection) }
}

impl TripSlot {
    /// Closes `len` bytes from `addr` (both in bytes; `addr` on a page, `len` rounded up to pages)
    /// with one system call, and answers touches from then on.
    ///
    /// `granule_min`: the least size of a window in bytes; it becomes a power of two, at least
    /// 64 KiB, and as large as it takes to bound the number of VMAs: at most 2,048 windows a
    /// mapping and 16,384 (and one a mapping) in the process. `prot`: what open means, PROT_READ or
    /// PROT_READ | PROT_EXEC.
    ///
    /// # Errors
    /// `Unsupported` before [`install`], `InvalidInput` for an empty or unaligned range,
    /// `OutOfMemory` when 256 mappings are guarded already, and the error of mprotect(2). The
    /// mapping is open then.
    ///
    /// # Safety
    /// The range is a live mapping of the caller, all of it with protection `prot`. Until the slot
    /// is retired or dropped, it is neither unmapped nor replaced nor protected otherwise.
    pub(crate) unsafe fn close(
        addr: *const u8,
        len: usize,
        granule_min: usize,
        prot: i32,
    ) -> io::Result<TripSlot> {
        let least = granule_min.max(64 << 10).max(page_size().bytes() as usize);
        let protection = Protection { open: prot, closed: libc::PROT_NONE };
        // SAFETY: the caller's promise.
        unsafe { TripSlot::arm(addr, len, least, protection) }
    }

    /// What [`close`](TripSlot::close) does, for any two protections, with windows of at least
    /// `granule_min` bytes, a page or more.
    ///
    /// # Errors
    /// As `close`.
    ///
    /// # Safety
    /// As `close`.
    unsafe fn arm(
        addr: *const u8,
        len: usize,
        granule_min: usize,
        protection: Protection,
    ) -> io::Result<TripSlot> {
        if !handler::is_installed() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let page_size = page_size().bytes() as usize;
        let base = addr.addr();
        let len = len.checked_next_multiple_of(page_size).unwrap_or(0);
        if len == 0 || !base.is_multiple_of(page_size) || base.checked_add(len).is_none() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // Live before it is closed: another thread may touch it at any time.
        let place = Place::take((base, len), granule_min, protection)?;
        let slot = TripSlot { place };
        if let Err(error) = slot.place.windows().close_all() {
            let _ = slot.open_all();
            return Err(error);
        }
        Ok(slot)
    }

    /// Opens those of `windows` (half-open, cut at the mapping's end) that are closed, with one
    /// system call for each run of them. Without effect once the slot is retired.
    ///
    /// # Errors
    /// The error of mprotect(2), usually ENOMEM for too many VMAs; runs before it are open.
    pub(crate) fn open(&self, windows: Range<usize>) -> io::Result<()> {
        self.place.hold().map_or(Ok(()), |hold| hold.open(windows))
    }

    /// Opens everything with one system call. Without effect once the slot is retired.
    ///
    /// # Errors
    /// The error of mprotect(2).
    pub(crate) fn open_all(&self) -> io::Result<()> {
        self.place.hold().map_or(Ok(()), |hold| hold.open_all())
    }

    /// Whether `window` has been opened; false for one beyond the end.
    pub(crate) fn is_open(&self, window: usize) -> bool {
        self.place.windows().is_open(window)
    }

    /// Calls `each` with the windows that were opened by trips since the last time, oldest first.
    /// Meant for one consumer; two would share them.
    pub(crate) fn drain(&self, each: impl FnMut(usize)) {
        self.place.windows().drain(each);
    }

    /// Calls `found` with the bytes of the windows that were stored to since the last time, ascending,
    /// and closes them again. Only after [`watch_stores`]; one caller at a time.
    ///
    /// # Errors
    /// The error of mprotect(2); what was found is told of again then.
    pub(crate) fn take_stored(&self, found: &mut dyn FnMut(Range<usize>)) -> io::Result<()> {
        let wait_for_handlers = || self.place.wait_for_others();
        self.place.hold().map_or(Ok(()), |hold| hold.take_stored(wait_for_handlers, found))
    }

    /// What happened so far.
    pub(crate) fn counts(&self) -> TripCounts {
        self.place.windows().counts()
    }

    /// Size of a window in bytes, a power of two. Window `n` starts `n * granule` bytes into the
    /// mapping.
    pub(crate) fn granule(&self) -> usize {
        1 << self.place.windows().shape().granule_shift
    }

    /// Number of windows; the last one may be short.
    #[cfg(test)]
    pub(crate) fn windows(&self) -> usize {
        self.place.windows().shape().windows()
    }

    /// Takes the mapping out of the table without giving the slot back, and waits for whoever is
    /// just opening a window (at most one mprotect each): from the return on nothing here changes
    /// the mapping, although the slot may be shared with the worker still. Trips are no longer
    /// answered either, so nobody may be reading: the caller has the mapping to itself, as it must
    /// to unmap it or to make it writable.
    pub(crate) fn retire(&self) {
        self.place.retire();
    }
}

impl fmt::Debug for TripSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TripSlot")
            .field("shape", &self.place.windows().shape())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
