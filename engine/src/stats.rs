//! Counters that say what was done ahead, and whether it helped.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    (
        $(#[$about:meta])* $Stats:ident, $Counters:ident:
        $($(#[$doc:meta])* $name:ident,)*
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $Stats { $($(#[$doc])* pub $name: u64,)* }

        /// The live counters behind the public ones.
        #[derive(Debug, Default)]
        pub(crate) struct $Counters { $(pub(crate) $name: std::sync::atomic::AtomicU64,)* }

        impl $Counters {
            pub(crate) fn snapshot(&self) -> $Stats {
                let load = |counter: &std::sync::atomic::AtomicU64| {
                    counter.load(std::sync::atomic::Ordering::Relaxed)
                };
                $Stats { $($name: load(&self.$name),)* }
            }
        }

        impl $Stats {
            /// The counters with their names, in the order of the documentation.
            #[must_use]
            pub fn fields(&self) -> Vec<(&'static str, u64)> {
                let $Stats { $($name,)* } = *self;
                vec![$((stringify!($name), $name),)*]
            }
        }
    };
}

#[cfg(all(target_os = "linux", not(elsewhere)))]
pub(crate) use counters;

counters! {
    /// What the engine did for one mapping, from its creation until now.
    ///
    /// All counters only grow. They are read one by one while the engine runs on, so they are not a
    /// consistent snapshot to the last unit. All are 0 with [`Mode::Off`](crate::Mode::Off).
    Stats, Counters:
    /// Looks at the page table (PAGEMAP_SCAN calls).
    polls,
    /// Touches that were learnt: markers passed, guard trips, pages found by a scan.
    touches,
    /// Pages that windows put into the page table, markers not counted.
    pages_mapped,
    /// Pages that the disk was started on ahead of the reader (MADV_WILLNEED).
    pages_read_ahead,
    /// Windows carried out.
    windows,
    /// Markers left out of windows.
    markers,
    /// Markers that were present right after their window was mapped, because a large folio maps
    /// its neighbours too: they say nothing about the reader and are not believed.
    false_markers,
    /// Steps of strides and backward runs that were read ahead and watched.
    steps,
    /// Those of them that their reader took: of `steps`, what was worth reading.
    steps_taken,
    /// Looks that found the reader beyond everything that was mapped ahead.
    late,
    /// Fetches that the kernel refused; the reader falls back to the kernel's own behaviour.
    refused,
    /// SIGSEGV trips on closed windows (Mode::Guard): handled + dropped.
    trips,
    /// Trips that were reported to the policy.
    trips_handled,
    /// Trips that opened their window but were not reported, because the ring was full.
    trips_dropped,
    /// Pages open for reading (Mode::Guard).
    pages_open,
    /// Explicit prefetches asked for.
    prefetches,
    /// Explicit prefetches turned away: too many were waiting already, or the mapping is Off.
    prefetches_refused,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}
