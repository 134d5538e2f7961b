//! What the threads of the pool have to do, and when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use crate::page::Nanos;
use crate::runtime::clock;
use crate::runtime::pace::Next;
use crate::runtime::shared::Shared;
use crate::sys::{self, UsageOf};

/// How often the fault counters are looked at while mappings are dormant.
const TICK_NANOS: u64 = 15_000_000;
/// What one look at a dormant mapping takes, measured: 1 to 3 us.
const DORMANT_LOOK_NANOS: u64 = 3000;
/// All dormant looks together take one part in this many of a core.
const DORMANT_REST_FACTOR: u64 = 256;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) queue: BinaryHeap<Reverse<Entry>>,
    pub(super) dormant: Vec<Entry>,
    /// A mapping went away since the last tick: it may be among the dormant.
    pub(super) has_gone: bool,
    /// Mappings that ring.
    pub(super) guarded: Vec<Weak<Shared>>,
    pub(super) stamps: u64,
    pub(super) has_leader: bool,
    /// When the sleeping leader will wake by itself.
    pub(super) wakes_at: Nanos,
    pub(super) workers: usize,
    /// Threads that were made and do not run yet.
    pub(super) starting: usize,
    pub(super) standing_by: usize,
    pub(super) is_standby_deep: bool,
    pub(super) fetched_at: Nanos,
    pub(super) tick_at: Nanos,
    pub(super) dormant_not_before: Nanos,
    pub(super) faults: u64,
}

/// A mapping in the queue; valid while the mapping carries the same stamp.
#[derive(Debug)]
pub(super) struct Entry {
    due: Nanos,
    stamp: u64,
    shared: Arc<Shared>,
}

impl State {
    pub(super) fn push(&mut self, shared: &Arc<Shared>, due: Nanos) {
        self.stamps += 1;
        shared.stamp.store(self.stamps, Ordering::Relaxed);
        let entry = Entry { due, stamp: self.stamps, shared: Arc::clone(shared) };
        self.queue.push(Reverse(entry));
    }

    pub(super) fn next_due(&self) -> Option<Nanos> {
        let queued = self.queue.peek().map(|entry| entry.0.due);
        let tick = (!self.dormant.is_empty()).then_some(self.tick_at);
        queued.into_iter().chain(tick).min()
    }

    /// Takes what is due from the queue: one entry, if it is valid still.
    pub(super) fn pop_due(&mut self, now: Nanos) -> Option<Entry> {
        if self.queue.peek()?.0.due > now {
            return None;
        }
        self.queue.pop().map(|entry| entry.0).filter(Entry::is_valid)
    }

    /// Puts a stepped mapping back. One that was scheduled anew meanwhile, while its task was
    /// taken, is due at once.
    pub(super) fn finish(&mut self, entry: &Entry, next: Next) {
        if entry.shared.gate.is_closed() {
            return;
        }
        if !entry.is_valid() {
            self.push(&entry.shared, clock::now());
            return;
        }
        match next {
            Next::At(due) => self.push(&entry.shared, due),
            Next::Rings => {}
            Next::Dormant => {
                let Entry { due, stamp, ref shared } = *entry;
                self.dormant.push(Entry { due, stamp, shared: Arc::clone(shared) });
            }
        }
    }

    /// Schedules the guarded mappings that were tripped on since the last time.
    pub(super) fn hear_trips(&mut self, now: Nanos) {
        let mut tripped = Vec::new();
        self.guarded.retain(|guarded| {
            let Some(shared) = guarded.upgrade() else { return false };
            if shared.has_new_trips() {
                tripped.push(shared);
            }
            true
        });
        for shared in tripped {
            self.push(&shared, now);
        }
    }

    /// Every 10 ms while mappings are dormant: if the process has faulted since the last time, a
    /// reader may have come back, and all of them are looked at, as far as that is cheap.
    pub(super) fn tick(&mut self, now: Nanos) {
        if self.dormant.is_empty() || now < self.tick_at {
            return;
        }
        self.tick_at = Nanos(now.0 + TICK_NANOS);
        if std::mem::take(&mut self.has_gone) {
            self.dormant.retain(|entry| entry.is_valid() && !entry.shared.gate.is_closed());
        }
        if now < self.dormant_not_before {
            return;
        }
        let usage = sys::usage(UsageOf::Process);
        let faults = usage.minor_faults + usage.major_faults;
        if faults == self.faults {
            return;
        }
        self.faults = faults;
        let cost = self.dormant.len() as u64 * DORMANT_LOOK_NANOS;
        self.dormant_not_before = Nanos(now.0 + cost * DORMANT_REST_FACTOR);
        for entry in std::mem::take(&mut self.dormant) {
            self.push(&entry.shared, now);
        }
    }
}

impl Entry {
    fn is_valid(&self) -> bool {
        self.shared.stamp.load(Ordering::Relaxed) == self.stamp
    }

    /// Steps the mapping, unless it is gone or another worker is stuck in it.
    pub(super) fn step(&self, before_fetch: &mut dyn FnMut()) -> Next {
        let Some(_inside) = self.shared.gate.enter() else { return Next::Dormant };
        let Ok(mut task) = self.shared.task.try_lock() else { return Next::Dormant };
        task.step(&self.shared, before_fetch)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        (self.due, self.stamp) == (other.due, other.stamp)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        (self.due, self.stamp).cmp(&(other.due, other.stamp))
    }
}
