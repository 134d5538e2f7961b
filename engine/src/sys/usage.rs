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

/// Faults, as a thread of ours counts those of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) all: u64,
    /// Those that waited for a disk.
    pub(crate) major: u64,
}

/// Faults of our own threads, as far as they have told, all and major.
static OURS: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// Faults of this process that were not made by threads of ours, as far as those have told.
pub(crate) fn faults_of_others() -> Faults {
    let process = count(UsageOf::Process);
    Faults {
        all: process.all.saturating_sub(OURS[0].load(Ordering::Relaxed)),
        major: process.major.saturating_sub(OURS[1].load(Ordering::Relaxed)),
    }
}

/// [`faults_of_others`] from a thread that is not ours: none once ours have any, since what they have not
/// told yet would be taken for others'.
pub(crate) fn faults_before_ours() -> Option<Faults> {
    (OURS[0].load(Ordering::Relaxed) == 0).then(faults_of_others)
}

/// A thread of ours tells of its faults since the last time.
pub(crate) fn tell_own_faults() {
    thread_local! {
        static TOLD: Cell<Faults> = const { Cell::new(Faults { all: 0, major: 0 }) };
    }
    let own = count(UsageOf::Thread);
    let before = TOLD.replace(own);
    OURS[0].fetch_add(own.all - before.all, Ordering::Relaxed);
    OURS[1].fetch_add(own.major - before.major, Ordering::Relaxed);
}

fn count(of: UsageOf) -> Faults {
    let usage = usage(of);
    Faults { all: usage.minor_faults + usage.major_faults, major: usage.major_faults }
}
