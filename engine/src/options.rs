//! How a mapping is read ahead: mode, policy, fetcher, budget.

use crate::page::ByteLen;
use crate::policy::PolicyKind;

/// Who tells the engine where the reader is.
///
/// Default: [`Mode::Auto`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// [`Mode::Marker`] for read-only mappings of files from 1 MiB on, else [`Mode::Off`].
    #[default]
    Auto,
    /// Plain memmap2: nothing is watched, nothing is fetched.
    Off,
    /// Passive: blocks left out of populated windows say, by becoming present, that the reader
    /// passed. No signals, no protection changes; slices may be handed to any system call.
    ///
    /// Kernel: 6.7 for PAGEMAP_SCAN, any for its fallback /proc/self/pagemap; 5.14 for
    /// MADV_POPULATE_READ. Without them: off.
    Marker,
    /// Windows start closed (PROT_NONE); a touch raises SIGSEGV, and the handler opens the window.
    ///
    /// **A system call that is given a closed page returns EFAULT** and raises no signal: `write(2)`
    /// from such a mapping may fail where memmap2's does not. A thread that blocks SIGSEGV dies at a
    /// trip. Read-only mappings on x86-64 and aarch64; elsewhere: [`Mode::Marker`].
    Guard,
}

/// What carries a plan out.
///
/// Default: [`Fetcher::Madvise`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fetcher {
    /// Faults in a second mapping, for runs, or MADV_WILLNEED, far ahead to start the disk;
    /// MADV_POPULATE_READ near to build the page table.
    #[default]
    Madvise,
    /// `mmap(MAP_FIXED | MAP_POPULATE)` over the window. Works only on read-only shared mappings
    /// that were opened with [`keep_file`](crate::MmapOptions::keep_file) and not changed since
    /// (advice, locks); anything else falls back to [`Fetcher::Madvise`] and counts as refused.
    Remap,
}

/// The most bytes mapped or cached ahead of a reader unless
/// [`MmapOptions::budget`](crate::MmapOptions::budget) says otherwise: 64 MiB.
///
/// Half of it is used by one reader, two thirds by two, and so on; the rest is room for the kernel's own read-ahead, which may be
/// 16 MiB. Measured: 16 MiB in flight keep a disk of 2 to 3 GB/s busy, twice that rides out pauses.
pub const BUDGET_DEFAULT: ByteLen = ByteLen(64 << 20);

/// The most bytes made ready for stores ahead of a writer
/// ([`write_ahead`](crate::MmapOptions::write_ahead)) unless
/// [`MmapOptions::budget`](crate::MmapOptions::budget) says otherwise: 64 MiB.
///
/// What is made ready and not stored to is space taken for nothing; it is never more than twice what
/// the writer has stored. Half of it is used by one writer. Measured, 1 GiB of tmpfs whose space was
/// allocated before, over plain `MmapMut`: 1.8 times with 16 MiB, twice with 64.
pub const WRITE_BUDGET_DEFAULT: ByteLen = ByteLen(64 << 20);

/// The shortest mapping that is followed: 1 MiB. Below it a few faults are all there is to save.
pub const FOLLOWED_LEN_MIN: ByteLen = ByteLen(1 << 20);

/// The part of [`MmapOptions`](crate::MmapOptions) that memmap2 does not have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ahead {
    pub(crate) mode: Mode,
    pub(crate) policy: PolicyKind,
    pub(crate) fetcher: Fetcher,
    /// `None`: the default, which is not the same for readers and writers.
    pub(crate) budget: Option<ByteLen>,
    pub(crate) stores: Stores,
    pub(crate) keep_file: bool,
    pub(crate) record: bool,
    pub(crate) guard_sigbus: bool,
}

#[cfg_attr(any(elsewhere, not(target_os = "linux")), allow(dead_code))]
impl Ahead {
    pub(crate) fn budget(&self) -> ByteLen {
        self.budget.unwrap_or(BUDGET_DEFAULT)
    }

    pub(crate) fn budget_for_stores(&self) -> ByteLen {
        self.budget.unwrap_or(WRITE_BUDGET_DEFAULT)
    }
}

/// What the owner of a writable mapping says of its stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stores {
    /// Nothing: they may be anywhere, or none.
    #[default]
    Unknown,
    /// They run forward.
    Forward,
}
