//! Where the windows of a mapping lie: in memory, and in a bitmap.

use std::ops::Range;

/// At most so many windows in a mapping: the size of the bitmap, and the bound on the kernel VMAs
/// of a mapping (every second window open makes one VMA a window).
pub(in crate::sys::trip) const WINDOWS_MAX: usize = 2048;

pub(in crate::sys::trip) const WORD_BITS: usize = usize::BITS as usize;

/// Where a guarded mapping lies, and what open means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sys::trip) struct Shape {
    pub(in crate::sys::trip) base: usize,
    /// Whole pages, in bytes.
    pub(in crate::sys::trip) len: usize,
    /// Size of a window: 1 << this.
    pub(in crate::sys::trip) granule_shift: u32,
    /// What open means: PROT_READ, with PROT_EXEC or without; PROT_READ | PROT_WRITE where stores are
    /// watched.
    pub(in crate::sys::trip) prot: i32,
    /// What closed means: PROT_NONE; PROT_READ where stores are watched.
    pub(in crate::sys::trip) closed: i32,
}

impl Shape {
    pub(in crate::sys::trip) fn windows(&self) -> usize {
        self.len.div_ceil(1 << self.granule_shift)
    }

    /// The bytes of some windows, as offsets; the last window may be short.
    pub(in crate::sys::trip) fn bytes(&self, windows: &Range<usize>) -> Range<usize> {
        let offset = |window: usize| {
            // A window beyond the end may not fit a usize once shifted.
            if window >= self.windows() { self.len } else { window << self.granule_shift }
        };
        offset(windows.start)..offset(windows.end)
    }
}

/// The bits of `windows` in the word whose lowest bit is window `first`.
pub(super) fn mask(windows: &Range<usize>, first: usize) -> usize {
    let bit_of = |window: usize| window.saturating_sub(first).min(WORD_BITS);
    let up_to = |bit: usize| if bit == WORD_BITS { usize::MAX } else { (1 << bit) - 1 };
    up_to(bit_of(windows.end)) & !up_to(bit_of(windows.start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_cover_the_part_of_the_range_that_is_in_the_word() {
        for (start, end) in [(0, 1), (3, 64), (63, 65), (64, 128), (5, 200), (70, 70), (0, 0)] {
            for first in [0, WORD_BITS, 2 * WORD_BITS] {
                let mask = mask(&(start..end), first);
                for bit in 0..WORD_BITS {
                    let is_in = (start..end).contains(&(first + bit));
                    assert_eq!(mask >> bit & 1 == 1, is_in, "{start}..{end} {first} {bit}");
                }
            }
        }
    }
}
