//! The units: pages, runs of pages, bytes, nanoseconds. They never mix without a name.
//!
//! Every conversion between bytes and pages is in this file: it is the only place that rounds.

use std::fmt;

/// The number of a page inside a mapping, counted from the page that holds its first byte.
///
/// Default: page 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageIndex(pub u64);

/// How many pages. Unit: pages of the running kernel (4, 16 or 64 KiB).
///
/// Default: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageCount(pub u64);

/// How many bytes. 64 bits wide also where `usize` is not.
///
/// Default: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteLen(pub u64);

/// A moment or a span, in nanoseconds of whatever clock drives the policy: the machine's, or the
/// simulator's. Default: 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

/// The size of a page: a power of two, known when the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageSize {
    shift: u32,
}

/// A run of pages, half-open: `start` is in it, `end` is not. Empty when they are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PageRange {
    /// The first page.
    pub start: PageIndex,
    /// The page after the last.
    pub end: PageIndex,
}

impl PageIndex {
    /// The page `count` pages further on; stops at the largest index.
    #[must_use]
    pub fn plus(self, count: PageCount) -> PageIndex {
        PageIndex(self.0.saturating_add(count.0))
    }

    /// The page `count` pages before; stops at page 0.
    #[must_use]
    pub fn minus(self, count: PageCount) -> PageIndex {
        PageIndex(self.0.saturating_sub(count.0))
    }

    /// How many pages lie from `earlier` up to this page; none when `earlier` is not earlier.
    #[must_use]
    pub fn since(self, earlier: PageIndex) -> PageCount {
        PageCount(self.0.saturating_sub(earlier.0))
    }
}

impl Nanos {
    /// The span from `earlier` to this moment; 0 when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }
}

impl PageSize {
    /// Four KiB, the size on x86-64.
    pub const FOUR_KIB: PageSize = PageSize { shift: 12 };

    /// A page size in bytes.
    ///
    /// # Panics
    /// When `bytes` is not a power of two.
    #[must_use]
    pub fn new(bytes: usize) -> PageSize {
        assert!(bytes.is_power_of_two(), "a page size is a power of two, not {bytes}");
        PageSize { shift: bytes.trailing_zeros() }
    }

    /// The size in bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        1 << self.shift
    }

    /// The page that holds the byte at `offset` from the start of the mapping.
    #[must_use]
    pub fn index_of(self, offset: u64) -> PageIndex {
        PageIndex(offset >> self.shift)
    }

    /// The offset in bytes of a page's first byte.
    #[must_use]
    pub fn offset_of(self, page: PageIndex) -> u64 {
        page.0 << self.shift
    }

    /// The fewest pages that hold `len` bytes, from a page's first byte on.
    #[must_use]
    pub fn pages_for(self, len: ByteLen) -> PageCount {
        PageCount(len.0.div_ceil(self.bytes()))
    }

    /// The whole pages that fit into `len` bytes.
    #[must_use]
    pub fn whole_pages_in(self, len: ByteLen) -> PageCount {
        PageCount(len.0 >> self.shift)
    }

    /// The bytes of `count` pages.
    #[must_use]
    pub fn len_of(self, count: PageCount) -> ByteLen {
        ByteLen(count.0 << self.shift)
    }

    /// The pages that hold any byte of `bytes` (half-open).
    #[must_use]
    pub fn cover(self, bytes: std::ops::Range<u64>) -> PageRange {
        if bytes.is_empty() {
            let at = self.index_of(bytes.start);
            return PageRange { start: at, end: at };
        }
        let start = self.index_of(bytes.start);
        let end = PageIndex(bytes.end.div_ceil(self.bytes()));
        PageRange { start, end }
    }
}

impl PageRange {
    /// The pages from `start` up to, but not with, `end`; empty when `end` is not after `start`.
    #[must_use]
    pub fn new(start: PageIndex, end: PageIndex) -> PageRange {
        PageRange { start, end: end.max(start) }
    }

    /// `count` pages from `start` on.
    #[must_use]
    pub fn at(start: PageIndex, count: PageCount) -> PageRange {
        PageRange { start, end: start.plus(count) }
    }

    /// How many pages.
    #[must_use]
    pub fn count(self) -> PageCount {
        self.end.since(self.start)
    }

    /// Whether no page is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// Whether `page` is in it.
    #[must_use]
    pub fn contains(self, page: PageIndex) -> bool {
        self.start <= page && page < self.end
    }

    /// The pages in both; empty when there are none.
    #[must_use]
    pub fn intersect(self, other: PageRange) -> PageRange {
        PageRange::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// The same pages, cut into pieces of at most `step` pages that start at multiples of `step`.
    pub fn pieces(self, step: PageCount) -> impl Iterator<Item = PageRange> {
        let step = step.0.max(1);
        let mut next = self.start;
        std::iter::from_fn(move || {
            (next < self.end).then(|| {
                let edge = PageIndex((next.0 / step + 1).saturating_mul(step));
                let piece = PageRange::new(next, edge.min(self.end));
                next = piece.end;
                piece
            })
        })
    }
}

impl fmt::Display for PageRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pages {}..{}", self.start.0, self.end.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_cover_every_page_they_touch() {
        let size = PageSize::FOUR_KIB;
        let cover = |bytes| size.cover(bytes);
        assert_eq!(cover(0..1), PageRange::new(PageIndex(0), PageIndex(1)));
        assert_eq!(cover(4095..4097), PageRange::new(PageIndex(0), PageIndex(2)));
        assert_eq!(cover(4096..8192), PageRange::new(PageIndex(1), PageIndex(2)));
        assert!(cover(5000..5000).is_empty());
    }

    #[test]
    fn pieces_start_at_multiples_and_lose_nothing() {
        let range = PageRange::new(PageIndex(5), PageIndex(21));
        let pieces: Vec<_> = range.pieces(PageCount(8)).map(|p| (p.start.0, p.end.0)).collect();
        assert_eq!(pieces, [(5, 8), (8, 16), (16, 21)]);
        assert_eq!(PageRange::default().pieces(PageCount(8)).count(), 0);
    }

    #[test]
    fn lengths_beyond_32_bits_stay_exact() {
        let size = PageSize::new(65536);
        assert_eq!(size.pages_for(ByteLen((1 << 40) + 1)), PageCount((1 << 24) + 1));
        assert_eq!(size.offset_of(PageIndex(1 << 24)), 1 << 40);
    }
}
