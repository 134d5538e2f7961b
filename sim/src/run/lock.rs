//! The lock of the address space (mmap_lock, and the lock of the VMA): many faults at once, or one
//! mmap or munmap.

use mmap_ahead::page::Nanos;

use super::events::ThreadId;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lock {
    readers_end: Nanos,
    writer_end: Nanos,
    last: Option<ThreadId>,
}

/// What taking the lock takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Until when somebody else has it.
    pub(crate) wait: Nanos,
    /// Whether its cache line was with another thread.
    pub(crate) is_bounced: bool,
}

impl Lock {
    /// Takes it at `at` to share it.
    pub(crate) fn share(&mut self, thread: ThreadId, at: Nanos) -> Taken {
        self.take(thread, self.writer_end.since(at))
    }

    /// Takes it at `at` alone.
    pub(crate) fn alone(&mut self, thread: ThreadId, at: Nanos) -> Taken {
        self.take(thread, self.writer_end.max(self.readers_end).since(at))
    }

    /// Somebody who shares it has it until `end`.
    pub(crate) fn shared_until(&mut self, end: Nanos) {
        self.readers_end = self.readers_end.max(end);
    }

    /// Whoever has it alone has it until `end`.
    pub(crate) fn alone_until(&mut self, end: Nanos) {
        self.writer_end = self.writer_end.max(end);
    }

    fn take(&mut self, thread: ThreadId, wait: Nanos) -> Taken {
        let is_bounced = self.last.is_some_and(|last| last != thread);
        self.last = Some(thread);
        Taken { wait, is_bounced }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_share_do_not_wait_for_each_other() {
        let mut lock = Lock::default();
        assert_eq!(lock.share(0, Nanos(10)), Taken { wait: Nanos(0), is_bounced: false });
        lock.shared_until(Nanos(50));
        assert_eq!(lock.share(1, Nanos(20)), Taken { wait: Nanos(0), is_bounced: true });
        lock.shared_until(Nanos(30));
        assert_eq!(lock.alone(1, Nanos(40)), Taken { wait: Nanos(10), is_bounced: false });
        lock.alone_until(Nanos(70));
        assert_eq!(lock.share(0, Nanos(60)), Taken { wait: Nanos(10), is_bounced: true });
    }
}
