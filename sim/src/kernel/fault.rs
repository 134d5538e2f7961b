//! A page fault, from the trap to the entry in the page table (KERNEL.md 2).

use mmap_ahead::page::PageIndex;

use super::cache::Flag;
use super::mapping::Vma;
use super::{
    Access, Entry, Fault, FaultEnd, FaultKind, FileId, FileKind, Io, Kernel, Profile, Protection,
    Sharing, Signal, Userfault, Work,
};

/// MMAP_LOTSAMISS: so many faults on absent pages, and read-around is given up (KERNEL.md 2.3).
const MISSES_MAX: u64 = 100;
/// The count of misses stops here.
const MISSES_COUNTED: u64 = 1000;

/// A fault that was left to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub(super) page: u64,
    pub(super) access: Access,
    pub(super) entry: Entry,
    /// How often it has run.
    attempt: u32,
    /// An attempt reported VM_FAULT_MAJOR.
    is_major: bool,
}

/// How one attempt ended.
pub(super) enum Attempt {
    /// The page is mapped.
    Mapped,
    /// The lock was dropped: from the start again.
    Again,
    /// From the start again when this has arrived.
    After(Io),
    Failed(Signal),
}

impl Waiting {
    /// FAULT_FLAG_TRIED, as section 2.1 step 5 and the table of 2.5 have it.
    fn is_tried(&self) -> bool {
        match (self.entry, self.attempt) {
            (Entry::MapPopulate, _) | (_, 1) => false,
            (Entry::User, 2) => self.is_major,
            _ => true,
        }
    }

    /// Section 2.5: what counts is the attempt that succeeded.
    fn kind(&self) -> FaultKind {
        if self.is_tried() { FaultKind::Major } else { FaultKind::Minor }
    }
}

impl Kernel {
    /// The CPU met no usable page-table entry for `page`: handles the fault until the page is
    /// mapped, or until it has to wait.
    pub fn fault(&mut self, page: PageIndex, access: Access, entry: Entry) -> Fault {
        self.go_on(Waiting { page: page.0, access, entry, attempt: 0, is_major: false })
    }

    /// What the fault waited for has arrived: goes on with it.
    pub fn resume(&mut self, waiting: Waiting) -> Fault {
        self.go_on(waiting)
    }

    /// A fault on `page` in another mapping of the same open file, one with MADV_HUGEPAGE and MADV_RANDOM: reads
    /// the 512 pages around it, and maps nothing here. The read that it waits for, unless the page is there.
    pub fn fault_elsewhere(&mut self, page: PageIndex) -> (Option<Io>, Work) {
        self.work.attempts += 1;
        if self.cache.folio(page.0).is_none() {
            self.work.absent += 1;
            self.work.attempts += 1;
            self.read_huge(page.0, 512);
            if self.cache.folio(page.0).is_none() {
                self.read_alone(page.0);
            }
        }
        let io = self.cache.folio(page.0).and_then(|folio| self.flight(folio));
        (io, self.take_work())
    }

    fn go_on(&mut self, waiting: Waiting) -> Fault {
        let end = self.attempts(waiting);
        Fault { end, work: self.take_work() }
    }

    fn attempts(&mut self, mut fault: Waiting) -> FaultEnd {
        loop {
            fault.attempt += 1;
            self.work.attempts += 1;
            match self.attempt(&mut fault) {
                Attempt::Mapped => return FaultEnd::Mapped(fault.kind()),
                Attempt::Again => {}
                Attempt::After(io) => return FaultEnd::Waits(io, fault),
                Attempt::Failed(signal) => return FaultEnd::Failed(signal),
            }
        }
    }

    fn attempt(&mut self, fault: &mut Waiting) -> Attempt {
        let page = fault.page;
        if fault.access == Access::Store && self.options.protection == Protection::ReadOnly {
            return Attempt::Failed(Signal::Access);
        }
        let Some(vma) = self.mapping.vma(page) else {
            return Attempt::Failed(Signal::BeyondEnd);
        };
        if vma.is_closed || self.mapping.guards.get(page) {
            return Attempt::Failed(Signal::Guard);
        }
        if self.mapping.mapped.get(page) && !self.is_split_by(page, fault.access) {
            return self.present(page, fault.access);
        }
        match self.options.file_kind {
            FileKind::Disk => self.in_page_cache(fault, &vma),
            FileKind::Tmpfs => self.in_tmpfs(fault, &vma),
            FileKind::Dax(extents) => self.in_dax(fault, &vma, extents),
            FileKind::Anonymous => self.in_anonymous(page, fault.access),
        }
    }

    /// A store to a read-only entry of 2 MiB of cached pages takes that entry out first; then it is as
    /// if there had been none.
    fn is_split_by(&mut self, page: u64, access: Access) -> bool {
        let is_split = access == Access::Store
            && self.options.file_kind == FileKind::Disk
            && self.mapping.is_huge(page)
            && !self.mapping.writable.get(page);
        if is_split {
            self.mapping.zap(page, page + 1, &mut self.work);
        }
        is_split
    }

    /// The entry is there: another thread was quicker, or it may not be written yet (KERNEL.md 5.2).
    fn present(&mut self, page: u64, access: Access) -> Attempt {
        if access == Access::Store && !self.mapping.writable.get(page) {
            self.make_writable(page);
        }
        Attempt::Mapped
    }

    /// Section 2.2.
    fn in_page_cache(&mut self, fault: &mut Waiting, vma: &Vma) -> Attempt {
        let page = fault.page;
        if fault.access == Access::Load && self.map_around(page, vma) {
            return Attempt::Mapped;
        }
        let Some(folio) = self.cache.folio(page) else {
            return self.absent(fault, vma);
        };
        let was_dropped = !fault.is_tried() && self.meet_flag(page, vma);
        if let Some(io) = self.flight(folio) {
            return Attempt::After(io);
        }
        if was_dropped {
            return Attempt::Again;
        }
        self.finish(page, fault.access, vma);
        Attempt::Mapped
    }

    /// Section 2.2c: the page is cached. Whether its flag was met and the lock dropped for that.
    fn meet_flag(&mut self, page: u64, vma: &Vma) -> bool {
        let ra_pages = self.ra(FileId::MAPPED).ra_pages;
        if vma.is_random || ra_pages == 0 {
            return false;
        }
        let folio = self.cache.folio(page).expect("the page is cached");
        let is_locked = self.cache.has(folio, Flag::Locked);
        if !is_locked || self.options.profile == Profile::V6_12 {
            self.credit_misses(1);
        }
        let is_flagged = self.cache.has(folio, Flag::ReadAhead);
        if is_flagged {
            self.async_read_ahead(FileId::MAPPED, folio, page, ra_pages);
        }
        is_flagged
    }

    /// Section 2.2d: nobody has read the page.
    fn absent(&mut self, fault: &mut Waiting, vma: &Vma) -> Attempt {
        let page = fault.page;
        fault.is_major = true;
        self.work.absent += 1;
        self.read_for_fault(page, vma);
        if self.cache.folio(page).is_none() {
            self.read_alone(page);
        }
        match self.cache.folio(page).and_then(|folio| self.flight(folio)) {
            Some(io) => Attempt::After(io),
            None => Attempt::Again,
        }
    }

    /// Section 2.3: what is read for a fault on an absent page.
    fn read_for_fault(&mut self, page: u64, vma: &Vma) {
        let ra_pages = self.ra(FileId::MAPPED).ra_pages;
        if vma.is_huge {
            return self.read_huge(page, if vma.is_random { 512 } else { 1024 });
        }
        if vma.is_random || ra_pages == 0 {
            return;
        }
        if vma.is_sequential {
            return self.sync_read_ahead(FileId::MAPPED, page, ra_pages);
        }
        let ra = self.ra_mut(FileId::MAPPED);
        ra.mmap_miss = MISSES_COUNTED.min(ra.mmap_miss + 1);
        if ra.mmap_miss > MISSES_MAX {
            return;
        }
        ra.start = page.saturating_sub(ra_pages / 2);
        (ra.size, ra.async_size, ra.order) = (ra_pages, ra_pages / 4, 0);
        let start = ra.start;
        self.work.windows_sync += 1;
        self.submit(FileId::MAPPED, start, Some(page));
    }

    /// MADV_HUGEPAGE: two folios of 2 MiB, or one. The state's `start` is left as it was.
    fn read_huge(&mut self, page: u64, size: u64) {
        let ra = self.ra_mut(FileId::MAPPED);
        (ra.size, ra.async_size, ra.order) = (size, 512, 9);
        self.work.windows_sync += 1;
        self.submit(FileId::MAPPED, page / 512 * 512, Some(page));
    }

    pub(super) fn credit_misses(&mut self, found: u64) {
        let ra = self.ra_mut(FileId::MAPPED);
        ra.mmap_miss = ra.mmap_miss.saturating_sub(found);
    }

    /// tmpfs: an absent page is a hole, filled at once and alone; there is no read-ahead.
    fn in_tmpfs(&mut self, fault: &mut Waiting, vma: &Vma) -> Attempt {
        let page = fault.page;
        if fault.access == Access::Load && self.map_around(page, vma) {
            return Attempt::Mapped;
        }
        let is_cached = self.cache.folio(page).is_some();
        match self.mapping.userfault {
            Userfault::Missing if !is_cached => return Attempt::Failed(Signal::Userfault),
            Userfault::Minor if is_cached => return Attempt::Failed(Signal::Userfault),
            _ => {}
        }
        if !is_cached {
            self.read_alone(page);
        }
        self.finish(page, fault.access, vma);
        Attempt::Mapped
    }

    /// Anonymous memory: a load sees the shared page of zeros, a store a page of its own.
    fn in_anonymous(&mut self, page: u64, access: Access) -> Attempt {
        if self.mapping.userfault == Userfault::Missing {
            return Attempt::Failed(Signal::Userfault);
        }
        let is_store = access == Access::Store;
        self.work.pages_zeroed += u64::from(is_store);
        self.mapping.need_table(page, &mut self.work);
        self.mapping.map(page, page + 1, is_store, &mut self.work);
        Attempt::Mapped
    }

    /// Whether a store is to a page that only this process is to see.
    pub(super) fn is_copied_by(&self, access: Access) -> bool {
        access == Access::Store && self.options.sharing == Sharing::Private
    }
}
