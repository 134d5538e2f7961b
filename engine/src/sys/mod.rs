//! The one door to the kernel: every system call, and all unsafe code of the engine.
//!
//! One wrapper a call, one conversion of errno ([`check`]), RAII for every file descriptor. What
//! leaves this module is safe to use.

mod advise;
mod area;
mod arena;
mod around;
mod bell;
mod cache;
mod copy;
#[cfg(feature = "lab")]
mod extents;
mod file;
#[cfg(feature = "lab")]
mod fork;
mod futex;
mod here;
#[cfg(feature = "lab")]
mod lab;
mod lease;
mod lender;
mod lines;
#[cfg(feature = "lab")]
mod live;
#[cfg(feature = "lab")]
mod locks;
mod mincore;
mod pagemap;
#[cfg(feature = "lab")]
mod perf;
#[cfg(feature = "lab")]
mod perf_ring;
#[cfg(feature = "lab")]
mod probe;
mod ranges;
mod read;
mod remap;
mod second_map;
#[cfg(feature = "lab")]
mod shared;
mod sigbus;
mod signal;
mod span;
mod thread;
pub(crate) mod trip;
mod uffd;
mod uring;
mod usage;
mod wake;
mod wipe;
mod write_back;
mod write_protect;

#[cfg(feature = "lab")]
pub use advise::LiveAdvice;
pub(crate) use advise::{
    advise_normal, advise_random, drop_from_page_table, has_populate, has_populate_for_stores,
    populate, populate_around, populate_for_stores, will_need,
};
pub(crate) use area::{Area, Request, lock, replace_fresh};
pub(crate) use arena::{Cell, FRAME_LEN, Fork};
pub(crate) use around::fault_around;
pub(crate) use bell::Bell;
pub use cache::CacheView;
pub(crate) use cache::cache_view;
pub(crate) use copy::{Broken, copy_out};
#[cfg(feature = "lab")]
pub use extents::extents;
pub(crate) use file::{FileFacts, file_facts, keep, punch_hole, regular_len};
#[cfg(feature = "lab")]
pub use fork::ForkedChild;
#[cfg(feature = "lab")]
pub use futex::{FutexScope, futex_wait, futex_wake_all};
pub(crate) use here::{Here, HerePlace, ServeHere};
#[cfg(feature = "lab")]
pub(crate) use lab::{lab_map, lab_map_mut, lab_map_peer, lab_open_paged};
pub(crate) use lease::{Lease, has_verity, is_local, is_sealed};
pub(crate) use lender::Lender;
pub use lines::LineFlush;
#[cfg(feature = "lab")]
pub use live::LiveMap;
#[cfg(feature = "lab")]
pub use locks::{is_locked_by_others, try_lock};
pub(crate) use mincore::{all_cached, first_page_is_cached, which_cached};
pub(crate) use pagemap::{Pagemap, pagemap};
#[cfg(feature = "lab")]
pub use perf::{FaultEvents, FaultsOf};
#[cfg(feature = "lab")]
pub use probe::{Tried, tried};
pub(crate) use read::{Now, no_read_ahead, read_ahead, read_now};
pub(crate) use remap::remap_populated;
pub(crate) use second_map::SecondMap;
#[cfg(feature = "lab")]
pub use shared::SharedMemory;
pub(crate) use sigbus::{SigbusGuard, Zeros};
pub(crate) use span::Span;
pub(crate) use thread::{block_all_signals, end_by_sigbus, say, sleep_precisely};
pub(crate) use trip::{TripSlot, guard};
pub use uffd::FaultScope;
pub(crate) use uffd::{Missing, Refused, Stopped, Uffd};
#[cfg(feature = "lab")]
pub use uffd::{Userfault, try_userfault};
pub(crate) use uring::{Landed, Ring};
pub(crate) use usage::{Faults, faults_before_ours, faults_of_others, tell_own_faults};
pub use usage::{Usage, UsageOf, usage};
pub(crate) use wake::{Wake, wait_readable};
pub(crate) use wipe::{fork_guard_init, in_forked_child};
pub(crate) use write_back::{make_longer, remap_longer, start_writing};
pub(crate) use write_protect::StoreWatch;

use std::io;
use std::sync::OnceLock;

use crate::page::PageSize;

/// The one conversion of errno: -1 is the error that the call left behind.
fn check(result: libc::c_long) -> io::Result<u64> {
    u64::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// The page size of the running kernel.
pub(crate) fn page_size() -> PageSize {
    static SIZE: OnceLock<PageSize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        // SAFETY: sysconf reads a constant and has no precondition.
        let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        PageSize::new(usize::try_from(bytes).unwrap_or(4096))
    })
}
