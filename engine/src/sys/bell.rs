//! A bell for a sleeping worker: futex(2), which a signal handler may use too.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::futex::{FutexScope, futex_wait, futex_wake_all};

/// Wakes whoever sleeps on it. It may be rung from a signal handler: one atomic add, and a system
/// call only when somebody sleeps.
///
/// The use that loses no ring: [`listen`](Bell::listen), look for work, then
/// [`wait`](Bell::wait) with the ticket. A ring after `listen` makes that `wait` return at once.
///
/// Kernel: FUTEX_PRIVATE_FLAG 2.6.22. Source: futex(2).
#[derive(Debug)]
pub(crate) struct Bell {
    /// How often it was rung, wrapping: the futex word.
    rung: AtomicU32,
    sleepers: AtomicU32,
}

/// The number of rings at the time of [`Bell::listen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u32);

impl Bell {
    pub(crate) const fn new() -> Bell {
        Bell { rung: AtomicU32::new(0), sleepers: AtomicU32::new(0) }
    }

    /// Makes every `wait` on an older ticket return. Async-signal-safe; may change errno.
    pub(crate) fn ring(&self) {
        // With the two operations of `wait` in the other order (first `sleepers`, then `rung`),
        // sequential consistency lets one of the two sides see the other: either this load finds
        // the sleeper, or the sleeper finds the new number and does not sleep.
        self.rung.fetch_add(1, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) != 0 {
            futex_wake_all(&self.rung, FutexScope::Private);
        }
    }

    /// A ticket for `wait`, taken before the caller looks for work.
    pub(crate) fn listen(&self) -> Ticket {
        Ticket(self.rung.load(Ordering::SeqCst))
    }

    /// Sleeps until the bell is rung or `timeout` is over; `None` sleeps for as long as it takes.
    /// Returns at once when it was rung since `ticket`, and may return early for no reason.
    /// The answer says whether it was rung since `ticket`.
    pub(crate) fn wait(&self, ticket: Ticket, timeout: Option<Duration>) -> bool {
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        if self.listen() == ticket {
            futex_wait(&self.rung, ticket.0, timeout, FutexScope::Private);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        self.listen() != ticket
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;

    #[test]
    fn a_ring_since_the_ticket_makes_wait_return_at_once() {
        let bell = Bell::new();
        let ticket = bell.listen();
        bell.ring();
        assert!(bell.wait(ticket, None));
    }

    #[test]
    fn silence_ends_with_the_timeout() {
        let bell = Bell::new();
        let timeout = Duration::from_millis(20);
        let begun = Instant::now();
        // Waits may end early for no reason, so until the time is over.
        while begun.elapsed() < timeout {
            assert!(!bell.wait(bell.listen(), Some(timeout)));
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert_eq!(bell.sleepers.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn every_sleeper_wakes() {
        let bell = Arc::new(Bell::new());
        let sleepers: Vec<_> = (0..3)
            .map(|_| {
                let bell = Arc::clone(&bell);
                std::thread::spawn(move || {
                    let ticket = bell.listen();
                    while !bell.wait(ticket, None) {}
                })
            })
            .collect();
        while bell.sleepers.load(Ordering::SeqCst) < 3 {
            std::thread::yield_now();
        }
        // They may be about to sleep or asleep already: both must end.
        bell.ring();
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
    }

    /// Two threads that answer each other: a single lost ring would hang it.
    #[test]
    fn no_ring_is_lost() {
        const ROUNDS: u32 = 10_000;
        let bells = Arc::new((Bell::new(), Bell::new()));
        let turns = Arc::new(AtomicU32::new(0));
        let (their_bells, their_turns) = (Arc::clone(&bells), Arc::clone(&turns));
        let play = |mine: &Bell, other: &Bell, turns: &AtomicU32, parity: u32| {
            loop {
                let ticket = mine.listen();
                let turn = turns.load(Ordering::SeqCst);
                if turn >= ROUNDS {
                    other.ring();
                    return;
                }
                if turn % 2 == parity {
                    turns.store(turn + 1, Ordering::SeqCst);
                    other.ring();
                } else {
                    mine.wait(ticket, None);
                }
            }
        };
        let partner =
            std::thread::spawn(move || play(&their_bells.0, &their_bells.1, &their_turns, 0));
        play(&bells.1, &bells.0, &turns, 1);
        partner.join().unwrap();
        assert_eq!(turns.load(Ordering::SeqCst), ROUNDS);
    }
}
