//! Advice, and taking pages away (KERNEL.md 7).

use mmap_ahead::page::{PageCount, PageIndex, PageRange};

use super::cache::{Flag, Folio};
use super::io::Cause;
use super::mapping::{Change, Mapping, TABLE_PAGES};
use super::readahead::ReadAhead;
use super::window::fitting;
use super::{Advice, FileAdvice, FileId, FileKind, Kernel, Profile, Userfault, Work};

impl Kernel {
    /// readahead(2), POSIX_FADV_WILLNEED: reads what is not cached of the start of `range`, as far as
    /// the kernel's limit for one call reaches: max(`io_pages`, the file's read-ahead). Returns what
    /// was covered; the rest needs more calls (KERNEL.md 7.1).
    ///
    /// No effect on DAX files, tmpfs and anonymous memory.
    pub fn will_need(&mut self, file: FileId, range: PageRange) -> (PageRange, Work) {
        let covered = self.force(file, range);
        (PageRange::at(range.start, covered), self.take_work())
    }

    /// MADV_WILLNEED: the same, but the limit holds for each part of `range` that has advice of its
    /// own. Returns how many pages were covered.
    pub fn will_need_mapped(&mut self, range: PageRange) -> (PageCount, Work) {
        let mut covered = PageCount(0);
        let mut at = range.start;
        while at < range.end
            && let Some(vma) = self.mapping.vma(at.0)
        {
            let end = range.end.min(PageIndex(vma.end));
            covered.0 += self.force(FileId::MAPPED, PageRange::new(at, end)).0;
            at = end;
        }
        (covered, self.take_work())
    }

    fn force(&mut self, file: FileId, range: PageRange) -> PageCount {
        if self.options.file_kind != FileKind::Disk {
            return PageCount(0);
        }
        let count = range.count().0.min(self.pages().saturating_sub(range.start.0));
        let covered = count.min(self.forced_max(file));
        self.forced(file, range.start.0, covered, Cause::Asked);
        PageCount(covered)
    }

    /// madvise(2) of a part of the mapping. An edge of `range` inside a 2 MiB entry takes it out.
    pub fn advise(&mut self, range: PageRange, advice: Advice) -> Work {
        self.mapping.change(range, Change::Advice(advice), &mut self.work);
        self.take_work()
    }

    /// mprotect(2) of a part of the mapping to PROT_NONE: each touch of it is a trip, until
    /// [`Kernel::unprotect`]. What is mapped there is taken out; page tables and page cache stay as they
    /// are. No fault maps beyond such a part: it is a VMA of its own.
    pub fn protect(&mut self, range: PageRange) -> Work {
        let to = range.end.0.min(self.pages());
        self.mapping.zap(range.start.0, to, &mut self.work);
        self.mapping.change(range, Change::Closed(true), &mut self.work);
        self.take_work()
    }

    /// mprotect(2) back to what the mapping allows: the next touch is an ordinary fault.
    pub fn unprotect(&mut self, range: PageRange) -> Work {
        self.mapping.change(range, Change::Closed(false), &mut self.work);
        self.take_work()
    }

    /// posix_fadvise(2) of an open file (KERNEL.md 7.3).
    pub fn advise_file(&mut self, file: FileId, advice: FileAdvice) {
        let disk = self.options.ra_pages.0;
        let ra = self.ra_mut(file);
        match advice {
            FileAdvice::Normal => (ra.ra_pages, ra.is_random) = (disk, false),
            FileAdvice::Sequential => (ra.ra_pages, ra.is_random) = (2 * disk, false),
            FileAdvice::Random => ra.is_random = true,
        }
    }

    /// MADV_DONTNEED: takes `range` out of the page table, the page cache keeps it (KERNEL.md 7.4).
    /// What a 2 MiB entry maps goes as a whole.
    pub fn unmap(&mut self, range: PageRange) -> Work {
        self.mapping.zap(range.start.0, range.end.0.min(self.pages()), &mut self.work);
        self.take_work()
    }

    /// munmap(2), open(2) and mmap(2) anew: an empty page table at another virtual page, no advice,
    /// a fresh read-ahead state of [`FileId::MAPPED`]. The page cache stays.
    pub fn map_again(&mut self, address_page: u64) -> Work {
        self.mapping.zap(0, self.pages(), &mut self.work);
        self.mapping = Mapping::new(self.pages(), address_page);
        *self.ra_mut(FileId::MAPPED) = ReadAhead::new(self.options.ra_pages.0);
        self.take_work()
    }

    /// POSIX_FADV_DONTNEED: drops folios that are inside `range`, clean, arrived and mapped nowhere
    /// (KERNEL.md 7.3).
    pub fn drop_cached(&mut self, range: PageRange) -> Work {
        let mut at = range.start.0;
        let to = range.end.0.min(self.pages());
        while let Some(folio) = self.cache.next_folio(at, to) {
            at = folio.end();
            let is_inside = folio.start >= range.start.0 && folio.end() <= to;
            let is_mapped = self.mapping.mapped.any(folio.start, folio.end());
            let is_busy = [Flag::Locked, Flag::Dirty].map(|flag| self.cache.has(folio, flag));
            if is_inside && !is_mapped && is_busy == [false; 2] {
                self.forget(folio);
                self.work.dropped += folio.pages();
            }
        }
        self.take_work()
    }

    /// Puts what is absent of `range` into the page cache as if it had been read long ago, in folios
    /// of at most `order` and of what the file allows: the start of a warm run.
    pub fn warm(&mut self, range: PageRange, order: u8) {
        let to = range.end.0.min(self.pages());
        let order = order.min(self.options.folio_order_max);
        let mut at = range.start.0;
        while at < to {
            let mut folio = fitting(at, order, to);
            if self.cache.any(folio.start, folio.end()) {
                folio = Folio { start: at, order: 0 };
            }
            if self.cache.folio(at).is_none() {
                self.make_room(folio.pages());
                self.cache.insert(folio);
                self.note_new(folio);
            }
            at = folio.end();
        }
        self.work = Work::default();
    }

    /// Dirty pages of `range` are written back: their folios are clean, and the next store to any of
    /// their pages faults again (KERNEL.md 5.4). Returns how many pages are written.
    pub fn write_back(&mut self, range: PageRange) -> PageCount {
        let mut at = range.start.0;
        let to = range.end.0.min(self.pages());
        let mut written = 0;
        while let Some(folio) = self.cache.next_folio(at, to) {
            at = folio.end();
            if self.cache.has(folio, Flag::Dirty) {
                self.cache.unmark(folio, Flag::Dirty);
                self.mapping.writable.clear_range(folio.start, folio.end());
                written += folio.pages();
            }
        }
        PageCount(written)
    }
}

/// Guards and userfaultfd.
impl Kernel {
    /// MADV_GUARD_INSTALL: `range` is unmapped and each touch of it is a trip, until
    /// [`Kernel::unguard`]. The page cache stays as it is (KERNEL.md 9). No effect in 6.12.
    pub fn guard(&mut self, range: PageRange) -> Work {
        let (from, to) = (range.start.0, range.end.0.min(self.pages()));
        if self.options.profile == Profile::V6_12 {
            return Work::default();
        }
        self.mapping.zap(from, to, &mut self.work);
        for piece in PageRange::new(range.start, PageIndex(to)).pieces(PageCount(TABLE_PAGES)) {
            self.mapping.need_table(piece.start.0, &mut self.work);
            self.mapping.need_table(piece.end.0 - 1, &mut self.work);
        }
        self.work.ptes += self.mapping.guards.set_range(from, to.max(from));
        self.take_work()
    }

    /// MADV_GUARD_REMOVE: the next touch is an ordinary fault.
    pub fn unguard(&mut self, range: PageRange) -> Work {
        let to = range.end.0.min(self.pages()).max(range.start.0);
        self.work.zapped += self.mapping.guards.clear_range(range.start.0, to);
        self.take_work()
    }

    /// Registers the whole mapping with a userfaultfd, or takes it back (KERNEL.md 8.1).
    ///
    /// # Panics
    /// When that kind of memory cannot be registered so: files and DAX never, anonymous memory not
    /// for [`Userfault::Minor`].
    pub fn register(&mut self, how: Userfault) {
        let can = match how {
            Userfault::None => true,
            Userfault::Missing => {
                matches!(self.options.file_kind, FileKind::Tmpfs | FileKind::Anonymous)
            }
            Userfault::Minor => self.options.file_kind == FileKind::Tmpfs,
        };
        assert!(can, "{:?} cannot be registered for {how:?}", self.options.file_kind);
        self.mapping.userfault = how;
    }
}
