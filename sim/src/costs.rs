//! What the kernel's work costs: each cost with a name, a unit and a source.

use mmap_ahead::page::{Nanos, PageCount};

/// Costs of the modelled kernel.
///
/// Default: this project's machine (Linux 6.18, tmpfs with 4 KiB pages; DESIGN.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// One fault that maps one fault-around block of cached pages, paid by the reader.
    /// Source: 64 KiB take 6.8 us at 9.65 GB/s with faults, 3.9 us at 16.9 GB/s without.
    pub fault_ns: Nanos,
    /// Populating one cached page, paid by the worker. Source: `fault_ns` over its 16 pages.
    pub populate_page_ns: Nanos,
    /// One madvise call, paid by the worker; at least 1. Source: 0.27 us, TRAPS 5.
    pub advise_ns: Nanos,
    /// From one look of the marker observer to the next; at least 1. Guess: the probe's 20 us.
    pub poll_ns: Nanos,
    /// How many pages, aligned to that, a fault on an absent page reads.
    /// Source: `read_ahead_kb` 128, the usual value.
    pub read_around: PageCount,
    /// The largest device request; more is cut into pieces. Guess: 1 MiB.
    pub request_max: PageCount,
}

impl Default for Costs {
    fn default() -> Costs {
        Costs {
            fault_ns: Nanos(2_900),
            populate_page_ns: Nanos(181),
            advise_ns: Nanos(270),
            poll_ns: Nanos(20_000),
            read_around: PageCount(32),
            request_max: PageCount(256),
        }
    }
}
