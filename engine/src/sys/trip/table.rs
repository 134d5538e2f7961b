//! The fixed table of guarded mappings, which the handler reads without a lock.

use std::io;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use super::windows::{Shape, WINDOWS_MAX, Windows};
use crate::sys::in_forked_child;

/// Guarded mappings at a time. Looking through all of them costs the handler 256 loads, little
/// beside the 3 us that a signal takes.
pub(super) const SLOTS_MAX: usize = 256;

/// Windows of all mappings together, so also their VMAs: a quarter of the kernel's usual
/// `vm.max_map_count` of 65,530, since the rest of the process needs some too.
pub(super) const WINDOWS_BUDGET: usize = 16_384;

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

static ENTRIES: [Entry; SLOTS_MAX] = [const { Entry::new() }; SLOTS_MAX];
static WINDOWS: [Windows; SLOTS_MAX] = [const { Windows::new() }; SLOTS_MAX];
/// Slots beyond this have never been live.
static SLOTS_USED: AtomicUsize = AtomicUsize::new(0);
static WINDOWS_LEFT: AtomicUsize = AtomicUsize::new(WINDOWS_BUDGET);

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
pub(super) struct Hold {
    entry: &'static Entry,
    windows: &'static Windows,
}

impl Hold {
    /// Holds the slot if it is still live in this version.
    fn new(entry: &'static Entry, windows: &'static Windows, version: u32) -> Option<Hold> {
        // Sequentially consistent, as the two operations of `Place::retire`: either this load sees
        // the slot retired, or `retire` sees the holder.
        entry.holders.fetch_add(1, Ordering::SeqCst);
        let hold = Hold { entry, windows };
        (entry.version.load(Ordering::SeqCst) == version).then_some(hold)
    }
}

impl Deref for Hold {
    type Target = Windows;

    fn deref(&self) -> &Windows {
        self.windows
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.entry.holders.fetch_sub(1, Ordering::Release);
    }
}

/// The live slot whose range holds `addr`. Async-signal-safe.
pub(super) fn find(addr: usize) -> Option<Hold> {
    let used = SLOTS_USED.load(Ordering::Acquire);
    ENTRIES.iter().zip(&WINDOWS).take(used).find_map(|(entry, windows)| {
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
        Hold::new(entry, windows, version)
    })
}

/// The least window size, a power of two and at least `least`, with which `len` bytes make at most
/// `windows` windows (and never more than `WINDOWS_MAX`).
pub(super) fn granule_for(len: usize, least: usize, windows: usize) -> usize {
    let windows = windows.clamp(1, WINDOWS_MAX);
    // Beyond the largest signed size nothing can be mapped, and doubling would overflow.
    let mut granule = least.min(1 << (usize::BITS - 2)).next_power_of_two();
    while len.div_ceil(granule) > windows {
        granule <<= 1;
    }
    granule
}

/// Windows taken from the budget of the process; given back when dropped.
///
/// A mapping gets at most a quarter of what is left, so there is always something left for the
/// next; when there is not even one window, the mapping is a single window, which needs no VMA
/// beyond its own. So the sum over all slots stays at or under the budget plus one a slot.
struct Share {
    windows: usize,
}

impl Share {
    /// A share for `len` bytes, and the window size that keeps to it: at least `granule_min`.
    fn take(len: usize, granule_min: usize) -> (Share, usize) {
        let mut left = WINDOWS_LEFT.load(Ordering::Relaxed);
        loop {
            let granule = granule_for(len, granule_min, left / 4);
            let windows = len.div_ceil(granule).min(left);
            let next = left - windows;
            let order = Ordering::Relaxed;
            match WINDOWS_LEFT.compare_exchange_weak(left, next, order, order) {
                Ok(_) => return (Share { windows }, granule),
                Err(newer) => left = newer,
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        WINDOWS_LEFT.fetch_add(self.windows, Ordering::Relaxed);
    }
}

/// What the pages of a slot may be used for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Protection {
    pub(super) open: i32,
    pub(super) closed: i32,
}

/// Sole possession of one slot of the table.
pub(super) struct Place {
    index: usize,
    /// The odd number under which it is live.
    version: u32,
    _share: Share,
}

impl Place {
    /// Takes a free slot and makes it live, with every window closed in its books.
    ///
    /// # Errors
    /// `OutOfMemory` when all slots are taken.
    pub(super) fn take(
        (base, len): (usize, usize),
        granule_min: usize,
        Protection { open, closed }: Protection,
    ) -> io::Result<Place> {
        let is_free = |entry: &Entry| !entry.is_taken.swap(true, Ordering::Acquire);
        let index = ENTRIES.iter().position(is_free).ok_or(io::ErrorKind::OutOfMemory)?;
        let (share, granule) = Share::take(len, granule_min);
        let (entry, windows) = (&ENTRIES[index], &WINDOWS[index]);
        let granule_shift = granule.trailing_zeros();
        let shape = Shape { base, len, granule_shift, prot: open, closed };
        windows.reset(shape);
        entry.base.store(base, Ordering::Relaxed);
        entry.len.store(len, Ordering::Relaxed);
        SLOTS_USED.fetch_max(index + 1, Ordering::AcqRel);
        let version = entry.version.load(Ordering::Relaxed).wrapping_add(1);
        entry.version.store(version, Ordering::SeqCst);
        Ok(Place { index, version, _share: share })
    }

    /// The books of the slot: they may be read at any time, also when it is retired.
    pub(super) fn windows(&self) -> &'static Windows {
        &WINDOWS[self.index]
    }

    /// The right to change the protection, unless the slot is retired.
    pub(super) fn hold(&self) -> Option<Hold> {
        Hold::new(&ENTRIES[self.index], self.windows(), self.version)
    }

    /// Waits until everybody is done who used the slot when this was called, but for one: the caller.
    pub(super) fn wait_for_others(&self) {
        let entry = &ENTRIES[self.index];
        wait_while(|| entry.holders.load(Ordering::SeqCst) > 1);
    }

    /// From the return on, neither the handler nor anybody else changes the protection of the
    /// mapping. Waits for those who do it just now.
    pub(super) fn retire(&self) {
        let entry = &ENTRIES[self.index];
        let (live, retired) = (self.version, self.version.wrapping_add(1));
        let order = Ordering::SeqCst;
        // It fails when the slot is retired already; but its holders are waited for all the same.
        let _ = entry.version.compare_exchange(live, retired, order, order);
        wait_while(|| entry.holders.load(Ordering::SeqCst) != 0);
    }
}

/// Waits for the end of what takes one system call at most. Not in a forked child: a holder there may be
/// a thread that was not forked, and never let go.
fn wait_while(is_held: impl Fn() -> bool) {
    let mut rounds = 0_u32;
    while is_held() && !in_forked_child() {
        rounds += 1;
        if rounds < 100 { std::hint::spin_loop() } else { std::thread::yield_now() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.retire();
        ENTRIES[self.index].is_taken.store(false, Ordering::Release);
    }
}
