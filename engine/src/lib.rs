//! Memory-mapped files, read ahead of the reader.
//!
//! A mapped file is the nicest way to read a file, `&[u8]`, and, left to itself, one of the slowest:
//! every first touch of a page is a trip into the kernel, and on a cold disk each trip waits alone.
//! This crate keeps the slice and does the reading *ahead* of the reader: it watches how a program
//! walks its mappings and has the next pages in memory **and in the page table** before they are
//! touched. It is a drop-in for memmap2: replace `memmap2::` by `mmap_ahead::`.
//!
//! ```
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("data");
//! # std::fs::write(&path, vec![1; 4 << 20]).unwrap();
//! use mmap_ahead::Mmap;
//!
//! let file = std::fs::File::open(path)?;
//! // SAFETY: nobody changes the file while it is mapped (the same promise as with memmap2).
//! let map = unsafe { Mmap::map(&file)? };
//! let sum: u64 = map.iter().map(|&byte| u64::from(byte)).sum();
//! assert_eq!(sum, 4 << 20);
//! println!("{}", map.stats());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What else there is
//!
//! | who | asks for |
//! |---|---|
//! | knows what is read next | [`Mmap::prefetch`], [`Mmap::prefetch_many`]: in the background, waited for, awaited or cancelled by the [`Prefetch`] that is returned |
//! | begins with the same random touches each time | [`MmapOptions::record`] once, then [`Mmap::replay`]: see [`RecordedSet`] |
//! | has readers with ways of their own | [`Mmap::reader_view`]: advice and streams of its own for each |
//! | stores forward into a file | [`MmapOptions::write_ahead`] |
//! | writes a log | [`MmapOptions::for_append`]: see [`AppendMap`] |
//! | must not die of a truncated file | [`Mmap::read_at`], [`MmapOptions::guard_sigbus`] |
//! | has less memory than file | [`Paged`], and [`Reader`] for who streams |
//! | wants less read ahead | [`MmapOptions::budget`] for one mapping, [`set_process_budget`] for all |
//! | wants to know whether it helped | [`Mmap::stats`], [`process_stats`] |
//!
//! # How it works
//!
//! ```text
//!             who saw what            what comes next             make it so
//!   faults -> observer  --touches-->  policy     --plan-->        fetcher -> page cache, page table
//!             marker | guard          pure code                   madvise | remap
//! ```
//!
//! The **observer** of the default mode is passive. A helper thread maps windows of up to 2 MiB ahead
//! of the reader and leaves one block of 64 KiB out of each; the reader faults that block in as it
//! would have without us, and the helper learns of it by looking at the page table. The [`policy`] is
//! pure code, so that it can be simulated. The fetcher asks the kernel: faults in a second mapping, or
//! MADV_WILLNEED, far ahead, so that the disk works, MADV_POPULATE_READ near, so that no fault is left.
//!
//! # Limits, in plain words
//!
//! - **Followed** are read-only mappings of files, from [`FOLLOWED_LEN_MIN`] on. Writable
//!   mappings are plain memmap2, unless [`MmapOptions::write_ahead`] says that stores run forward;
//!   an explicit [`MmapMut::prefetch`] of a file starts the disk for them.
//! - **Runs and strides** are recognised, in both directions, many at once: see
//!   [`policy::Adaptive`]. Forward runs are read and mapped ahead; backward runs and strides are read ahead,
//!   page by page where only a page is read of each step, and left to the reader to map. Random access
//!   is left to the kernel.
//! - **On large folios** (ext4, xfs: one fault maps up to 2 MiB) a warm file has nothing to win; the
//!   helper notices and keeps still.
//! - On a **cold disk** whose `read_ahead_kb` is 1024 or more the kernel reads at the device's speed by
//!   itself, and is left alone. Below that, the disk is started 32 MiB ahead. Runs through a shared mapping
//!   of a file on a block device are read **in blocks of 2 MiB**, each one folio where the file system has
//!   such: the file is mapped once more for it (a second line in /proc/self/maps, no descriptor, nothing
//!   that a child inherits), with MADV_HUGEPAGE, and two threads (`mmap-ahead-read`) fault there. The advice
//!   of the program's own mapping stays as it is. All else MADV_WILLNEED reads, page by page. [`Stats`] tell
//!   how much went which way (`pages_in_blocks`).
//! - At most [`BUDGET_DEFAULT`] (or [`MmapOptions::budget`]) is mapped or cached ahead of a reader, and an
//!   eighth of the memory that is available (or [`set_process_budget`]) ahead of all readers of the process.
//! - **When memory is short** less is read ahead: half with each quarter of a second in which somebody
//!   waited for memory for a tenth of the time (PSI, of the process's cgroup or the machine), down to a
//!   64th; twice as much again after each second in which nobody did. Needs a kernel with PSI (4.20).
//! - **Random accesses that recur** at each start can be recorded in one run and read all at once in the
//!   next: [`MmapOptions::record`], [`Mmap::replay`].
//! - **Prefetching never fails a read.** What the kernel refuses is counted in [`Stats`] and left to
//!   the kernel's own behaviour. A truncated file is SIGBUS for the reader, as with memmap2, and never
//!   for the helper; an error in its place for whoever asks: [`Mmap::read_at`], [`Mmap::guarded`],
//!   [`MmapOptions::guard_sigbus`].
//! - **Writing**: a mapping grows with its file ([`MmapMut::grow`]), and tells where it was stored to
//!   ([`MmapMut::track_stores`], [`MmapMut::flush_dirty`]); for logs see [`AppendMap`].
//! - **Fork**: the child's mappings stay readable, but nobody reads ahead there.
//! - `MMAP_AHEAD=off` in the environment switches all of it off.
//! - A process gets one or two threads named `mmap-ahead` with the first mapping that is followed
//!   (more, up to 32, only while fetches are stuck), and two file descriptors (/proc/self/pagemap and
//!   a pidfd), all of them close-on-exec; the thread that reads cold runs has at most 32 files of its own
//!   open, which no other thread sees. A mapping keeps none unless [`MmapOptions::keep_file`].
//! - [`Mode::Guard`] is not passive: read its documentation first.
//!
//! Kernel: Linux 5.14 for MADV_POPULATE_READ (before: plain memmap2), 6.7 for PAGEMAP_SCAN (before:
//! reads of /proc/self/pagemap). On other Unixes the crate compiles and is plain memmap2.

#[cfg(all(target_os = "linux", not(elsewhere)))]
mod dirty;
#[cfg(any(elsewhere, not(target_os = "linux")))]
#[path = "dirty/elsewhere.rs"]
mod dirty;
mod error;
mod mmap;
mod options;
pub mod page;
#[cfg(all(target_os = "linux", not(elsewhere)))]
mod paged;
pub mod policy;
mod process;
mod reader;
#[cfg_attr(any(elsewhere, not(target_os = "linux")), allow(dead_code, unused_imports))]
mod record;
mod residency;
#[cfg_attr(any(elsewhere, not(target_os = "linux")), allow(dead_code))]
mod stats;

// Pure, but of no use where nobody drives a policy.
#[cfg_attr(any(elsewhere, not(target_os = "linux")), allow(dead_code))]
mod detect;

// What needs Linux. `--cfg elsewhere` builds the other half on Linux too, to try it.
#[cfg(all(target_os = "linux", not(elsewhere)))]
mod fetch;
#[cfg(all(target_os = "linux", not(elsewhere)))]
mod observe;
#[cfg(all(target_os = "linux", not(elsewhere)))]
mod runtime;
#[cfg(all(target_os = "linux", not(elsewhere)))]
#[cfg_attr(not(feature = "lab"), allow(unreachable_pub, unused_imports, dead_code))]
mod sys;

#[cfg(any(elsewhere, not(target_os = "linux")))]
#[path = "runtime/elsewhere.rs"]
mod runtime;
#[cfg(any(elsewhere, not(target_os = "linux")))]
#[path = "sys/elsewhere.rs"]
mod sys;

#[cfg(all(feature = "lab", target_os = "linux", not(elsewhere)))]
#[doc(hidden)]
pub mod lab;

#[cfg(all(target_os = "linux", not(elsewhere)))]
pub use dirty::{DirtyPages, DirtyTracker, Flushed, Mechanism};
pub use error::{Error, Loss};
pub use mmap::*;
pub use options::{BUDGET_DEFAULT, FOLLOWED_LEN_MIN, Fetcher, Mode, WRITE_BUDGET_DEFAULT};
#[cfg(all(target_os = "linux", not(elsewhere)))]
pub use paged::*;
pub use policy::PolicyKind;
pub use process::{ProcessStats, process_stats, set_process_budget};
pub use reader::{ReadPath, Reader, ReaderStats};
pub use record::RecordedSet;
pub use residency::Residency;
pub use runtime::{Prefetch, PrefetchState};
pub use stats::Stats;
#[cfg(all(target_os = "linux", not(elsewhere)))]
pub use sys::FaultScope;
