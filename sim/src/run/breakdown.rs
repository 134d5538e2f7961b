//! What a thread's time went to. The clock of a thread only goes forward by naming what for, so that
//! the parts add up to the whole exactly.

use mmap_ahead::page::Nanos;
use serde::Serialize;
use serde::ser::SerializeMap;

/// What time is spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The workload's own thinking.
    Think,
    /// Reading mapped pages, or what was copied from them; TLB misses.
    FileAccess,
    /// Making page-table entries and page tables.
    PteConstruction,
    /// Everything else that the handler of a page fault does.
    PageFault,
    /// Into the kernel and back.
    ModeSwitch,
    /// What system calls do beyond what is named apart: mmap, munmap, madvise, the entry of read(2).
    Calls,
    /// Folios: allocated, added to the page cache, reclaimed; handing requests to the device.
    PageCache,
    /// Copying: read(2), zeroing, copy on write.
    Copy,
    /// Waiting for the device.
    IoStall,
    /// Waiting for a lock, or for its cache line.
    LockWait,
    /// Signals and their handlers.
    Signals,
    /// Ready to run, and no core is free.
    CoreWait,
}

const KINDS: usize = 12;

/// The names, in the order of [`Kind`].
const NAMES: [&str; KINDS] = [
    "think_ns",
    "file_access_ns",
    "pte_construction_ns",
    "page_fault_ns",
    "mode_switches_ns",
    "calls_ns",
    "page_cache_ns",
    "copy_ns",
    "io_stall_ns",
    "lock_wait_ns",
    "signals_ns",
    "core_wait_ns",
];

/// Nanoseconds by [`Kind`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breakdown([u64; KINDS]);

impl Breakdown {
    /// What went to `kind`.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Nanos {
        Nanos(self.0[kind as usize])
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> Nanos {
        Nanos(self.0.iter().sum())
    }

    /// Every part with its name.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, Nanos)> + '_ {
        NAMES.into_iter().zip(self.0.iter().map(|ns| Nanos(*ns)))
    }

    #[inline]
    pub(crate) fn add(&mut self, kind: Kind, span: Nanos) {
        self.0[kind as usize] += span.0;
    }

    pub(crate) fn add_all(&mut self, other: &Breakdown) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, part)| *sum += part);
    }
}

impl Serialize for Breakdown {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(KINDS))?;
        for (name, Nanos(ns)) in self.parts() {
            map.serialize_entry(name, &ns)?;
        }
        map.end()
    }
}

/// A thread's clock: goes forward only by spending time on something.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    now: Nanos,
    spent: Breakdown,
}

impl Clock {
    #[inline]
    pub(crate) fn now(&self) -> Nanos {
        self.now
    }

    pub(crate) fn spent(&self) -> &Breakdown {
        &self.spent
    }

    #[inline]
    pub(crate) fn spend(&mut self, kind: Kind, span: Nanos) {
        self.now.0 += span.0;
        self.spent.add(kind, span);
    }

    /// Pays everything on `bill`.
    pub(crate) fn pay(&mut self, bill: &Breakdown) {
        self.now.0 += bill.total().0;
        self.spent.add_all(bill);
    }

    /// How long it worked: all but waiting.
    pub(crate) fn worked(&self) -> Nanos {
        let waits = [Kind::IoStall, Kind::LockWait, Kind::CoreWait];
        let waited: u64 = waits.iter().map(|kind| self.spent.of(*kind).0).sum();
        Nanos(self.spent.total().0 - waited)
    }

    /// Waits until `moment` because of `kind`; not at all when that is past.
    pub(crate) fn wait_until(&mut self, moment: Nanos, kind: Kind) {
        self.spend(kind, moment.since(self.now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_the_sum_of_what_it_was_spent_on() {
        let mut clock = Clock::default();
        clock.spend(Kind::Think, Nanos(5));
        clock.wait_until(Nanos(9), Kind::IoStall);
        clock.wait_until(Nanos(3), Kind::LockWait);
        let mut bill = Breakdown::default();
        bill.add(Kind::Copy, Nanos(7));
        clock.pay(&bill);
        assert_eq!((clock.now(), clock.spent().total()), (Nanos(16), Nanos(16)));
        assert_eq!(clock.spent().of(Kind::IoStall), Nanos(4));
        let named: Vec<_> = clock.spent().parts().filter(|(_, ns)| ns.0 > 0).collect();
        assert_eq!(
            named,
            [("think_ns", Nanos(5)), ("copy_ns", Nanos(7)), ("io_stall_ns", Nanos(4))]
        );
    }
}
