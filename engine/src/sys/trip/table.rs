//! The fixed table of guarded mappings, which the handler reads without a lock.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::windows::{Shape, WINDOWS_MAX, Windows};
use crate::sys::ranges::{self, Hold, Ranges};

/// Guarded mappings at a time. Looking through all of them costs the handler 256 loads, little
/// beside the 3 us that a signal takes.
pub(super) const SLOTS_MAX: usize = 256;

/// Windows of all mappings together, so also their VMAs: a quarter of the kernel's usual
/// `vm.max_map_count` of 65,530, since the rest of the process needs some too.
pub(super) const WINDOWS_BUDGET: usize = 16_384;

static TABLE: Ranges<Windows, SLOTS_MAX> = Ranges::new([const { Windows::new() }; SLOTS_MAX]);
static WINDOWS_LEFT: AtomicUsize = AtomicUsize::new(WINDOWS_BUDGET);

/// The live slot whose range holds `addr`. Async-signal-safe.
pub(super) fn find(addr: usize) -> Option<Hold<Windows>> {
    TABLE.find(addr)
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

/// Sole possession of one slot of the table. (The slot is given back before its share.)
pub(super) struct Place {
    slot: ranges::Place<Windows>,
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
        let (slot, _share) = TABLE.take((base, len), |windows| {
            let (share, granule) = Share::take(len, granule_min);
            let granule_shift = granule.trailing_zeros();
            windows.reset(Shape { base, len, granule_shift, prot: open, closed });
            share
        })?;
        Ok(Place { slot, _share })
    }

    /// The books of the slot: they may be read at any time, also when it is retired.
    pub(super) fn windows(&self) -> &'static Windows {
        self.slot.data()
    }

    /// The right to change the protection, unless the slot is retired.
    pub(super) fn hold(&self) -> Option<Hold<Windows>> {
        self.slot.hold()
    }

    /// Waits until everybody is done who used the slot when this was called, but for one: the caller.
    pub(super) fn wait_for_others(&self) {
        self.slot.wait_for_others();
    }

    /// From the return on, neither the handler nor anybody else changes the protection of the
    /// mapping. Waits for those who do it just now.
    pub(super) fn retire(&self) {
        self.slot.retire();
    }
}
