//! getrusage(2): faults, CPU time and peak memory.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Whose resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageOf {
    /// The whole process, with threads that have ended.
    Process,
    /// The calling thread.
    Thread,
}

/// What was used since the process or thread began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time in user mode.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// Faults that needed no I/O.
    pub minor_faults: u64,
    /// Faults that waited for I/O.
    pub major_faults: u64,
    /// Peak resident memory in bytes; of the process, also when asked for a thread.
    pub peak_rss_bytes: u64,
}

/// Reads the counters. Source: getrusage(2).
pub fn usage(of: UsageOf) -> Usage {
    let who = match of {
        UsageOf::Process => libc::RUSAGE_SELF,
        UsageOf::Thread => libc::RUSAGE_THREAD,
    };
    let mut raw = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `raw` is writable memory of the right size, and `who` is a valid selector.
    unsafe { libc::getrusage(who, raw.as_mut_ptr()) };
    // SAFETY: all-zero bytes are a valid rusage, so it is initialised whatever the call did.
    let raw = unsafe { raw.assume_init() };
    let count = |value: libc::c_long| u64::try_from(value).unwrap_or(0);
    let time = |value: libc::timeval| {
        let micros = u32::try_from(value.tv_usec).unwrap_or(0);
        Duration::new(u64::try_from(value.tv_sec).unwrap_or(0), micros * 1000)
    };
    Usage {
        user: time(raw.ru_utime),
        system: time(raw.ru_stime),
        minor_faults: count(raw.ru_minflt),
        major_faults: count(raw.ru_majflt),
        peak_rss_bytes: count(raw.ru_maxrss) << 10,
    }
}

/// Faults of this process that were not made by threads which call this: to be called by our own
/// threads only, and often, since it learns of each one's faults when that one calls.
pub(crate) fn faults_of_others() -> u64 {
    thread_local! {
        static COUNTED: Cell<u64> = const { Cell::new(0) };
    }
    static OURS: AtomicU64 = AtomicU64::new(0);
    let count = |of| {
        let usage = usage(of);
        usage.minor_faults + usage.major_faults
    };
    let own = count(UsageOf::Thread);
    let before = COUNTED.replace(own);
    let ours = OURS.fetch_add(own - before, Ordering::Relaxed) + own - before;
    count(UsageOf::Process).saturating_sub(ours)
}
