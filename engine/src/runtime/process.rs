//! The budget of the process: what all mappings together have fetched ahead and not seen taken.
//!
//! Every mapping holds a part. It takes what it is about to fetch, and gives back what a reader has passed:
//! one compare-and-swap, no lock. A lock is taken only to find parts whose mappings idle, when
//! nothing is left.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use super::ledger::AGE_NANOS;
use super::memory;
use crate::page::{ByteLen, Nanos};
use crate::process::ProcessStats;

/// The share of the memory that is available: see [`set_process_budget`](crate::set_process_budget).
const DEFAULT_PART: u64 = 8;
/// The budget where nobody tells how much memory there is.
const DEFAULT_BYTES: u64 = 256 << 20;
/// So much is granted before anybody asks how much memory there is: that takes longer than the first reads of
/// a run, and most mappings that are read from memory ask for no more.
const LITTLE_BYTES: u64 = 8 << 20;
/// Nobody has set a limit.
const UNSET: u64 = u64::MAX;
/// Who was not heard of for so long has given up all that it held: see `ledger`.
const IDLE_NANOS: u64 = 2 * AGE_NANOS;
/// How often a policy is told that nothing is left: as often as of pressure.
const TELL_NANOS: u64 = 250_000_000;
/// Those who idle are looked for no more often than this.
const ROUND_NANOS: u64 = 1_000_000_000;

/// The budget that all mappings of this process share.
pub(crate) fn shared() -> &'static Process {
    static SHARED: Process = Process::new();
    &SHARED
}

#[derive(Debug)]
pub(crate) struct Process {
    limit: AtomicU64,
    default: OnceLock<u64>,
    held: AtomicU64,
    held_most: AtomicU64,
    given_up: AtomicU64,
    next_round: AtomicU64,
    /// Everybody who holds something, to find those who idle.
    holds: Mutex<Vec<Weak<Hold>>>,
}

/// What one mapping holds. One worker at a time takes and settles.
#[derive(Debug)]
pub(super) struct Hold {
    process: &'static Process,
    bytes: AtomicU64,
    heard_at: AtomicU64,
    /// When its policy was last told to hold back.
    told_at: AtomicU64,
}

impl Process {
    const fn new() -> Process {
        Process {
            limit: AtomicU64::new(UNSET),
            default: OnceLock::new(),
            held: AtomicU64::new(0),
            held_most: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            next_round: AtomicU64::new(0),
            holds: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn set_limit(&self, bytes: u64) {
        self.limit.store(bytes.min(UNSET - 1), Ordering::Relaxed);
    }

    fn limit(&self) -> u64 {
        match self.limit.load(Ordering::Relaxed) {
            UNSET => *self.default.get_or_init(|| {
                memory::available().map_or(DEFAULT_BYTES, |bytes| bytes / DEFAULT_PART)
            }),
            limit => limit,
        }
    }

    /// Whether `bytes` in all are so little that no limit needs to be known.
    fn is_little(&self, bytes: u64) -> bool {
        let is_unknown = self.default.get().is_none();
        is_unknown && bytes <= LITTLE_BYTES && self.limit.load(Ordering::Relaxed) == UNSET
    }

    pub(crate) fn stats(&self) -> ProcessStats {
        let load = |bytes: &AtomicU64| ByteLen(bytes.load(Ordering::Relaxed));
        ProcessStats {
            budget: ByteLen(self.limit()),
            ahead: load(&self.held),
            ahead_most: load(&self.held_most),
            given_up: load(&self.given_up),
        }
    }

    /// A part for one more mapping.
    pub(super) fn join(&'static self) -> Arc<Hold> {
        let [bytes, heard_at, told_at] = [const { AtomicU64::new(0) }; 3];
        let hold = Arc::new(Hold { process: self, bytes, heard_at, told_at });
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        if holds.len() == holds.capacity() {
            holds.retain(|hold| hold.strong_count() > 0);
        }
        holds.push(Arc::downgrade(&hold));
        hold
    }

    /// Takes up to `wanted` bytes for somebody who holds `own`: no more than what is left for all others
    /// after it.
    fn take(&self, own: u64, wanted: u64) -> u64 {
        let mut held = self.held.load(Ordering::Relaxed);
        loop {
            let taken = if self.is_little(held + wanted) {
                wanted
            } else {
                let left = self.limit().saturating_sub(held);
                wanted.min(left.saturating_sub(own) / 2)
            };
            if taken == 0 {
                return 0;
            }
            let order = Ordering::Relaxed;
            match self.held.compare_exchange_weak(held, held + taken, order, order) {
                Ok(_) => {
                    self.held_most.fetch_max(held + taken, Ordering::Relaxed);
                    return taken;
                }
                Err(now) => held = now,
            }
        }
    }

    /// Takes away what those hold who idle. Returns how much that was.
    fn take_from_idle(&self, now: Nanos) -> u64 {
        if now.0 < self.next_round.load(Ordering::Relaxed) {
            return 0;
        }
        let Ok(holds) = self.holds.try_lock() else { return 0 };
        self.next_round.store(now.0 + ROUND_NANOS, Ordering::Relaxed);
        let holds = holds.iter().filter_map(Weak::upgrade);
        let idle = holds.filter(|hold| hold.heard_at.load(Ordering::Relaxed) + IDLE_NANOS <= now.0);
        let given_up = idle.map(|hold| hold.give_back(0)).sum();
        self.given_up.fetch_add(given_up, Ordering::Relaxed);
        given_up
    }
}

impl Hold {
    /// Takes up to `wanted` bytes that are about to be fetched.
    pub(super) fn take(&self, wanted: u64, now: Nanos) -> u64 {
        self.heard_at.store(now.0, Ordering::Relaxed);
        let own = self.bytes.load(Ordering::Relaxed);
        let mut taken = self.process.take(own, wanted);
        if taken < wanted && self.process.take_from_idle(now) > 0 {
            taken += self.process.take(own + taken, wanted - taken);
        }
        self.bytes.fetch_add(taken, Ordering::Relaxed);
        taken
    }

    /// Something was not granted: whether its policy is to hear of it.
    pub(super) fn is_news(&self, now: Nanos) -> bool {
        let is_news = self.told_at.load(Ordering::Relaxed) + TELL_NANOS <= now.0;
        if is_news {
            self.told_at.store(now.0, Ordering::Relaxed);
        }
        is_news
    }

    /// `bytes` are ahead of this mapping's readers now: what is held beyond them is given back.
    pub(super) fn settle(&self, bytes: u64, now: Nanos) {
        self.heard_at.store(now.0, Ordering::Relaxed);
        self.give_back(bytes);
    }

    /// Keeps `bytes`, and says how much was held beyond them.
    fn give_back(&self, bytes: u64) -> u64 {
        let held = self.bytes.fetch_min(bytes, Ordering::Relaxed);
        let back = held.saturating_sub(bytes);
        if back > 0 {
            self.process.held.fetch_sub(back, Ordering::Relaxed);
        }
        back
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.give_back(0);
    }
}

#[cfg(test)]
mod tests;
