//! What all mappings of the process share: one budget.

use crate::page::ByteLen;
use crate::runtime::process;

/// What all mappings of the process together hold of the budget that they share.
///
/// Read one by one while the engine runs on: not a consistent snapshot to the last byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessStats {
    /// The budget: see [`set_process_budget`].
    pub budget: ByteLen,
    /// What is ahead of all readers and writers at the moment: fetched, and not seen taken.
    pub ahead: ByteLen,
    /// The most that it ever was at once.
    pub ahead_most: ByteLen,
    /// What mappings left idle for 20 s held when others needed it: it was given up.
    pub given_up: ByteLen,
}

/// Sets the most bytes that all mappings of this process together have fetched ahead and not yet seen taken.
///
/// Each mapping has its own budget besides ([`MmapOptions::budget`](crate::MmapOptions::budget)), and is
/// granted no more than what is left for all others after it: one alone has at most half, and each of N that
/// want more than that has one part in N + 1, so that there is always something left for the next one. What
/// is not granted is left to the kernel or planned again later, counted
/// ([`Stats::over_budget`](crate::Stats::over_budget)), and makes the mapping's policy hold
/// back as if memory were short. What nobody came for in 10 to 20 s counts no more: it is page cache like
/// any other, and the kernel's to take.
///
/// Unit: bytes. Default: an eighth of the memory that is available when the first mapping is read ahead
/// of (MemAvailable, or the limit of a cgroup that the process is in, if that is less; 256 MiB where neither
/// can be known). The eighth is a guess, of the size at which the kernel begins to write dirty pages
/// back (vm.dirty_background_ratio: 10%): what may pile up on the quiet. It is no bound on few mappings:
/// 44 at their full [`BUDGET_DEFAULT`](crate::BUDGET_DEFAULT) on a machine with 22 GiB available.
///
/// With 0 nothing is read or written ahead. Takes effect with the next fetch of each mapping; what is
/// ahead already stays. Without effect on what the program asks for itself (explicit prefetches, replays),
/// and on [`Reader`](crate::Reader) and `Paged`, which have a limit of their own each. In a forked
/// child nothing is read ahead anyway.
///
/// Source: proc_meminfo(5); the sharing: Choudhury and Hahne, Dynamic Queue Length Thresholds for
/// Shared-Memory Packet Switches, IEEE/ACM Transactions on Networking 6(2), 1998.
///
/// ```
/// use mmap_ahead::page::ByteLen;
///
/// mmap_ahead::set_process_budget(ByteLen(256 << 20));
/// let stats = mmap_ahead::process_stats();
/// assert_eq!(stats.budget, ByteLen(256 << 20));
/// println!("{} bytes are ahead of all readers", stats.ahead.0);
/// ```
pub fn set_process_budget(bytes: ByteLen) {
    process::shared().set_limit(bytes.0);
}

/// What all mappings of this process hold of their shared budget. Takes some nanoseconds; the first
/// call may read /proc to learn the default.
#[must_use]
pub fn process_stats() -> ProcessStats {
    process::shared().stats()
}
