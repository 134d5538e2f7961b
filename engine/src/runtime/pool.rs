//! Few threads for all mappings: one leads, one stands by.
//!
//! The leader sleeps until the next mapping is due, and steps it. Right before a call that may
//! block it gives up the lead; the standby takes it over only if work is overdue, so that a fast
//! fetch costs no thread switch and a stuck one holds up nobody for longer than the grace
//! (TRAPS 10). Threads are made when they are missing, up to a limit.

mod state;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use super::clock;
use super::pace::{LOOK_NANOS_FIRST, Next};
use super::shared::Shared;
use crate::page::Nanos;
use crate::sys::{self, Bell};

use state::{Entry, State};

/// How late a mapping may be before the standby steps in.
const GRACE: Duration = Duration::from_millis(4);
/// The standby sleeps for good when nothing was fetched for this long.
const DEEP_AFTER: Nanos = Nanos(10_000_000);
/// The most threads, reached only when that many fetches are stuck at once.
const WORKERS_MAX: usize = 32;
const STACK_BYTES: usize = 256 << 10;

/// The threads and what they have to do.
#[derive(Debug)]
pub(super) struct Pool {
    state: Mutex<State>,
    /// Wakes the leader; may be rung by a signal handler.
    bell: Bell,
    /// Wakes the standby.
    standby: Condvar,
}

impl Pool {
    /// The pool of this process. No thread runs until a mapping is added.
    pub(super) fn get() -> &'static Pool {
        static POOL: OnceLock<Pool> = OnceLock::new();
        POOL.get_or_init(|| {
            sys::fork_guard_init();
            Pool { state: Mutex::new(State::default()), bell: Bell::new(), standby: Condvar::new() }
        })
    }

    /// What a signal handler rings.
    pub(super) fn bell(&'static self) -> &'static Bell {
        &self.bell
    }

    /// Takes a new mapping in.
    pub(super) fn follow(&'static self, shared: &Arc<Shared>) {
        if shared.guard.is_some() {
            self.lock().guarded.push(Arc::downgrade(shared));
        }
        self.schedule(shared, When::New);
    }

    /// Has `shared` stepped soon: a new mapping, or one that is asked to do something now. Returns
    /// whether anybody is there to do it.
    pub(super) fn schedule(&'static self, shared: &Arc<Shared>, when: When) -> bool {
        let delay = match when {
            When::New => LOOK_NANOS_FIRST,
            When::Now => 0,
        };
        let due = Nanos(clock::now().0 + delay);
        let mut state = self.lock();
        state.push(shared, due);
        if state.workers == 0 && !self.spawn_worker(&mut state) {
            return false;
        }
        self.wake_leader(state, due);
        true
    }

    /// Rings if the leader would sleep past `due` by more than a reader's first moments.
    fn wake_leader(&self, state: MutexGuard<'_, State>, due: Nanos) {
        let is_late = state.wakes_at.0 > due.0 + LOOK_NANOS_FIRST;
        drop(state);
        if is_late {
            self.bell.ring();
        }
    }

    /// Makes every entry of `shared` invalid: the mapping goes away.
    pub(super) fn forget(&self, shared: &Shared) {
        shared.stamp.store(u64::MAX, Ordering::Relaxed);
        self.lock().has_gone = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn_worker(&'static self, state: &mut State) -> bool {
        if state.workers >= WORKERS_MAX {
            return false;
        }
        let builder = thread::Builder::new().name("mmap-ahead".into()).stack_size(STACK_BYTES);
        let spawned = builder.spawn(move || {
            sys::block_all_signals();
            sys::sleep_precisely();
            self.work();
        });
        match spawned {
            Ok(_) => {
                state.workers += 1;
                state.starting += 1;
            }
            Err(_) => state.queue.clear(),
        }
        state.workers > 0
    }

    fn work(&'static self) {
        let mut state = self.lock();
        state.starting -= 1;
        // A second thread is made to stand by while the first one fetches.
        if state.workers > 1 {
            state = self.stand_by(state);
        }
        loop {
            state.has_leader = true;
            let (entry, unlocked) = self.next(state);
            drop(unlocked);
            let mut lead = Lead { pool: self, is_mine: true };
            // A panic here can only come from the program's own code (a tracing subscriber); it ends
            // the following of this mapping (its lock is poisoned), not of all others.
            let step = AssertUnwindSafe(|| entry.step(&mut || lead.give_up()));
            let next = catch_unwind(step).unwrap_or(Next::Dormant);
            state = self.lock();
            state.has_leader &= !lead.is_mine;
            state.finish(&entry, next);
            if state.has_leader {
                // The standby took over while the step was stuck, and may sleep past this one.
                self.wake_leader(state, clock::now());
                state = self.stand_by(self.lock());
            }
        }
    }

    /// Sleeps until a mapping is due and takes it from the queue.
    fn next<'a>(&'a self, mut state: MutexGuard<'a, State>) -> (Entry, MutexGuard<'a, State>) {
        loop {
            let ticket = self.bell.listen();
            let now = clock::now();
            state.tick(now);
            state.hear_trips(now);
            let due = state.next_due();
            if due.is_some_and(|due| due <= now) {
                if let Some(entry) = state.pop_due(now) {
                    state.wakes_at = Nanos(0);
                    return (entry, state);
                }
                continue;
            }
            state.wakes_at = due.unwrap_or(Nanos(u64::MAX));
            drop(state);
            let timeout = due.map(|due| Duration::from_nanos(due.since(now).0));
            self.bell.wait(ticket, timeout);
            state = self.lock();
        }
    }

    /// Waits until there is no leader and work is overdue.
    fn stand_by<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.standing_by += 1;
        loop {
            let now = clock::now();
            let overdue = Nanos(now.0.saturating_sub(GRACE.as_nanos() as u64));
            if !state.has_leader {
                state.hear_trips(now);
            }
            if !state.has_leader && state.next_due().is_some_and(|due| due <= overdue) {
                break;
            }
            let is_quiet = state.has_leader && now.since(state.fetched_at) > DEEP_AFTER;
            state.is_standby_deep = is_quiet;
            state = if is_quiet {
                self.standby.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                let waited = self.standby.wait_timeout(state, GRACE);
                waited.unwrap_or_else(PoisonError::into_inner).0
            };
        }
        state.standing_by -= 1;
        // Another one may sleep for good; it watches from now on. The lock is held until this one leads.
        state.is_standby_deep = false;
        self.standby.notify_all();
        state
    }

    /// The leader is about to make a call that may block.
    fn give_up_lead(&'static self) {
        let mut state = self.lock();
        state.has_leader = false;
        state.fetched_at = clock::now();
        if state.standing_by + state.starting == 0 {
            self.spawn_worker(&mut state);
        } else if state.is_standby_deep {
            state.is_standby_deep = false;
            self.standby.notify_one();
        }
    }
}

/// When a mapping is to be stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// In a moment: its reader has not begun.
    New,
    /// At once.
    Now,
}

/// The lead while a step runs.
struct Lead {
    pool: &'static Pool,
    is_mine: bool,
}

impl Lead {
    fn give_up(&mut self) {
        if std::mem::replace(&mut self.is_mine, false) {
            self.pool.give_up_lead();
        }
    }
}
