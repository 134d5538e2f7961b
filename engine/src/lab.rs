//! Safe wrappers that the simulator, the benches and the command line need and may not write
//! themselves, because they forbid unsafe code. Not part of the public API: no promise is made.

mod mechanisms;
mod memory;
mod pages;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

pub use self::mechanisms::{Frames, Looks};
pub use self::memory::memory_room;
pub use self::pages::{cached_in, held_pages};
pub use crate::observe::Still;
pub use crate::reader::direct::{Depth, DirectFile};
pub use crate::sys::{CacheView, Tried, Usage, UsageOf, tried, usage};
pub use crate::sys::{FaultEvents, FaultsOf};
pub use crate::sys::{LiveAdvice, LiveMap};
pub use crate::sys::{Userfault, extents, try_userfault};
// Memory that other processes store to, and what makes its stores durable: for extras.
pub use crate::sys::{ForkedChild, is_locked_by_others, try_lock};
pub use crate::sys::{FutexScope, LineFlush, SharedMemory, futex_wait, futex_wake_all};
use crate::{Error, Mmap, MmapMut, MmapOptions, Paged, PagedOptions};

/// How the peers map a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// memmap2 as it comes.
    Plain,
    /// With MADV_SEQUENTIAL.
    Sequential,
    /// With MADV_WILLNEED on all of it.
    WillNeed,
    /// With MAP_POPULATE.
    Populate,
    /// With MADV_RANDOM.
    Random,
}

/// Maps a file that the laboratory made and nobody changes.
///
/// # Errors
/// Those of memmap2.
pub fn map_file(file: &File, options: &MmapOptions) -> io::Result<Mmap> {
    crate::sys::lab_map(file, options)
}

/// Maps such a file to be stored to.
///
/// # Errors
/// Those of memmap2.
pub fn map_file_mut(file: &File, options: &MmapOptions) -> io::Result<MmapMut> {
    crate::sys::lab_map_mut(file, options)
}

/// Opens a file that the laboratory made and nobody changes as a [`Paged`].
///
/// # Errors
/// As [`PagedOptions::open`], but no proof is asked for.
pub fn open_paged(path: &Path, options: &PagedOptions) -> Result<Paged, Error> {
    crate::sys::lab_open_paged(path, options)
}

/// Maps such a file through plain memmap2.
///
/// # Errors
/// Those of memmap2.
pub fn map_peer(file: &File, peer: Peer) -> io::Result<memmap2::Mmap> {
    crate::sys::lab_map_peer(file, peer)
}

/// As if memory had been found short.
pub fn press() {
    crate::runtime::press();
}

/// How much of `file` the page cache holds. Source: cachestat(2), Linux 6.5.
///
/// # Errors
/// EPERM when the caller neither owns nor may write the file; ENOSYS on older kernels.
pub fn cached(file: &File) -> io::Result<CacheView> {
    crate::sys::cache_view(file.as_raw_fd(), 0, 0)
}

/// Tries to set up a ring of io_uring.
///
/// # Errors
/// Those of io_uring_setup(2).
pub fn try_io_uring() -> io::Result<()> {
    crate::sys::Ring::new(1).map(drop)
}
