//! The process-wide SIGSEGV handler: opens the touched window, hands on what is not the guard's.

use std::io;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::context::{Errno, access};
use super::table;
use super::windows::{Served, Worker};
use crate::sys::{Bell, fork_guard_init, in_forked_child};

/// The page is mapped, but its protection forbids the access. The same number everywhere on Linux.
const SEGV_ACCERR: i32 = 2;

/// The handler that was there before, never freed, since a signal may need it at any time. Null
/// until the first try to install.
static PREVIOUS: AtomicPtr<Previous> = AtomicPtr::new(ptr::null_mut());

/// Whether the kernel knows the handler, which is later than `PREVIOUS` is set.
static IS_INSTALLED: AtomicBool = AtomicBool::new(false);

/// Rung when a trip was put into a ring.
static BELL: AtomicPtr<Bell> = AtomicPtr::new(ptr::null_mut());

struct Previous {
    action: libc::sigaction,
    /// Set by the first signal when the handler asked to be used once (SA_RESETHAND).
    is_spent: AtomicBool,
}

/// Installs the handler, once for the process, and remembers the one before it. It stays for ever,
/// for whoever came later may hand on to it. Later calls only look whether it is still the one that
/// the kernel calls.
///
/// It runs on the alternate stack if the thread has one (SA_ONSTACK: a stack overflow must reach
/// Rust's own report), with all signals blocked: another handler that interrupted it and touched a
/// guarded page would be killed. For the same reason no SA_NODEFER: a fault inside this handler is
/// a mistake of ours, and dies on the spot instead of recurring.
///
/// # Errors
/// `Unsupported` where loads and stores cannot be told apart (neither x86-64 nor arm64), and when
/// somebody put another handler in the place of this one: it may not hand on, and then the first
/// touch would kill. The error of sigaction(2) if that fails.
pub(crate) fn install() -> io::Result<()> {
    static LOCK: Mutex<()> = Mutex::new(());

    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    if is_installed() {
        return check_in_place();
    }
    let _guard = LOCK.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if is_installed() {
        return check_in_place();
    }
    fork_guard_init();
    // Published before the new handler can run. If another thread changes the action in between,
    // the second exchange says so, and the late value replaces the early one.
    publish(exchange(None)?);
    publish(exchange(Some(&ours()?))?);
    IS_INSTALLED.store(true, Ordering::Release);
    Ok(())
}

/// True once `install` has succeeded.
pub(super) fn is_installed() -> bool {
    IS_INSTALLED.load(Ordering::Acquire)
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

fn check_in_place() -> io::Result<()> {
    if exchange(None)?.sa_sigaction == on_fault as *const () as usize {
        return Ok(());
    }
    let message = "another SIGSEGV handler was put in the place of the guard's";
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}

fn ours() -> io::Result<libc::sigaction> {
    let mut action = empty_action();
    action.sa_sigaction = on_fault as *const () as usize;
    // The interrupted call after a SIGSEGV that another process sent: as it was before us.
    let restart = exchange(None)?.sa_flags & libc::SA_RESTART;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | restart;
    // SAFETY: the mask is writable memory of this function.
    unsafe { libc::sigfillset(&raw mut action.sa_mask) };
    Ok(action)
}

fn publish(action: libc::sigaction) {
    let previous = Previous { action, is_spent: AtomicBool::new(false) };
    PREVIOUS.store(Box::into_raw(Box::new(previous)), Ordering::Release);
}

fn empty_action() -> libc::sigaction {
    // SAFETY: all-zero bytes are a valid sigaction: SIG_DFL, no flags, an empty mask.
    unsafe { std::mem::zeroed() }
}

/// sigaction(2) for SIGSEGV: sets `new` if there is one, and answers what was set before.
fn exchange(new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let mut old = empty_action();
    let new = new.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: both actions live until the call returns. A new action is `on_fault`, which obeys
    // the rules of signal handlers, or the default.
    let result = unsafe { libc::sigaction(libc::SIGSEGV, new, &raw mut old) };
    if result == 0 { Ok(old) } else { Err(io::Error::last_os_error()) }
}

/// What the kernel calls. It takes no lock, allocates nothing, writes no log and cannot panic.
/// ("C-unwind" for the sake of handlers behind it that throw: nothing is held while they run.)
extern "C-unwind" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let errno = Errno::save();
    // SAFETY: the kernel passes a signal's own information and context, valid until the return.
    let is_ours = unsafe { answer(info, context.cast()) };
    errno.restore();
    if !is_ours {
        // SAFETY: as above.
        unsafe { hand_on(signal, info, context) };
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

/// Does what would have happened without the guard.
///
/// - Default: [`die`]. Ignored: a fault cannot be ignored, the kernel kills then, so do we; a
///   SIGSEGV that somebody sent is ignored.
/// - A handler of one argument or of three: called as the kernel would: its mask and its own
///   signal blocked (unless SA_NODEFER), forgotten after one use if it said so (SA_RESETHAND).
///   What cannot be had: without SA_ONSTACK it still runs on the alternate stack if there is one.
///
/// # Safety
/// The pointers are those of a running SIGSEGV handler.
unsafe fn hand_on(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the caller's promise.
    let was_sent = unsafe { (*info).si_code } <= 0;
    // SAFETY: null, or from a box that is never freed.
    let Some(previous) = (unsafe { PREVIOUS.load(Ordering::Acquire).as_ref() }) else {
        return die(signal, info, was_sent);
    };
    let action = &previous.action;
    match action.sa_sigaction {
        libc::SIG_IGN if was_sent => return,
        libc::SIG_DFL | libc::SIG_IGN => return die(signal, info, was_sent),
        _ => {}
    }
    let is_once = action.sa_flags & libc::SA_RESETHAND != 0;
    if is_once && previous.is_spent.swap(true, Ordering::Relaxed) {
        return die(signal, info, was_sent);
    }
    // SAFETY: `context` is the interrupted code's, by the caller's promise.
    unsafe { take_mask_of(action, signal, context.cast()) };
    if action.sa_flags & libc::SA_SIGINFO != 0 {
        type Handler = extern "C-unwind" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
        // SAFETY: the action was set with SA_SIGINFO, so its address is a function of this type.
        let handler = unsafe { std::mem::transmute::<usize, Handler>(action.sa_sigaction) };
        handler(signal, info, context);
    } else {
        type Handler = extern "C-unwind" fn(i32);
        // SAFETY: without SA_SIGINFO it is a function of this type.
        let handler = unsafe { std::mem::transmute::<usize, Handler>(action.sa_sigaction) };
        handler(signal);
    }
}

/// Blocks what would be blocked if the kernel had called `action` itself. The return from the
/// signal puts the interrupted code's mask back.
///
/// # Safety
/// `context` is that of a running signal handler.
unsafe fn take_mask_of(action: &libc::sigaction, signal: i32, context: *const libc::ucontext_t) {
    let mut own = empty_action().sa_mask;
    if action.sa_flags & libc::SA_NODEFER == 0 {
        // SAFETY: `own` is a set of this function.
        unsafe { libc::sigaddset(&raw mut own, signal) };
    }
    // SAFETY: the caller's promise; only the field's address is taken.
    let interrupted = unsafe { &raw const (*context).uc_sigmask };
    let steps = [
        (libc::SIG_SETMASK, interrupted),
        (libc::SIG_BLOCK, &raw const action.sa_mask),
        (libc::SIG_BLOCK, &raw const own),
    ];
    for (how, set) in steps {
        // SAFETY: each set is readable for as many bytes as the kernel's own type has.
        unsafe { libc::pthread_sigmask(how, set, ptr::null_mut()) };
    }
}

/// Lets the default action happen: the same signal, address and place in the core dump.
///
/// The instruction is repeated after the return and faults again, now without a handler. If another
/// thread mends the page just then, the process lives on without handler, until the next fault. A
/// signal that was sent does not come again by itself, so it is sent again.
fn die(signal: i32, info: *mut libc::siginfo_t, was_sent: bool) {
    // It cannot fail for a valid signal; if it did, the handler would run again.
    let _ = exchange(Some(&empty_action()));
    if was_sent {
        // SAFETY: these have no precondition.
        let process = unsafe { libc::getpid() };
        // SAFETY: as above.
        let thread = unsafe { libc::syscall(libc::SYS_gettid) };
        // SAFETY: `info` is the running signal's, valid until the return. The signal is blocked
        // until then.
        unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, signal, info) };
    }
}
