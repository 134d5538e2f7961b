//! The process-wide SIGSEGV handler: opens the touched window, hands on what is not the guard's.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::context::access;
use super::table;
use super::windows::{Served, Worker};
use crate::sys::signal::{Chain, Errno};
use crate::sys::{Bell, in_forked_child};

/// The page is mapped, but its protection forbids the access. The same number everywhere on Linux.
const SEGV_ACCERR: i32 = 2;

static CHAIN: Chain = Chain::new(libc::SIGSEGV, on_fault);

/// Rung when a trip was put into a ring.
static BELL: AtomicPtr<Bell> = AtomicPtr::new(ptr::null_mut());

/// Installs the handler: see [`Chain::install`].
///
/// # Errors
/// `Unsupported` where loads and stores cannot be told apart (neither x86-64 nor arm64); those of
/// [`Chain::install`].
pub(crate) fn install() -> io::Result<()> {
    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    CHAIN.install()
}

/// True once `install` has succeeded.
pub(super) fn is_installed() -> bool {
    CHAIN.is_installed()
}

/// Whom to wake after a trip: the last bell set.
pub(crate) fn set_bell(bell: &'static Bell) {
    BELL.store(ptr::from_ref(bell).cast_mut(), Ordering::Release);
}

fn ring_bell() {
    let bell = BELL.load(Ordering::Acquire);
    // SAFETY: null, or from a `&'static Bell`.
    if let Some(bell) = unsafe { bell.as_ref() } {
        bell.ring();
    }
}

/// What the kernel calls. It takes no lock, allocates nothing, writes no log and cannot panic.
extern "C-unwind" fn on_fault(
    _signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let errno = Errno::save();
    // SAFETY: the kernel passes a signal's own information and context, valid until the return.
    let is_ours = unsafe { answer(info, context.cast()) };
    errno.restore();
    if !is_ours {
        // SAFETY: as above.
        unsafe { CHAIN.hand_on(info, context) };
    }
}

/// Opens the touched window. False when the fault is none of the guard's, or cannot be helped.
///
/// # Safety
/// The two pointers are those of a running SIGSEGV handler.
unsafe fn answer(info: *const libc::siginfo_t, context: *const libc::ucontext_t) -> bool {
    // SAFETY: the caller's promise; nobody writes to it meanwhile.
    let info = unsafe { &*info };
    if info.si_code != SEGV_ACCERR {
        return false;
    }
    // SAFETY: the information of a fault holds the address.
    let addr = unsafe { info.si_addr() } as usize;
    // SAFETY: the code says that this is a page fault, and `context` is its context.
    let access = unsafe { access(context) };
    let Some(windows) = table::find(addr) else { return false };
    let shape = windows.shape();
    if !access.is_allowed_by(shape.prot) {
        return false;
    }
    if shape.watches_stores() {
        return windows.serve_store(addr.wrapping_sub(shape.base));
    }
    let worker = if in_forked_child() { Worker::Gone } else { Worker::Alive };
    let served = windows.serve(addr.wrapping_sub(shape.base));
    windows.record(served, worker);
    if matches!(served, Served::Opened(_)) && worker == Worker::Alive {
        ring_bell();
    }
    served != Served::Refused
}
