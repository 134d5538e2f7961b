//! A fixed table of address ranges, which signal handlers read without a lock.

use std::io;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use super::in_forked_child;

/// At most `N` ranges at a time, each with a `T` that is never freed.
pub(super) struct Ranges<T: 'static, const N: usize> {
    entries: [Entry; N],
    data: [T; N],
    /// Slots beyond this have never been live.
    used: AtomicUsize,
}

/// What the handler needs to find a slot, apart from the bulk of it: the whole search stays in a
/// few pages.
struct Entry {
    /// Odd while the slot is live, even while it is not; grows with every change.
    version: AtomicU32,
    /// Who may be using the slot: it is not given to another mapping meanwhile.
    holders: AtomicU32,
    base: AtomicUsize,
    len: AtomicUsize,
    /// Taken by a `Place`. Not for the handler.
    is_taken: AtomicBool,
}

impl Entry {
    const fn new() -> Entry {
        Entry {
            version: AtomicU32::new(0),
            holders: AtomicU32::new(0),
            base: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
            is_taken: AtomicBool::new(false),
        }
    }
}

/// A live slot that stays live: `retire` waits for it. To be kept for a moment only.
pub(super) struct Hold<T: 'static> {
    entry: &'static Entry,
    data: &'static T,
}

impl<T> Hold<T> {
    /// Holds the slot if it is still live in this version.
    fn new(entry: &'static Entry, data: &'static T, version: u32) -> Option<Hold<T>> {
        // Sequentially consistent, as the two operations of `Place::retire`: either this load sees
        // the slot retired, or `retire` sees the holder.
        entry.holders.fetch_add(1, Ordering::SeqCst);
        let hold = Hold { entry, data };
        (entry.version.load(Ordering::SeqCst) == version).then_some(hold)
    }
}

impl<T> Deref for Hold<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.data
    }
}

impl<T> Drop for Hold<T> {
    fn drop(&mut self) {
        self.entry.holders.fetch_sub(1, Ordering::Release);
    }
}

impl<T, const N: usize> Ranges<T, N> {
    pub(super) const fn new(data: [T; N]) -> Ranges<T, N> {
        Ranges { entries: [const { Entry::new() }; N], data, used: AtomicUsize::new(0) }
    }

    /// The live slot whose range holds `addr`. Async-signal-safe.
    pub(super) fn find(&'static self, addr: usize) -> Option<Hold<T>> {
        let used = self.used.load(Ordering::Acquire);
        self.entries.iter().zip(&self.data).take(used).find_map(|(entry, data)| {
            let version = entry.version.load(Ordering::Acquire);
            if version % 2 == 0 {
                return None;
            }
            let base = entry.base.load(Ordering::Relaxed);
            let len = entry.len.load(Ordering::Relaxed);
            // Of two generations mixed, these may match by accident: the version, looked at again
            // under the hold, says whether they belong together. And they may not fail to match by
            // accident: the slot that a fault is about does not change during the fault.
            if addr.wrapping_sub(base) >= len {
                return None;
            }
            Hold::new(entry, data, version)
        })
    }

    /// Takes a free slot and makes it live for `len` bytes from `base`, when `prepare` has put its
    /// data in order.
    ///
    /// # Errors
    /// `OutOfMemory` when all slots are taken; `prepare` was not called then.
    pub(super) fn take<P>(
        &'static self,
        (base, len): (usize, usize),
        prepare: impl FnOnce(&T) -> P,
    ) -> io::Result<(Place<T>, P)> {
        let is_free = |entry: &Entry| !entry.is_taken.swap(true, Ordering::Acquire);
        let index = self.entries.iter().position(is_free).ok_or(io::ErrorKind::OutOfMemory)?;
        let (entry, data) = (&self.entries[index], &self.data[index]);
        let prepared = prepare(data);
        entry.base.store(base, Ordering::Relaxed);
        entry.len.store(len, Ordering::Relaxed);
        self.used.fetch_max(index + 1, Ordering::AcqRel);
        let version = entry.version.load(Ordering::Relaxed).wrapping_add(1);
        entry.version.store(version, Ordering::SeqCst);
        Ok((Place { entry, data, version }, prepared))
    }
}

/// Sole possession of one slot of the table.
pub(super) struct Place<T: 'static> {
    entry: &'static Entry,
    data: &'static T,
    /// The odd number under which it is live.
    version: u32,
}

impl<T> Place<T> {
    /// What belongs to the slot: it may be read at any time, also when it is retired.
    pub(super) fn data(&self) -> &'static T {
        self.data
    }

    /// The right to change the mapping, unless the slot is retired.
    pub(super) fn hold(&self) -> Option<Hold<T>> {
        Hold::new(self.entry, self.data, self.version)
    }

    /// From the return on, neither the handler nor anybody else changes the mapping by way of this
    /// slot. Waits for those who do it just now.
    pub(super) fn retire(&self) {
        let (live, retired) = (self.version, self.version.wrapping_add(1));
        let order = Ordering::SeqCst;
        // It fails when the slot is retired already; but its holders are waited for all the same.
        let _ = self.entry.version.compare_exchange(live, retired, order, order);
        self.wait_while_held_by_more_than(0);
    }

    /// Waits until everybody is done who used the slot when this was called, but for one: the caller.
    pub(super) fn wait_for_others(&self) {
        self.wait_while_held_by_more_than(1);
    }

    /// What a holder does takes one system call at most.
    fn wait_while_held_by_more_than(&self, holders: u32) {
        let mut rounds = 0_u32;
        // In a forked child a holder may be a thread that was not forked, and never let go.
        while self.entry.holders.load(Ordering::SeqCst) > holders && !in_forked_child() {
            rounds += 1;
            if rounds < 100 { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        self.retire();
        self.entry.is_taken.store(false, Ordering::Release);
    }
}
