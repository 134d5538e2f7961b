//! What the kernel did, in countable kinds of work: the caller knows what each costs.

use super::{Io, Waiting};

/// Work of one call. All counts; a call adds to them, [`Work::add`] sums calls.
///
/// Default: nothing was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// How often the fault path was entered: 1, and 1 for each time it had to start again.
    pub attempts: u64,
    /// Page tables (one for 2 MiB of address space) that were allocated.
    pub tables: u64,
    /// Page-table entries that were filled.
    pub ptes: u64,
    /// 2 MiB entries that were filled.
    pub pmds: u64,
    /// Folios that entries were filled for, or that read(2) copied from.
    pub folios: u64,
    /// Folios that were put into the page cache.
    pub folios_new: u64,
    /// Pages of those.
    pub pages_new: u64,
    /// Pages that were zeroed: holes and new anonymous memory.
    pub pages_zeroed: u64,
    /// Pages that were copied: copy on write, UFFDIO_COPY.
    pub pages_copied: u64,
    /// Calls of page_mkwrite: a shared page, folio or DAX entry was made writable (KERNEL.md 5).
    pub mkwrites: u64,
    /// Pages that were made dirty.
    pub pages_dirtied: u64,
    /// Extents that the file system was asked for (KERNEL.md 4).
    pub extents: u64,
    /// Faults on a page that was in no cache: what vmstat calls `pgmajfault` (KERNEL.md 2.5).
    pub absent: u64,
    /// Windows of read-ahead that the reader ran into by missing, or by mmap read-around.
    pub windows_sync: u64,
    /// Windows of read-ahead that a flagged folio set off.
    pub windows_async: u64,
    /// Page-table entries or 2 MiB entries that were taken out.
    pub zapped: u64,
    /// Pages that were reclaimed to make room.
    pub reclaimed: u64,
    /// Pages of those that had to be written first.
    pub pages_written: u64,
    /// Pages that came back after they had been reclaimed.
    pub refaults: u64,
    /// Pages that were dropped from the page cache on demand.
    pub dropped: u64,
    /// Pages looked at that were there already (populate walks over them, forced read-ahead skips
    /// them).
    pub skipped: u64,
}

impl Work {
    /// Adds `other` to this.
    pub fn add(&mut self, other: Work) {
        let Work {
            attempts,
            tables,
            ptes,
            pmds,
            folios,
            folios_new,
            pages_new,
            pages_zeroed,
            pages_copied,
            mkwrites,
            pages_dirtied,
            extents,
            absent,
            windows_sync,
            windows_async,
            zapped,
            reclaimed,
            pages_written,
            refaults,
            dropped,
            skipped,
        } = other;
        self.attempts += attempts;
        self.tables += tables;
        self.ptes += ptes;
        self.pmds += pmds;
        self.folios += folios;
        self.folios_new += folios_new;
        self.pages_new += pages_new;
        self.pages_zeroed += pages_zeroed;
        self.pages_copied += pages_copied;
        self.mkwrites += mkwrites;
        self.pages_dirtied += pages_dirtied;
        self.extents += extents;
        self.absent += absent;
        self.windows_sync += windows_sync;
        self.windows_async += windows_async;
        self.zapped += zapped;
        self.reclaimed += reclaimed;
        self.pages_written += pages_written;
        self.refaults += refaults;
        self.dropped += dropped;
        self.skipped += skipped;
    }
}

/// How a fault that succeeded is counted (KERNEL.md 2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Without waiting for the device, as the kernel counts it.
    Minor,
    /// Waited.
    Major,
}

/// Why an access cannot go on (KERNEL.md 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGSEGV on a guarded page, or on one of PROT_NONE: a trip.
    Guard,
    /// SIGSEGV: a store to memory that may not be written.
    Access,
    /// SIGBUS: wholly beyond the end of the file.
    BeyondEnd,
    /// No signal: the thread sleeps until userfaultfd's manager resolves this page.
    Userfault,
}

/// What came of one go at a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a fault that waits has to be resumed"]
pub struct Fault {
    /// How it ended, for now.
    pub end: FaultEnd,
    /// What was done in this go.
    pub work: Work,
}

/// How one go at a fault ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultEnd {
    /// The page is in the page table.
    Mapped(FaultKind),
    /// The thread sleeps until `io` arrives; then [resume](super::Kernel::resume) it.
    Waits(Io, Waiting),
    /// It cannot go on. A thread that waits for a [`Signal::Userfault`] faults anew when woken.
    Failed(Signal),
}
