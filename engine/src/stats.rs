//! Counters that say what was done ahead, and whether it helped.

use std::sync::atomic::{AtomicU64, Ordering};

mod summary;

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
    /// All counters only grow, but for `streams`, `bytes_wasted` and `pages_open`. They are read one by
    /// one while the engine runs on, so they are not a consistent snapshot to the last unit. All are 0
    /// with [`Mode::Off`](crate::Mode::Off).
    ///
    /// Unit: pages of the running kernel where a name says pages. What readers do is known as finely as
    /// the engine sees it, and it looks no more often in order to count: a page that a reader has passed
    /// counts when the next marker behind it is met, so that the last window or two of a run may be
    /// missing, and a block of 64 KiB counts as passed where only that is known. Explicit prefetches and
    /// replays are in none of the counts of pages.
    ///
    /// [`Display`](std::fmt::Display) sums it up in a few lines, and is silent about what did not happen.
    Stats, Counters:
    /// Looks at the page table (PAGEMAP_SCAN calls).
    polls,
    /// Touches that were learnt: markers passed, guard trips, pages found by a scan.
    touches,
    /// Pages that windows put into the page table, markers not counted.
    pages_mapped,
    /// Pages that the disk was started on ahead of the reader.
    pages_read_ahead,
    /// Those of them that were read in blocks of 2 MiB, through a second mapping; the others by MADV_WILLNEED.
    pages_in_blocks,
    /// Pages that predictions fetched ahead, read or mapped, each once.
    pages_ahead,
    /// Those of them that a reader has passed since: see [`Stats::accuracy`].
    pages_used,
    /// Pages that readers were seen to pass.
    pages_passed,
    /// Those of them that had been put into the page table before their reader came: see
    /// [`Stats::coverage`].
    pages_covered,
    /// Of `pages_read_ahead`, those that a reader has passed since.
    pages_read_used,
    /// Bytes that the disk was started on and no reader has passed: what is ahead of readers at the
    /// moment, and what was read for nothing.
    bytes_wasted,
    /// Reads ahead that were in memory before their reader came: of those that were looked out for, one
    /// at a time. See [`Stats::timeliness`].
    arrived_in_time,
    /// Reads ahead whose reader was there when they were first seen in memory, and had not been seen to
    /// go on for less than 100 us: it waited for no longer, if it did.
    arrived_late_100us,
    /// The same, for 100 us to 1 ms.
    arrived_late_1ms,
    /// The same, for 1 ms to 10 ms.
    arrived_late_10ms,
    /// The same, for longer.
    arrived_late_longer,
    /// Streams that are read ahead of at the moment: runs, backward runs and strides.
    streams,
    /// How often the policy was told that memory is short, or the process's budget spent.
    pressures,
    /// Plans that were cut because the budget of the process was spent: see
    /// [`set_process_budget`](crate::set_process_budget).
    over_budget,
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

impl Stats {
    /// Of the pages that were fetched ahead, the share that a reader has passed since: from 0 to 1.
    ///
    /// `None` before anything was fetched. Before a reader has ended, what is ahead of it counts as not
    /// used yet.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        share(self.pages_used, self.pages_ahead)
    }

    /// Of the pages that readers were seen to pass, the share that was in the page table already: they
    /// cost no fault. From 0 to 1.
    ///
    /// `None` before anybody was seen. The pages of strides and backward runs are read ahead and left to
    /// their reader to map, so they are not covered; nor is what was left to the kernel because mapping
    /// it wins nothing.
    #[must_use]
    pub fn coverage(&self) -> Option<f64> {
        share(self.pages_covered, self.pages_passed)
    }

    /// Of the reads ahead that were looked out for, the share that was in memory before its reader came:
    /// from 0 to 1. By how much the others were late is in the counters from `arrived_late_100us` on.
    ///
    /// `None` before any was seen to be used; always where the kernel does not tell what is cached.
    #[must_use]
    pub fn timeliness(&self) -> Option<f64> {
        let late = self.arrived_late_100us
            + self.arrived_late_1ms
            + self.arrived_late_10ms
            + self.arrived_late_longer;
        share(self.arrived_in_time, self.arrived_in_time + late)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}
