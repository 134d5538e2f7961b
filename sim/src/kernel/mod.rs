//! A modelled kernel: one file, its page cache, the read-ahead state of its open files, and the page
//! table of one mapping of it.
//!
//! It knows no time. A call says what was done as [`Work`], in counts whose costs are the caller's
//! business, and what has to be read as [`Io`]s, which the caller takes with [`Kernel::take_ios`] and
//! gives back with [`Kernel::arrived`] when its device has brought them. Whoever has to wait is told
//! for which.
//!
//! The rules are Linux's, as `KERNEL.md` of this project wrote them down; each names its section. The
//! same sequence of calls gives the same answers on every machine.
//!
//! ```
//! use mmap_ahead::page::{PageCount, PageIndex};
//! use mmap_ahead_sim::kernel::{Access, Entry, FaultEnd, FaultKind, Kernel, KernelOptions, Profile};
//!
//! let mut kernel = Kernel::new(KernelOptions::disk(Profile::V6_18, PageCount(4096)));
//! let FaultEnd::Waits(_, waiting) = kernel.fault(PageIndex(1000), Access::Load, Entry::User).end
//! else {
//!     panic!("nothing is cached yet")
//! };
//! let around: Vec<_> = kernel.take_ios().collect();
//! assert_eq!(around[0].range.start, PageIndex(984), "32 pages around the one that was touched");
//! around.iter().for_each(|io| kernel.arrived(io));
//! assert_eq!(kernel.resume(waiting).end, FaultEnd::Mapped(FaultKind::Major));
//! assert_eq!(kernel.mapped_run(PageIndex(1000)), PageCount(8), "fault-around");
//! ```
//!
//! # Not modelled
//! Memory of several processes, races between threads inside one call, multi-generational LRU, huge
//! tmpfs, hugetlbfs, swap, I/O errors, block-cgroup congestion.

mod io;
mod options;
mod work;

use mmap_ahead::page::{PageCount, PageIndex, PageRange};

pub use io::{Cause, Io};
pub use options::{
    Access, Advice, Backing, DaxExtents, Entry, FileAdvice, FileId, FileKind, KernelOptions,
    ORDER_MAX, Profile, Protection, Sharing,
};
pub use work::{Fault, FaultEnd, FaultKind, Signal, Waiting, Work};

/// The kernel, as far as it concerns one file and one mapping of all of it.
///
/// Pages are those of the file. Asking about a page beyond the file's end is answered with no.
#[derive(Clone, Debug)]
pub struct Kernel {
    options: KernelOptions,
}

/// What the page table and the page cache hold.
impl Kernel {
    /// A kernel that has not read anything of the file yet.
    ///
    /// # Panics
    /// When an option is outside the range that it states.
    #[must_use]
    pub fn new(options: KernelOptions) -> Kernel {
        Kernel { options }
    }

    /// What it was made with.
    #[must_use]
    pub fn options(&self) -> &KernelOptions {
        &self.options
    }

    /// Whether a load from `page` needs no fault. One bit test.
    #[must_use]
    pub fn is_mapped(&self, page: PageIndex) -> bool {
        todo!("{page:?}")
    }

    /// Whether a store to `page` needs no fault.
    #[must_use]
    pub fn is_writable(&self, page: PageIndex) -> bool {
        todo!("{page:?}")
    }

    /// How many pages from `page` on are mapped without a gap: 0 when it is not itself.
    #[must_use]
    pub fn mapped_run(&self, page: PageIndex) -> PageCount {
        todo!("{page:?}")
    }

    /// Whether a 2 MiB entry maps `page`: it takes one place in a TLB.
    #[must_use]
    pub fn is_mapped_huge(&self, page: PageIndex) -> bool {
        todo!("{page:?}")
    }

    /// The order of the folio that holds `page`, arrived or not; `None`: not in the page cache.
    #[must_use]
    pub fn folio_order(&self, page: PageIndex) -> Option<u8> {
        todo!("{page:?}")
    }

    /// Whether `page` is in the page cache and has arrived: what mincore(2) says.
    #[must_use]
    pub fn is_resident(&self, page: PageIndex) -> bool {
        todo!("{page:?}")
    }

    /// The read that brings `page`, when it has not arrived.
    #[must_use]
    pub fn flight_of(&self, page: PageIndex) -> Option<Io> {
        todo!("{page:?}")
    }

    /// The runs of resident pages of `range`.
    pub fn resident_runs(&self, range: PageRange) -> impl Iterator<Item = PageRange> + '_ {
        std::iter::once(range)
    }

    /// The runs of mapped pages of `range`.
    pub fn mapped_runs(&self, range: PageRange) -> impl Iterator<Item = PageRange> + '_ {
        std::iter::once(range)
    }

    /// How many pages of the file are in the page cache, arrived or not.
    #[must_use]
    pub fn cached_pages(&self) -> PageCount {
        todo!()
    }
}

/// Touching the mapping.
impl Kernel {
    /// The CPU met no usable page-table entry for `page`: handles the fault until the page is
    /// mapped, or until it has to wait.
    pub fn fault(&mut self, page: PageIndex, access: Access, entry: Entry) -> Fault {
        todo!("{page:?} {access:?} {entry:?}")
    }

    /// What the fault waited for has arrived: goes on with it.
    pub fn resume(&mut self, waiting: Waiting) -> Fault {
        todo!("{waiting:?}")
    }

    /// Tells of accesses to mapped pages: they become young and, for stores, dirty. Only reclaim
    /// looks at young pages: without a limit on memory, loads need not be told.
    pub fn touched(&mut self, range: PageRange, access: Access) {
        todo!("{range:?} {access:?}")
    }
}

/// The device.
impl Kernel {
    /// What has to be read since the last call, in the order it was asked for.
    pub fn take_ios(&mut self) -> std::vec::Drain<'_, Io> {
        todo!()
    }

    /// `io` has arrived: its folios are unlocked and hold what the file holds.
    ///
    /// # Panics
    /// When `io` is not on its way.
    pub fn arrived(&mut self, io: &Io) {
        todo!("{io:?}")
    }

    /// Everything that is on its way arrives.
    pub fn settle(&mut self) {
        todo!()
    }
}

/// read(2).
impl Kernel {
    /// Opens the file once more: with a read-ahead state of its own.
    pub fn open(&mut self) -> FileId {
        todo!()
    }

    /// Begins a read(2) of `bytes`; [`Kernel::read_on`] carries it out.
    #[must_use]
    pub fn read(&self, file: FileId, bytes: std::ops::Range<u64>) -> Reading {
        todo!("{file:?} {bytes:?}")
    }

    /// Goes on with a read(2): until some folios are copied, or it has to wait, or it is done.
    pub fn read_on(&mut self, reading: &mut Reading) -> ReadStep {
        todo!("{reading:?}")
    }
}

/// Asking for pages by name.
impl Kernel {
    /// Begins to put every page of `range` into the page table; [`Kernel::populate_on`] carries it
    /// out (KERNEL.md 6).
    #[must_use]
    pub fn populate(&self, range: PageRange, how: Populate) -> Populating {
        todo!("{range:?} {how:?}")
    }

    /// Goes on with populating: until one more fault was handled, or it has to wait, or it is done.
    pub fn populate_on(&mut self, populating: &mut Populating) -> PopulateStep {
        todo!("{populating:?}")
    }

    /// MADV_WILLNEED, readahead(2), POSIX_FADV_WILLNEED: reads what is not cached of the start of
    /// `range`, as far as the kernel's limit for one call reaches (KERNEL.md 7.1). Returns what was
    /// covered.
    pub fn will_need(&mut self, file: FileId, range: PageRange) -> (PageRange, Work) {
        todo!("{file:?} {range:?}")
    }
}

/// Advice and taking things away.
impl Kernel {
    /// madvise(2) of a part of the mapping.
    pub fn advise(&mut self, range: PageRange, advice: Advice) {
        todo!("{range:?} {advice:?}")
    }

    /// posix_fadvise(2) of an open file.
    pub fn advise_file(&mut self, file: FileId, advice: FileAdvice) {
        todo!("{file:?} {advice:?}")
    }

    /// MADV_DONTNEED: takes `range` out of the page table, the page cache keeps it.
    pub fn unmap(&mut self, range: PageRange) -> Work {
        todo!("{range:?}")
    }

    /// munmap(2) and mmap(2): an empty page table, no advice, another place.
    pub fn map_again(&mut self, address_page: u64) -> Work {
        todo!("{address_page}")
    }

    /// POSIX_FADV_DONTNEED: drops what is clean, arrived and not mapped (KERNEL.md 7.3).
    pub fn drop_cached(&mut self, range: PageRange) -> Work {
        todo!("{range:?}")
    }

    /// Puts `range` into the page cache as if it had been read long ago, in folios of `order`: the
    /// start of a warm run.
    pub fn warm(&mut self, range: PageRange, order: u8) {
        todo!("{range:?} {order}")
    }

    /// Dirty pages of `range` are written back: they are clean, and the next store faults again
    /// (KERNEL.md 5). Returns how many pages that are.
    pub fn write_back(&mut self, range: PageRange) -> PageCount {
        todo!("{range:?}")
    }
}

/// Guards and userfaultfd.
impl Kernel {
    /// MADV_GUARD_INSTALL (KERNEL.md 9).
    pub fn guard(&mut self, range: PageRange) -> Work {
        todo!("{range:?}")
    }

    /// MADV_GUARD_REMOVE.
    pub fn unguard(&mut self, range: PageRange) -> Work {
        todo!("{range:?}")
    }

    /// Registers the whole mapping with a userfaultfd (KERNEL.md 8.1).
    pub fn register(&mut self, how: Userfault) {
        todo!("{how:?}")
    }

    /// UFFDIO_COPY, UFFDIO_MOVE or UFFDIO_CONTINUE (KERNEL.md 8.3): page by page until the first
    /// that is refused. Returns how many were resolved.
    pub fn resolve(&mut self, range: PageRange, how: Resolve) -> Resolved {
        todo!("{range:?} {how:?}")
    }
}

/// How pages are put into the page table by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Populate {
    /// MAP_POPULATE: errors are skipped, no fault counts as major.
    Map,
    /// MADV_POPULATE_READ.
    Read,
    /// MADV_POPULATE_WRITE.
    Write,
}

/// A populate under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Populating {
    next: u64,
    end: u64,
    how: Populate,
    waiting: Option<Waiting>,
}

/// How far populating came in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PopulateStep {
    /// Where it stands.
    pub end: PopulateEnd,
    /// What was done in this go.
    pub work: Work,
}

/// Where populating stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PopulateEnd {
    /// One more fault was handled.
    Faulted(FaultKind),
    /// It sleeps until this arrives.
    Waits(Io),
    /// The kernel refuses the page it came to: MADV_POPULATE returns an error.
    Failed(Signal),
    /// All of it is there.
    Done,
}

/// A read(2) under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    file: FileId,
    at: u64,
    end: u64,
}

/// How far a read(2) came in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadStep {
    /// Where it stands.
    pub end: ReadEnd,
    /// What was done in this go.
    pub work: Work,
}

/// Where a read(2) stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadEnd {
    /// So many bytes more were copied.
    Copied(u64),
    /// It sleeps until this arrives.
    Waits(Io),
    /// All of it is copied.
    Done,
}

/// What a userfaultfd is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Userfault {
    /// Nothing.
    None,
    /// Pages that are nowhere.
    Missing,
    /// Pages of tmpfs that are cached and not mapped.
    Minor,
}

/// How a manager resolves userfaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolve {
    /// UFFDIO_COPY: into fresh pages.
    Copy,
    /// UFFDIO_MOVE: the pages themselves.
    Move,
    /// UFFDIO_CONTINUE: maps pages that are cached.
    Continue,
}

/// What came of resolving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// How many pages were resolved, from the first on.
    pub pages: PageCount,
    /// Why it stopped before the end.
    pub refused: Option<Refusal>,
    /// What was done.
    pub work: Work,
}

/// Why userfaultfd refuses a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// EEXIST: it is mapped already.
    Exists,
    /// EFAULT: it is not in the page cache (CONTINUE).
    NotCached,
    /// EINVAL: this memory cannot be resolved so.
    Unsupported,
}
