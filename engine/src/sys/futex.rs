//! futex(2): sleeping until a word changes.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Who may wake a sleeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FutexScope {
    /// Threads of this process: the kernel looks the word up by its address, which is cheaper.
    Private,
    /// Every process that maps the same memory.
    #[cfg_attr(not(feature = "lab"), allow(dead_code))]
    Shared,
}

impl FutexScope {
    fn flag(self) -> libc::c_int {
        match self {
            FutexScope::Private => libc::FUTEX_PRIVATE_FLAG,
            FutexScope::Shared => 0,
        }
    }
}

/// Sleeps while `word` is `expected`, at most for `timeout`. Every end of it (woken, changed,
/// interrupted, timed out) is the same to the caller, who looks at the word again.
pub fn futex_wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>, scope: FutexScope) {
    let timeout = timeout.map(|timeout| {
        // SAFETY: all-zero bytes are a valid timespec; on some targets it has padding fields.
        let mut time: libc::timespec = unsafe { std::mem::zeroed() };
        time.tv_sec = timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX);
        // Below a thousand million, so it fits whatever type this target has.
        time.tv_nsec = timeout.subsec_nanos() as _;
        time
    });
    let timeout_ptr: *const libc::timespec =
        timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let operation = libc::FUTEX_WAIT | scope.flag();
    // SAFETY: `word` and `timeout` outlive the call, which only reads them.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, expected, timeout_ptr) };
}

/// Wakes everybody who sleeps on `word`. Async-signal-safe; may change errno.
pub fn futex_wake_all(word: &AtomicU32, scope: FutexScope) {
    let operation = libc::FUTEX_WAKE | scope.flag();
    // SAFETY: the kernel uses the address as a key only and does not write to it.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, i32::MAX) };
}
