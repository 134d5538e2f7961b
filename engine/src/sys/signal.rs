//! A handler for a fault signal that stays for ever, and hands on what is not its own.

use std::io;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::fork_guard_init;

/// What the kernel calls. ("C-unwind" for the sake of handlers behind it that throw: nothing is held
/// while they run.)
pub(super) type Handler =
    extern "C-unwind" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// SIGBUS: memory failed elsewhere, nobody touched it. The same number everywhere on Linux.
const BUS_MCEERR_AO: i32 = 5;

/// One signal's handler, and the one before it.
pub(super) struct Chain {
    signal: i32,
    handler: Handler,
    /// The action that was there before, never freed, since a signal may need it at any time. Null
    /// until the first try to install.
    previous: AtomicPtr<Previous>,
    /// Whether the kernel knows the handler, which is later than `previous` is set.
    is_installed: AtomicBool,
    installing: Mutex<()>,
}

struct Previous {
    action: libc::sigaction,
    /// Set by the first signal when the handler asked to be used once (SA_RESETHAND).
    is_spent: AtomicBool,
}

impl Chain {
    /// `handler` takes no lock, allocates nothing, writes no log and cannot panic.
    pub(super) const fn new(signal: i32, handler: Handler) -> Chain {
        Chain {
            signal,
            handler,
            previous: AtomicPtr::new(ptr::null_mut()),
            is_installed: AtomicBool::new(false),
            installing: Mutex::new(()),
        }
    }

    /// Installs the handler, once for the process, and remembers the one before it. It stays for
    /// ever, for whoever came later may hand on to it. Later calls only look whether it is still the
    /// one that the kernel calls.
    ///
    /// It runs on the alternate stack if the thread has one (SA_ONSTACK: a stack overflow must reach
    /// Rust's own report), with all signals blocked: another handler that interrupted it and touched
    /// a guarded page would be killed. For the same reason no SA_NODEFER: a fault inside this
    /// handler is a mistake of ours, and dies on the spot instead of recurring.
    ///
    /// # Errors
    /// `Unsupported` when somebody put another handler in the place of this one: it may not hand on,
    /// and then the first touch would kill. The error of sigaction(2) if that fails.
    pub(super) fn install(&self) -> io::Result<()> {
        if self.is_installed() {
            return self.check_in_place();
        }
        let _guard = self.installing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.is_installed() {
            return self.check_in_place();
        }
        fork_guard_init();
        // Published before the new handler can run. If another thread changes the action in
        // between, the second exchange says so, and the late value replaces the early one.
        self.publish(self.exchange(None)?);
        self.publish(self.exchange(Some(&self.ours()?))?);
        self.is_installed.store(true, Ordering::Release);
        Ok(())
    }

    /// True once `install` has succeeded.
    pub(super) fn is_installed(&self) -> bool {
        self.is_installed.load(Ordering::Acquire)
    }

    fn check_in_place(&self) -> io::Result<()> {
        if self.exchange(None)?.sa_sigaction == self.handler as *const () as usize {
            return Ok(());
        }
        let message = "another handler was put in the place of the guard's";
        Err(io::Error::new(io::ErrorKind::Unsupported, message))
    }

    fn ours(&self) -> io::Result<libc::sigaction> {
        let mut action = empty_action();
        action.sa_sigaction = self.handler as *const () as usize;
        // The interrupted call after a signal that another process sent: as it was before us.
        let restart = self.exchange(None)?.sa_flags & libc::SA_RESTART;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | restart;
        // SAFETY: the mask is writable memory of this function.
        unsafe { libc::sigfillset(&raw mut action.sa_mask) };
        Ok(action)
    }

    fn publish(&self, action: libc::sigaction) {
        let previous = Previous { action, is_spent: AtomicBool::new(false) };
        self.previous.store(Box::into_raw(Box::new(previous)), Ordering::Release);
    }

    /// sigaction(2): sets `new` if there is one, and answers what was set before.
    fn exchange(&self, new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
        let mut old = empty_action();
        let new = new.map_or(ptr::null(), ptr::from_ref);
        // SAFETY: both actions live until the call returns. A new action is `handler`, which obeys
        // the rules of signal handlers, or the default.
        let result = unsafe { libc::sigaction(self.signal, new, &raw mut old) };
        if result == 0 { Ok(old) } else { Err(io::Error::last_os_error()) }
    }

    /// Does what would have happened without this handler.
    ///
    /// - Default: [`die`](Chain::die). Ignored: a fault cannot be ignored, the kernel kills then, so
    ///   do we; a signal that somebody sent is ignored.
    /// - A handler of one argument or of three: called as the kernel would: its mask and its own
    ///   signal blocked (unless SA_NODEFER), forgotten after one use if it said so (SA_RESETHAND).
    ///   What cannot be had: without SA_ONSTACK it still runs on the alternate stack if there is one.
    ///
    /// # Safety
    /// The pointers are those of a running handler of this signal.
    pub(super) unsafe fn hand_on(&self, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the caller's promise.
        let code = unsafe { (*info).si_code };
        let was_sent = code <= 0 || self.signal == libc::SIGBUS && code == BUS_MCEERR_AO;
        // SAFETY: null, or from a box that is never freed.
        let Some(previous) = (unsafe { self.previous.load(Ordering::Acquire).as_ref() }) else {
            return self.die(info, was_sent);
        };
        let action = &previous.action;
        match action.sa_sigaction {
            libc::SIG_IGN if was_sent => return,
            libc::SIG_DFL | libc::SIG_IGN => return self.die(info, was_sent),
            _ => {}
        }
        let is_once = action.sa_flags & libc::SA_RESETHAND != 0;
        if is_once && previous.is_spent.swap(true, Ordering::Relaxed) {
            return self.die(info, was_sent);
        }
        // SAFETY: `context` is the interrupted code's, by the caller's promise.
        unsafe { take_mask_of(action, self.signal, context.cast()) };
        if action.sa_flags & libc::SA_SIGINFO != 0 {
            // SAFETY: the action was set with SA_SIGINFO, so its address is a function of this type.
            let handler = unsafe { std::mem::transmute::<usize, Handler>(action.sa_sigaction) };
            handler(self.signal, info, context);
        } else {
            type Short = extern "C-unwind" fn(i32);
            // SAFETY: without SA_SIGINFO it is a function of this type.
            let handler = unsafe { std::mem::transmute::<usize, Short>(action.sa_sigaction) };
            handler(self.signal);
        }
    }

    /// Lets the default action happen: the same signal, address and place in the core dump.
    ///
    /// The instruction is repeated after the return and faults again, now without a handler. If
    /// another thread mends the page just then, the process lives on without handler, until the next
    /// fault. A signal that was sent does not come again by itself, so it is sent again.
    fn die(&self, info: *mut libc::siginfo_t, was_sent: bool) {
        // It cannot fail for a valid signal; if it did, the handler would run again.
        let _ = self.exchange(Some(&empty_action()));
        if was_sent {
            // SAFETY: these have no precondition.
            let process = unsafe { libc::getpid() };
            // SAFETY: as above.
            let thread = unsafe { libc::syscall(libc::SYS_gettid) };
            let queue = libc::SYS_rt_tgsigqueueinfo;
            // SAFETY: `info` is the running signal's, valid until the return. The signal is blocked
            // until then.
            unsafe { libc::syscall(queue, process, thread, self.signal, info) };
        }
    }
}

fn empty_action() -> libc::sigaction {
    // SAFETY: all-zero bytes are a valid sigaction: SIG_DFL, no flags, an empty mask.
    unsafe { std::mem::zeroed() }
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

/// The errno of the interrupted code, kept while the handler makes system calls.
pub(super) struct Errno(i32);

impl Errno {
    pub(super) fn save() -> Errno {
        // SAFETY: the address of this thread's errno, always valid and known to the thread from
        // its start, so that asking allocates nothing.
        let place = unsafe { libc::__errno_location() };
        // SAFETY: as above; only this thread uses it.
        Errno(unsafe { *place })
    }

    pub(super) fn restore(&self) {
        // SAFETY: as in `save`.
        let place = unsafe { libc::__errno_location() };
        // SAFETY: as in `save`.
        unsafe { *place = self.0 };
    }
}
