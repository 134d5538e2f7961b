//! Sleeping until another process has done something.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mmap_ahead::lab::{FutexScope, futex_wait, futex_wake_all};

/// How long the death of a peer can stay unnoticed by whoever waits for it: the length of one sleep,
/// ten a second, each of which costs a few microseconds.
pub const DEATH_NOTICED_WITHIN: Duration = Duration::from_millis(100);

/// How long a waiter looks before it sleeps: about what the peer takes to copy 64 KiB. A guess.
const LOOKED_FOR: Duration = Duration::from_micros(10);

/// A counter of events in shared memory, and how many sleep until it changes.
///
/// The use that loses no event: [`seen`](Event::seen), look for work, then [`wait`](Event::wait) with
/// what was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event<'a> {
    pub(super) count: &'a AtomicU32,
    pub(super) waiting: &'a AtomicU32,
}

impl Event<'_> {
    pub(super) fn seen(self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }

    /// Tells everybody who waits that there is something new to see.
    pub(super) fn tell(self) {
        // With the two operations of `sleep` in the other order (first `waiting`, then `count`),
        // sequential consistency lets one of the two sides see the other.
        self.count.fetch_add(1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) != 0 {
            futex_wake_all(self.count, FutexScope::Shared);
        }
    }

    /// Returns when something happened since `seen`, after `timeout`, or for no reason: looks for a
    /// moment, then sleeps.
    pub(super) fn wait(self, seen: u32, timeout: Duration) {
        if has_other_cores() && self.look(seen) {
            return;
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        if self.seen() == seen {
            futex_wait(self.count, seen, Some(timeout), FutexScope::Shared);
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    fn look(self, seen: u32) -> bool {
        let begun = Instant::now();
        loop {
            for _ in 0..16 {
                if self.count.load(Ordering::Acquire) != seen {
                    return true;
                }
                std::hint::spin_loop();
            }
            if begun.elapsed() >= LOOKED_FOR {
                return false;
            }
        }
    }
}

/// Whether a peer can run while this thread looks.
fn has_other_cores() -> bool {
    static OTHERS: OnceLock<bool> = OnceLock::new();
    *OTHERS.get_or_init(|| std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1))
}
