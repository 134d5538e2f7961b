//! Whether pages are in the page cache.

/// Whether a range of a file is in the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Residency {
    /// Every page that was looked at is.
    Resident,
    /// At least one page is not.
    Absent,
    /// The kernel does not tell: it hides the page cache of files that the caller neither owns nor
    /// may write (typical model weights), where mincore(2) would say "all resident". Unknown is
    /// prefetched like Absent.
    Unknown,
}
