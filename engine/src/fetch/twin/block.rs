//! The blocks of 2 MiB that a file is read in, as parts of a mapping of it.

use std::ops::Range;

/// What a fault reads: the reach of one page-table page on x86, with pages of 4 KiB.
pub(super) const BLOCK_BYTES: usize = 2 << 20;

/// A mapping of `len` bytes of a file from `offset` on. Its blocks begin at multiples of 2 MiB of the file;
/// the first and the last may be cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks {
    pub(super) offset: u64,
    pub(super) len: usize,
}

impl Blocks {
    /// How much of the mapping's first block lies before the mapping.
    fn lead(self) -> usize {
        (self.offset % BLOCK_BYTES as u64) as usize
    }

    /// The blocks all of whose part of the mapping lies in `range`.
    pub(super) fn whole_in(self, range: &Range<usize>) -> Range<usize> {
        let first = match range.start {
            0 => 0,
            start => (self.lead() + start).div_ceil(BLOCK_BYTES),
        };
        let end = if range.end < self.len {
            (self.lead() + range.end) / BLOCK_BYTES
        } else {
            (self.lead() + self.len).div_ceil(BLOCK_BYTES)
        };
        first..end.max(first)
    }

    /// The part of the mapping that is `block`.
    pub(super) fn range(self, block: usize) -> Range<usize> {
        let start = (block * BLOCK_BYTES).saturating_sub(self.lead());
        let end = ((block + 1) * BLOCK_BYTES).saturating_sub(self.lead());
        start.min(self.len)..end.min(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_those_of_the_file_and_end_with_the_mapping() {
        let page = 4096;
        let blocks = Blocks { offset: 3 * BLOCK_BYTES as u64 + page as u64, len: BLOCK_BYTES * 2 };
        assert_eq!(blocks.whole_in(&(0..blocks.len)), 0..3);
        assert_eq!(blocks.range(0), 0..BLOCK_BYTES - page);
        assert_eq!(blocks.range(1), BLOCK_BYTES - page..2 * BLOCK_BYTES - page);
        assert_eq!(blocks.range(2), 2 * BLOCK_BYTES - page..2 * BLOCK_BYTES);
        assert_eq!(blocks.whole_in(&(0..BLOCK_BYTES - page)), 0..1);
        assert_eq!(blocks.whole_in(&(page..2 * BLOCK_BYTES - page)), 1..2);
        assert_eq!(blocks.whole_in(&(2 * BLOCK_BYTES - page..blocks.len)), 2..3);
        assert!(blocks.whole_in(&(page..2 * BLOCK_BYTES - 2 * page)).is_empty());
        assert!(blocks.whole_in(&(7..7)).is_empty());
    }
}
