//! Who runs: so many threads at once as there are cores, the others in turn.

use std::collections::VecDeque;

use mmap_ahead::page::Nanos;

use super::events::ThreadId;

/// How long a thread keeps its core while others wait for one: the scheduler's base slice of Linux
/// 6.6 and later, 2.8 ms (kernel/sched/fair.c).
const SLICE_NS: u64 = 2_800_000;

#[derive(Clone, Debug)]
pub(crate) struct Cores {
    free: usize,
    waiting: VecDeque<(ThreadId, Nanos)>,
}

impl Cores {
    pub(crate) fn new(count: usize) -> Cores {
        Cores { free: count, waiting: VecDeque::new() }
    }

    /// Whether `thread`, ready since `at`, has a core now; else it waits for one.
    pub(crate) fn take(&mut self, thread: ThreadId, at: Nanos) -> bool {
        if self.free == 0 {
            self.waiting.push_back((thread, at));
            return false;
        }
        self.free -= 1;
        true
    }

    /// A core was left: who has it next, and since when that one was ready.
    pub(crate) fn release(&mut self) -> Option<(ThreadId, Nanos)> {
        let next = self.waiting.pop_front();
        self.free += usize::from(next.is_none());
        next
    }

    /// Whether a thread that has run since `since` has to make room at `now`.
    pub(crate) fn is_over(&self, since: Nanos, now: Nanos) -> bool {
        !self.waiting.is_empty() && now.since(since).0 >= SLICE_NS
    }

    /// How far a thread that has run since `since` may run on.
    pub(crate) fn limit(&self, since: Nanos) -> Nanos {
        match self.waiting.is_empty() {
            true => Nanos(u64::MAX),
            false => Nanos(since.0 + SLICE_NS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_beyond_the_cores_wait_in_turn() {
        let mut cores = Cores::new(1);
        assert!(cores.take(0, Nanos(1)));
        assert!(!cores.is_over(Nanos(0), Nanos(SLICE_NS)), "nobody waits");
        assert!(!cores.take(1, Nanos(2)) && !cores.take(2, Nanos(3)));
        assert!(cores.is_over(Nanos(0), Nanos(SLICE_NS)));
        assert_eq!(cores.release(), Some((1, Nanos(2))));
        assert_eq!(cores.release(), Some((2, Nanos(3))));
        assert_eq!(cores.release(), None);
        assert!(cores.take(0, Nanos(4)));
    }
}
