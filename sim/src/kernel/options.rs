//! Which kernel, which file, which mapping is modelled.

use mmap_ahead::page::PageCount;

/// The folio order of 2 MiB: the largest that the page cache holds on x86-64 (KERNEL.md 0).
pub const ORDER_MAX: u8 = 9;

/// The version of Linux whose rules hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// 6.12 LTS: no large folios on ext4, one page a fault, no order kept in the read-ahead state.
    V6_12,
    /// 6.18 LTS: large folios on ext4, whole folios are mapped.
    #[default]
    V6_18,
}

/// What lies behind the mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file of a disk file system (ext4, xfs): page cache, read-ahead, page_mkwrite.
    #[default]
    Disk,
    /// tmpfs, memfd: always in the page cache once written, no write notification.
    Tmpfs,
    /// A file on persistent memory, mapped without a page cache (KERNEL.md 4).
    Dax(DaxExtents),
    /// No file: private anonymous memory, as userfaultfd serves it (KERNEL.md 8).
    Anonymous,
}

/// Whether a DAX file can be mapped by 2 MiB at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaxExtents {
    /// Every 2 MiB of the file are contiguous and aligned on the device: PMD leaves.
    Huge,
    /// They are not: one page a fault.
    Scattered,
}

/// What reading a page that nobody has read yet takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backing {
    /// A request to the device: the caller is told of an [`Io`](super::Io) and says when it arrived.
    #[default]
    Device,
    /// Nothing: the file is a hole, its pages are zeros at once (as in a sparse file).
    Hole,
}

/// Who sees stores to the mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// MAP_SHARED: the file.
    #[default]
    Shared,
    /// MAP_PRIVATE: only this process; the first store to a page copies it.
    Private,
}

/// What the mapping allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protection {
    /// PROT_READ.
    #[default]
    ReadOnly,
    /// PROT_READ and PROT_WRITE.
    ReadWrite,
}

/// One kernel, one file, one mapping of it.
///
/// Default: [`KernelOptions::disk`] of Linux 6.18 with no pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelOptions {
    /// Which rules hold.
    pub profile: Profile,
    /// What is mapped.
    pub file_kind: FileKind,
    /// How many pages the file has; the mapping covers all of them.
    pub file_pages: PageCount,
    /// What reading it takes.
    pub backing: Backing,
    /// The disk's read-ahead (`read_ahead_kb`), in pages. Default: 32 (128 KiB).
    pub ra_pages: PageCount,
    /// The largest request (`max_sectors_kb`), in pages. Default: 256 (1 MiB).
    pub io_pages: PageCount,
    /// The largest folio of this file is 2^this pages; 0: no large folios. At most [`ORDER_MAX`].
    pub folio_order_max: u8,
    /// `fault_around_bytes` in pages: a power of two from 1 to 512. Default: 16 (64 KiB).
    pub fault_around: PageCount,
    /// The number of the virtual page that page 0 of the file is mapped at: what counts is its
    /// remainder by 512. Default: 0, so that 2 MiB of the file and of memory are aligned alike.
    pub address_page: u64,
    /// Who sees stores.
    pub sharing: Sharing,
    /// What the mapping allows.
    pub protection: Protection,
    /// The most pages of the file that may be cached at once; `None`: all of them. More are
    /// reclaimed (KERNEL.md 7.6). At least twice the larger of `ra_pages` and `io_pages`, and 1024
    /// more, so that a window survives until it is looked at.
    pub memory_max: Option<PageCount>,
}

impl KernelOptions {
    /// A regular file of ext4 on a disk with the kernel's usual settings, mapped shared and
    /// read-only. Large folios as ext4 has them: none in 6.12, up to 2 MiB in 6.18 (KERNEL.md 0).
    #[must_use]
    pub fn disk(profile: Profile, file_pages: PageCount) -> KernelOptions {
        KernelOptions {
            profile,
            file_kind: FileKind::Disk,
            file_pages,
            backing: Backing::Device,
            ra_pages: PageCount(32),
            io_pages: PageCount(256),
            folio_order_max: if profile == Profile::V6_12 { 0 } else { ORDER_MAX },
            fault_around: PageCount(16),
            address_page: 0,
            sharing: Sharing::Shared,
            protection: Protection::ReadOnly,
            memory_max: None,
        }
    }

    /// A file on tmpfs with pages of 4 KiB (`huge=never`).
    #[must_use]
    pub fn tmpfs(profile: Profile, file_pages: PageCount) -> KernelOptions {
        let disk = KernelOptions::disk(profile, file_pages);
        KernelOptions {
            file_kind: FileKind::Tmpfs,
            backing: Backing::Hole,
            folio_order_max: 0,
            ..disk
        }
    }

    /// A DAX file.
    #[must_use]
    pub fn dax(profile: Profile, file_pages: PageCount, extents: DaxExtents) -> KernelOptions {
        let disk = KernelOptions::disk(profile, file_pages);
        KernelOptions { file_kind: FileKind::Dax(extents), backing: Backing::Hole, ..disk }
    }

    /// Anonymous memory to be filled through userfaultfd.
    #[must_use]
    pub fn anonymous(profile: Profile, pages: PageCount) -> KernelOptions {
        let disk = KernelOptions::disk(profile, pages);
        KernelOptions {
            file_kind: FileKind::Anonymous,
            backing: Backing::Hole,
            sharing: Sharing::Private,
            protection: Protection::ReadWrite,
            folio_order_max: 0,
            ..disk
        }
    }
}

impl KernelOptions {
    /// Says what is wrong by panicking.
    pub(super) fn check(&self) {
        let around = self.fault_around.0;
        assert!(around.is_power_of_two() && around <= 512, "fault_around: {around} pages");
        assert!(self.folio_order_max <= ORDER_MAX, "folio_order_max: {}", self.folio_order_max);
        let least = 2 * self.ra_pages.0.max(self.io_pages.0) + 1024;
        let max = self.memory_max.map_or(least, |max| max.0);
        assert!(max >= least, "memory_max: {max} pages, where windows need {least}");
    }
}

impl Default for KernelOptions {
    fn default() -> KernelOptions {
        KernelOptions::disk(Profile::V6_18, PageCount(0))
    }
}

/// What a thread does to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It reads.
    Load,
    /// It writes.
    Store,
}

/// How a fault came about: this decides under which lock it runs and whether it counts as major
/// (KERNEL.md 2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Entry {
    /// A load or store of user code: under the lock of its VMA.
    #[default]
    User,
    /// A system call that touches user memory, or MADV_POPULATE: under mmap_lock.
    Locked,
    /// MAP_POPULATE or mlock: under mmap_lock, and never counted as major.
    MapPopulate,
}

/// Advice about a part of the mapping: madvise(2) (KERNEL.md 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// MADV_NORMAL: neither of the next two.
    Normal,
    /// MADV_SEQUENTIAL.
    Sequential,
    /// MADV_RANDOM.
    Random,
    /// MADV_HUGEPAGE.
    HugePage,
    /// MADV_NOHUGEPAGE: undoes it.
    NoHugePage,
}

/// Advice about an open file: posix_fadvise(2) (KERNEL.md 7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileAdvice {
    /// The disk's read-ahead.
    Normal,
    /// Twice the disk's read-ahead.
    Sequential,
    /// read(2) reads only what is asked for.
    Random,
}

/// One open file description: it has its own read-ahead state (KERNEL.md 0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileId(pub(super) u32);

impl FileId {
    /// The one the mapping was made from.
    pub const MAPPED: FileId = FileId(0);
}
