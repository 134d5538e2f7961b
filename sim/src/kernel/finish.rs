//! Filling the entry of the page that was touched, and what a store adds (KERNEL.md 2.4 and 5).

use super::cache::{Flag, Folio};
use super::fault::Attempt;
use super::mapping::{TABLE_PAGES, Vma};
use super::{
    Access, DaxExtents, Entry, FileKind, Kernel, Profile, Protection, Sharing, Userfault, Waiting,
};

impl Kernel {
    /// Maps `page`, which is cached and arrived, and with it what section 2.4 allows.
    pub(super) fn finish(&mut self, page: u64, access: Access, vma: &Vma) {
        if self.is_copied_by(access) {
            return self.copy(page);
        }
        let folio = self.cache.folio(page).expect("the page is cached");
        let is_writable = access == Access::Store || self.maps_writable_when_read();
        if access == Access::Store {
            self.notify_write(folio);
        }
        self.note_mapped(folio);
        if folio.order == 9
            && folio.end() <= self.pages()
            && let Some((start, _)) = self.mapping.pmd_room(page, vma)
        {
            return self.mapping.map_huge(start, is_writable, &mut self.work);
        }
        self.mapping.need_table(page, &mut self.work);
        let (from, to) = if self.can_be_mapped_whole(folio, vma) {
            (folio.start, folio.end())
        } else {
            (page, page + 1)
        };
        self.mapping.map(from, to, is_writable, &mut self.work);
    }

    fn can_be_mapped_whole(&self, folio: Folio, vma: &Vma) -> bool {
        let is_in_file = self.options.file_kind == FileKind::Tmpfs || folio.end() <= self.pages();
        self.options.profile == Profile::V6_18
            && self.mapping.userfault == Userfault::None
            && is_in_file
            && self.mapping.fits(folio, vma)
            && self.mapping.are_empty(folio.start, folio.end())
    }

    /// tmpfs wants no word of stores: what is read is writable at once (KERNEL.md 5.6).
    pub(super) fn maps_writable_when_read(&self) -> bool {
        self.options.file_kind == FileKind::Tmpfs
            && self.options.sharing == Sharing::Shared
            && self.options.protection == Protection::ReadWrite
    }

    /// page_mkwrite: the file system learns of the store, the folio is dirty as a whole.
    fn notify_write(&mut self, folio: Folio) {
        if self.options.file_kind != FileKind::Tmpfs {
            self.work.mkwrites += 1;
        }
        if !self.cache.has(folio, Flag::Dirty) {
            self.cache.mark(folio, Flag::Dirty);
            self.work.pages_dirtied += folio.pages();
        }
    }

    /// A store to a page that is mapped read-only: only its own entry changes (KERNEL.md 5.2). Of a
    /// DAX file that may be one of 2 MiB.
    pub(super) fn make_writable(&mut self, page: u64) {
        if self.is_copied_by(Access::Store) {
            return self.copy(page);
        }
        match self.cache.folio(page) {
            Some(folio) => self.notify_write(folio),
            None => self.work.mkwrites += 1,
        }
        if self.mapping.is_huge(page) {
            self.work.pmds += 1;
            let start = page / TABLE_PAGES * TABLE_PAGES;
            self.mapping.writable.set_range(start, start + TABLE_PAGES);
        } else {
            self.work.ptes += 1;
            self.mapping.writable.set(page);
        }
    }

    /// Copy on write: a page of its own for this process.
    fn copy(&mut self, page: u64) {
        if self.options.file_kind == FileKind::Anonymous {
            self.work.pages_zeroed += 1;
        } else {
            self.work.pages_copied += 1;
        }
        if self.mapping.mapped.get(page) {
            self.mapping.zap(page, page + 1, &mut self.work);
        }
        self.mapping.need_table(page, &mut self.work);
        self.mapping.map(page, page + 1, true, &mut self.work);
    }

    /// A DAX file: no cache, no read-ahead, no fault-around (KERNEL.md 4). 2 MiB at once where
    /// device, file and memory are aligned alike, else one page, after starting again under
    /// mmap_lock where the fault did not begin so.
    pub(super) fn in_dax(&mut self, fault: &Waiting, vma: &Vma, extents: DaxExtents) -> Attempt {
        let Waiting { page, access, entry, .. } = *fault;
        let is_copied = self.is_copied_by(access);
        let is_store = access == Access::Store;
        self.work.extents += 1;
        self.work.mkwrites += u64::from(is_store && !is_copied);
        if extents == DaxExtents::Huge
            && !is_copied
            && let Some((start, _)) = self.mapping.pmd_room(page, vma)
        {
            self.mapping.map_huge(start, is_store, &mut self.work);
            return Attempt::Mapped;
        }
        self.work.attempts += u64::from(entry == Entry::User);
        if is_copied {
            self.copy(page);
        } else {
            self.mapping.need_table(page, &mut self.work);
            self.mapping.map(page, page + 1, is_store, &mut self.work);
        }
        Attempt::Mapped
    }
}
