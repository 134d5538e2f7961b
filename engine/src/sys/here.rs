//! Page faults that are served on the thread that touched, from the process-wide SIGBUS handler
//! (UFFD_FEATURE_SIGBUS).
//!
//! Limits, which the documentation of `Faults::OnFaultingThread` repeats: a system call that is given a
//! page which is not there returns EFAULT; a thread that blocks SIGBUS is killed by the kernel; whoever
//! replaces the handler later must hand on to it; a library that holds this code must not be unloaded.

use std::fmt;
use std::io;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::ranges::{Place, Ranges};
use super::{Span, in_forked_child, sigbus};

/// Ranges at a time. A guess: looking through all of them costs the handler less than 1 us.
const RANGES_MAX: usize = 256;

static TABLE: Ranges<Seat, RANGES_MAX> = Ranges::new([const { Seat::new() }; RANGES_MAX]);

/// Brings pages, from inside a signal handler.
pub(crate) trait ServeHere: Send + Sync {
    /// The page at `offset` of the range was touched and was not there: it is when this returns, or the
    /// touch will be told again. False when nothing can be done.
    ///
    /// It takes no lock, allocates nothing, writes no log and cannot panic. All signals are blocked, and
    /// the stack may have 4 KiB left.
    fn serve(&self, offset: usize) -> bool;
}

/// Who serves one range.
struct Seat {
    base: AtomicUsize,
    server: AtomicPtr<Arc<dyn ServeHere>>,
}

impl Seat {
    const fn new() -> Seat {
        Seat { base: AtomicUsize::new(0), server: AtomicPtr::new(ptr::null_mut()) }
    }
}

/// A range that is going to be served on the thread that touches.
pub(crate) struct HerePlace(Place<Seat>);

/// A range whose faults are served so. Dropped before the range is unmapped.
pub(crate) struct Here(HerePlace);

impl HerePlace {
    /// Takes a place for `span`. Until [`begin`](HerePlace::begin) its touches are not answered.
    ///
    /// # Errors
    /// Those of installing the handler: `Unsupported` when somebody put another one in its place;
    /// `OutOfMemory` when 256 ranges have one already.
    pub(crate) fn take(span: Span) -> io::Result<HerePlace> {
        sigbus::install()?;
        let prepare = |seat: &Seat| {
            seat.base.store(span.addr, Ordering::Relaxed);
            seat.server.store(ptr::null_mut(), Ordering::Relaxed);
        };
        TABLE.take((span.addr, span.len), prepare).map(|(place, ())| HerePlace(place))
    }

    /// Has `server` serve what is touched.
    pub(crate) fn begin(self, server: Arc<dyn ServeHere>) -> Here {
        let server = Box::into_raw(Box::new(server));
        self.0.data().server.store(server, Ordering::Release);
        Here(self)
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        // From here on no handler uses the server; in a forked child there is no other thread.
        self.0.0.retire();
        let server = self.0.0.data().server.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: from the box of `begin`, taken out once.
        drop(unsafe { Box::from_raw(server) });
    }
}

impl fmt::Debug for Here {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Here").finish_non_exhaustive()
    }
}

/// Has the page at `addr` brought. False when it lies in no range of ours, or nothing can be done.
/// Async-signal-safe.
pub(super) fn answer(addr: usize) -> bool {
    let Some(seat) = TABLE.find(addr) else { return false };
    // A child has nothing at these addresses, or something of its own.
    if in_forked_child() {
        return false;
    }
    let server = seat.server.load(Ordering::Acquire);
    // SAFETY: the seat is held, so that it is live and its server is not freed.
    let Some(server) = (unsafe { server.as_ref() }) else { return false };
    server.serve(addr.wrapping_sub(seat.base.load(Ordering::Relaxed)))
}
