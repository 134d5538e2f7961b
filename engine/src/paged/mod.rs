//! A mapping of bounded memory, filled when it is touched.
//!
//! ```text
//!   touch -> userfaultfd -> service thread -> policy -> plan
//!                               |                         |
//!              UFFDIO_MOVE / COPY <- frames <- io_uring, O_DIRECT
//! ```
//!
//! One thread serves the faults of one `Paged` and owns all of its state (`pager`): there is
//! nothing to lock. With [`Faults::OnFaultingThread`] threads that touch may add lone pages themselves,
//! and leave notes for it (`desk`). The file is cut into slots of 2 MiB. Along a run a slot is one huge frame that is
//! moved under the reader and, once the reader has passed, back into the pool; elsewhere it is single
//! pages, copied.

mod ahead;
mod asks;
#[cfg(feature = "bgzf")]
mod bgzf;
mod desk;
mod disk;
mod evict;
mod flight;
mod frames;
mod held;
mod immutable;
mod lost;
mod marks;
mod notes;
mod notices;
mod open;
mod options;
mod pager;
mod reads;
mod report;
mod service;
mod show;
mod slots;
mod source;
mod stats;

#[cfg(feature = "bgzf")]
pub use bgzf::Bgzf;
pub use disk::Queue;
pub use immutable::Immutability;
pub use options::{
    Faults, FrameSize, MEMORY_LIMIT_DEFAULT, MEMORY_LIMIT_MIN, OnIoError, PagedOptions,
};
pub use report::PageError;
pub use source::{Access, Immutable, Source};
pub use stats::{PagedMode, PagedStats};

use std::io;
use std::ops::{Deref, Range, RangeBounds};
use std::path::Path;
use std::sync::Arc;

use self::immutable::Proof;
use self::open::Trust;
use self::report::Report;
use self::service::Service;
use self::slots::Shape;
use self::stats::PagedCounters;
use crate::Error;
use crate::mmap::range::{clip, clip_many};
use crate::page::PageRange;
use crate::reader::retry;
use crate::sys::{self, Here, Uffd};

/// A file as `&[u8]`, however large, in a fixed amount of memory.
///
/// Nothing is read when it is opened. A touch of a page that is not in memory is served by a thread of
/// its own: along a run the file is read ahead in frames of 2 MiB, elsewhere one page at a time, past
/// the page cache where the file system can (O_DIRECT). What is behind the readers makes room for what
/// is ahead of them, so that [`PagedOptions::memory_limit`] is kept however long the file is. Any
/// number of threads may read anywhere; a page that is taken away under a reader comes back.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("data");
/// # std::fs::write(&path, vec![7; 4 << 20]).unwrap();
/// let paged = mmap_ahead::Paged::open(&path)?;
/// assert_eq!(paged.len(), 4 << 20);
/// assert_eq!(paged[3_000_000], 7);
/// # Ok::<(), mmap_ahead::Error>(())
/// ```
///
/// # When it can be opened safely
///
/// A page may be read more than once, and safe code must never see it change. So
/// [`Paged::open`] asks for a proof, in this order: all of it fits into the memory limit, so that no
/// page is read twice; a memfd that is sealed against writing and shrinking; fs-verity; or a read lease
/// (fcntl(2), F_SETLEASE), which the owner of a file gets while nobody has it open for writing.
/// [`Paged::mode`] says which. While a lease is held, whoever opens the file for writing waits, up to
/// 45 seconds (/proc/sys/fs/lease-break-time). Should the kernel take the lease away, pages that were
/// never seen can still be read; one that was, and was thrown away, ends the process with a line on
/// stderr: never other bytes. Without a proof: [`Error::NotImmutable`], or the caller's word with
/// [`Paged::open_assume_immutable`].
///
/// # Limits, in plain words
///
/// - **Errors**: a page that cannot be read is a SIGBUS, as with any mapping, or zeros: [`OnIoError`].
///   [`Paged::read_at`] returns errors.
/// - **Fork**: a child has nothing at these addresses; touching them there is a SIGSEGV. Dropping a
///   `Paged` in the child does nothing.
/// - **System calls** may be given any part of the slice, unless [`Paged::mode`] says
///   [`FaultScope::UserMode`](crate::FaultScope::UserMode), as it always does with
///   [`Faults::OnFaultingThread`]: then a page that is not in memory is EFAULT; touch it first, or use
///   [`Paged::read_at`].
/// - **vmsplice(2) and MSG_ZEROCOPY**: never from this slice. The kernel keeps the pages, which hold
///   other bytes of the file later.
/// - **fcntl(2) locks** of the process on the file are lost when it is opened and when it is dropped:
///   the system drops them with any descriptor of the file that is closed.
/// - **Beside the limit** it takes what the kernel needs for page tables (up to 4 KiB for each 2 MiB ever
///   touched at random) and, while a lease is held, a bit for each page of the file.
/// - **Threads**: one for each `Paged`, and up to 16 where io_uring is not to be had. A panic of the
///   serving thread ends the process: readers would wait for ever.
/// - **mlockall(2)**: call it before opening; its memory is not locked. MCL_CURRENT beside an open
///   `Paged` waits for ever.
/// - Without userfaultfd a file that fits into the memory limit is read whole when it is opened
///   ([`PagedMode::Owned`]); a longer one is [`Error::Unsupported`].
///
/// Kernel: 4.3 for userfaultfd, 6.8 for UFFDIO_MOVE (before: everything is copied page by page), 5.6
/// for io_uring (before: threads).
///
/// Source: userfaultfd(2), ioctl_userfaultfd(2); mm/userfaultfd.c.
pub struct Paged {
    backing: Backing,
    source: Arc<dyn Source>,
}

#[derive(Debug)]
enum Backing {
    Userfault(Box<Userfault>),
    /// All of it, read when it was opened.
    Owned(Vec<u8>),
}

/// In the order of dropping: the service ends before the addresses go.
#[derive(Debug)]
struct Userfault {
    service: Service,
    /// With threads that serve themselves.
    _here: Option<Here>,
    uffd: Arc<Uffd>,
    shape: Shape,
    report: Report,
    counters: Arc<PagedCounters>,
    mode: PagedMode,
}

impl Paged {
    /// Opens the file at `path` with the default [`PagedOptions`].
    ///
    /// # Errors
    /// As [`PagedOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Paged, Error> {
        PagedOptions::new().open(path)
    }

    /// Opens the file at `path`, whose bytes do not change, with the default [`PagedOptions`].
    ///
    /// # Safety
    /// As [`PagedOptions::open_assume_immutable`].
    ///
    /// # Errors
    /// As [`PagedOptions::open_assume_immutable`].
    pub unsafe fn open_assume_immutable(path: impl AsRef<Path>) -> Result<Paged, Error> {
        Paged::from_path(path.as_ref(), &PagedOptions::new(), Trust::Caller)
    }

    /// Reads at `offset` of the source into `buf`, past the mapping: no page is touched, and a page
    /// that cannot be read is an error and nothing else.
    ///
    /// May read less than `buf` holds; 0 at the end.
    ///
    /// # Errors
    /// Those of the source. A file that became shorter ends there.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = (self.len() as u64).saturating_sub(offset);
        let len = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if let Backing::Owned(bytes) = &self.backing {
            let at = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            buf[..len].copy_from_slice(&bytes[at..at + len]);
            return Ok(len);
        }
        source::read_unaligned(&*self.source, &mut buf[..len], offset)
    }

    /// Has `range` read into memory in the background, as far as the memory limit allows.
    ///
    /// Unit: bytes of the slice. Never blocks and never fails; what lies beyond the end is ignored.
    pub fn prefetch(&self, range: impl RangeBounds<usize>) {
        let range = clip(&range, self.len());
        self.prefetch_many(std::slice::from_ref(&range));
    }

    /// [`prefetch`](Paged::prefetch) of many ranges, in the order given.
    pub fn prefetch_many(&self, ranges: &[Range<usize>]) {
        if let Backing::Userfault(userfault) = &self.backing {
            let ranges = clip_many(ranges, self.len());
            let pages = ranges.into_iter().map(|range| userfault.pages(&range));
            userfault.service.prefetch(pages);
        }
    }

    /// Whether every page of `range` is under the reader at this moment: touching it takes no fault.
    ///
    /// Unit: bytes of the slice; parts beyond the end are ignored. The answer may be out of date when
    /// it arrives.
    ///
    /// Source: mincore(2), which tells the truth about memory of one's own.
    #[must_use]
    pub fn is_resident(&self, range: impl RangeBounds<usize>) -> bool {
        let range = clip(&range, self.len());
        match &self.backing {
            Backing::Owned(_) => true,
            Backing::Userfault(_) if range.is_empty() => true,
            Backing::Userfault(userfault) => userfault.is_resident(&range),
        }
    }

    /// What was done until now.
    #[must_use]
    pub fn stats(&self) -> PagedStats {
        match &self.backing {
            Backing::Owned(_) => PagedStats::default(),
            Backing::Userfault(userfault) => userfault.counters.snapshot(),
        }
    }

    /// How it works here, and why its bytes cannot change.
    #[must_use]
    pub fn mode(&self) -> PagedMode {
        match &self.backing {
            Backing::Owned(_) => PagedMode::Owned,
            Backing::Userfault(userfault) => userfault.mode,
        }
    }

    /// The first page that could not be read, with [`OnIoError::Zero`].
    #[must_use]
    pub fn error(&self) -> Option<&PageError> {
        match &self.backing {
            Backing::Owned(_) => None,
            Backing::Userfault(userfault) => userfault.report.first(),
        }
    }
}

impl Userfault {
    fn pages(&self, range: &Range<usize>) -> PageRange {
        self.shape.page_size.cover(range.start as u64..range.end as u64)
    }

    fn is_resident(&self, range: &Range<usize>) -> bool {
        let pages = self.pages(range);
        let offset = |page| self.shape.offset(page) as usize;
        let span = self.uffd.span().slice(offset(pages.start), offset(pages.end));
        sys::all_cached(span).unwrap_or(false)
    }
}

impl Deref for Paged {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.backing {
            Backing::Owned(bytes) => bytes,
            // SAFETY: the constructors found a proof that a page that is read again is the same, or
            // have the caller's word; the service, which never takes this slice, checks it again
            // before it shows such a page.
            Backing::Userfault(userfault) => unsafe {
                userfault.uffd.bytes(userfault.shape.len as usize)
            },
        }
    }
}

impl std::fmt::Debug for Paged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paged").field("len", &self.len()).field("mode", &self.mode()).finish()
    }
}

impl AsRef<[u8]> for Paged {
    fn as_ref(&self) -> &[u8] {
        self
    }
}
