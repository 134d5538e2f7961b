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

mod advice;
mod around;
mod bits;
mod cache;
mod fault;
mod finish;
mod gaps;
mod io;
mod lists;
mod mapping;
mod options;
mod populate;
mod read;
mod readahead;
mod reclaim;
#[cfg(test)]
mod tests;
mod userfault;
mod window;
mod work;

use mmap_ahead::page::{PageCount, PageIndex, PageRange};

pub(crate) use bits::Bits;
pub use fault::Waiting;
pub use io::{Cause, Io};
pub use options::{
    Access, Advice, Backing, DaxExtents, Entry, FileAdvice, FileId, FileKind, KernelOptions,
    ORDER_MAX, Profile, Protection, Sharing,
};
pub use populate::{Populate, PopulateEnd, PopulateStep, Populating};
pub use read::{ReadEnd, ReadStep, Reading};
pub use userfault::{Refusal, Resolve, Resolved, Userfault};
pub use work::{Fault, FaultEnd, FaultKind, Signal, Work};

use cache::{Flag, Folio, PageCache};
use io::Flights;
use lists::Lists;
use mapping::Mapping;
use readahead::ReadAhead;

/// The kernel, as far as it concerns one file and one mapping of all of it.
///
/// Pages are those of the file. Asking about a page beyond the file's end is answered with no.
#[derive(Clone, Debug)]
pub struct Kernel {
    options: KernelOptions,
    cache: PageCache,
    files: Vec<ReadAhead>,
    mapping: Mapping,
    flights: Flights,
    /// Only under a limit on memory.
    lists: Option<Box<Lists>>,
    /// What the call under way has done so far.
    work: Work,
}

/// What the page table and the page cache hold.
impl Kernel {
    /// A kernel that has not read anything of the file yet, with the file open once
    /// ([`FileId::MAPPED`]) and mapped. It takes about 3 bytes for each page of the file, and 16 more
    /// under a limit on memory.
    ///
    /// # Panics
    /// When an option is outside the range that it states.
    #[must_use]
    pub fn new(options: KernelOptions) -> Kernel {
        options.check();
        let pages = options.file_pages.0;
        Kernel {
            options,
            cache: PageCache::new(pages),
            files: vec![ReadAhead::new(options.ra_pages.0)],
            mapping: Mapping::new(pages, options.address_page),
            flights: Flights::default(),
            lists: options.memory_max.map(|_| Box::new(Lists::new(pages))),
            work: Work::default(),
        }
    }

    /// What it was made with.
    #[must_use]
    pub fn options(&self) -> &KernelOptions {
        &self.options
    }

    /// Whether a load from `page` needs no fault. One bit test.
    #[inline]
    #[must_use]
    pub fn is_mapped(&self, page: PageIndex) -> bool {
        self.mapping.mapped.get(page.0)
    }

    /// Whether a store to `page` needs no fault. One bit test.
    #[inline]
    #[must_use]
    pub fn is_writable(&self, page: PageIndex) -> bool {
        self.mapping.writable.get(page.0)
    }

    /// How many pages from `page` on are mapped without a gap: 0 when it is not itself.
    #[inline]
    #[must_use]
    pub fn mapped_run(&self, page: PageIndex) -> PageCount {
        PageCount(self.mapping.mapped.ones_from(page.0))
    }

    /// How many pages from `page` on can be stored to without a fault.
    #[inline]
    #[must_use]
    pub fn writable_run(&self, page: PageIndex) -> PageCount {
        PageCount(self.mapping.writable.ones_from(page.0))
    }

    /// Whether one entry of 2 MiB maps `page`: it takes one place in a TLB.
    #[must_use]
    pub fn is_mapped_huge(&self, page: PageIndex) -> bool {
        self.mapping.is_huge(page.0)
    }

    /// The order of the folio that holds `page`, arrived or not; `None`: not in the page cache.
    #[must_use]
    pub fn folio_order(&self, page: PageIndex) -> Option<u8> {
        self.cache.folio(page.0).map(|folio| folio.order)
    }

    /// Whether `page` is in the page cache and has arrived: what mincore(2) says.
    #[must_use]
    pub fn is_resident(&self, page: PageIndex) -> bool {
        self.cache.is_uptodate(page.0)
    }

    /// The read that brings `page`, when it has not arrived.
    #[must_use]
    pub fn flight_of(&self, page: PageIndex) -> Option<Io> {
        self.flights.of(page)
    }

    /// The runs of resident pages of `range`.
    pub fn resident_runs(&self, range: PageRange) -> impl Iterator<Item = PageRange> + '_ {
        self.cache.resident_runs(range)
    }

    /// The runs of mapped pages of `range`.
    pub fn mapped_runs(&self, range: PageRange) -> impl Iterator<Item = PageRange> + '_ {
        let runs = self.mapping.mapped.runs(range.start.0, range.end.0);
        runs.map(|(from, to)| PageRange::new(PageIndex(from), PageIndex(to)))
    }

    /// How many pages of the file are in the page cache, arrived or not.
    #[must_use]
    pub fn cached_pages(&self) -> PageCount {
        PageCount(self.cache.cached())
    }

    /// Opens the file once more: with a read-ahead state of its own.
    pub fn open(&mut self) -> FileId {
        self.files.push(ReadAhead::new(self.options.ra_pages.0));
        FileId(u32::try_from(self.files.len() - 1).expect("fewer open files than 2^32"))
    }
}

/// The device.
impl Kernel {
    /// What has to be read since the last call, in the order it was asked for.
    pub fn take_ios(&mut self) -> std::vec::Drain<'_, Io> {
        self.flights.take_made()
    }

    /// `io` has arrived: its folios are unlocked and hold what the file holds.
    ///
    /// # Panics
    /// When `io` is not on its way.
    pub fn arrived(&mut self, io: &Io) {
        let io = self.flights.land(io.range.start).expect("a read arrives once");
        let mut at = io.range.start.0;
        while at < io.range.end.0 {
            let folio = self.cache.folio(at).expect("a locked folio stays in the cache");
            self.cache.unmark(folio, Flag::Locked);
            at = folio.end();
        }
    }

    /// Everything that is on its way arrives, and is not told to [`Kernel::take_ios`] any more.
    pub fn settle(&mut self) {
        self.flights.take_made();
        while let Some(io) = self.flights.last() {
            self.arrived(&io);
        }
    }

    /// How many reads have not arrived.
    #[must_use]
    pub fn flights(&self) -> usize {
        self.flights.len()
    }
}

impl Kernel {
    fn pages(&self) -> u64 {
        self.options.file_pages.0
    }

    fn ra(&self, file: FileId) -> &ReadAhead {
        &self.files[file.0 as usize]
    }

    fn ra_mut(&mut self, file: FileId) -> &mut ReadAhead {
        &mut self.files[file.0 as usize]
    }

    /// The read that a locked folio waits for.
    fn flight(&self, folio: Folio) -> Option<Io> {
        if !self.cache.has(folio, Flag::Locked) {
            return None;
        }
        self.flights.of(PageIndex(folio.start))
    }

    fn take_work(&mut self) -> Work {
        std::mem::take(&mut self.work)
    }
}
