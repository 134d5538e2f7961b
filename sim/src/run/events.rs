//! What is to happen, in the order of time; at the same time, in the order it was asked for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use mmap_ahead::page::Nanos;

use crate::kernel::Io;

/// A reader or a helper, by its number: readers first.
pub(crate) type ThreadId = usize;

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// This thread can go on, as soon as it has a core.
    Ready(ThreadId),
    /// This thread goes on: it has a core.
    Run(ThreadId),
    /// A thread has left its core.
    Release,
    /// The device has brought this.
    Arrived(Io),
    /// The device has done this read of who reads past the page cache.
    Landed(u64),
    /// The observer looks at the page table.
    Look,
}

/// Ordered by `at`, then by `number`, which no two have in common.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Nanos,
    number: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.number == other.number
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
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    heap: BinaryHeap<Reverse<Entry>>,
    next_number: u64,
}

impl Events {
    pub(crate) fn push(&mut self, at: Nanos, event: Event) {
        let number = self.next_number;
        self.next_number += 1;
        self.heap.push(Reverse(Entry { at, number, event }));
    }

    pub(crate) fn pop(&mut self) -> Option<(Nanos, Event)> {
        self.heap.pop().map(|Reverse(Entry { at, event, .. })| (at, event))
    }

    /// When something happens next: a thread must not run on beyond that.
    #[inline]
    pub(crate) fn next_at(&self) -> Nanos {
        self.heap.peek().map_or(Nanos(u64::MAX), |Reverse(entry)| entry.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_turn() {
        let mut events = Events::default();
        events.push(Nanos(5), Event::Look);
        events.push(Nanos(3), Event::Run(1));
        events.push(Nanos(3), Event::Ready(2));
        assert_eq!(events.next_at(), Nanos(3));
        let order: Vec<_> = std::iter::from_fn(|| events.pop()).map(|(_, event)| event).collect();
        assert_eq!(order, [Event::Run(1), Event::Ready(2), Event::Look]);
        assert_eq!(events.next_at(), Nanos(u64::MAX));
    }
}
