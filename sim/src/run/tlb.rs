//! A TLB: which translations a core has at hand.

use mmap_ahead::page::PageIndex;

/// Places: the second-level TLBs of today have 1.5 to 2 thousand (KERNEL.md 11).
const PLACES: usize = 2048;
/// Pages that a 2 MiB entry covers, as a shift.
const HUGE_SHIFT: u32 = 9;
/// Marks the tag of a 2 MiB entry.
const HUGE: u64 = 1 << 63;

/// Direct-mapped: each page has one place.
#[derive(Clone, Debug)]
pub(crate) struct Tlb(Box<[u64; PLACES]>);

impl Tlb {
    pub(crate) fn new() -> Tlb {
        Tlb(Box::new([u64::MAX; PLACES]))
    }

    /// Whether the translation of `page` was not at hand; from now on it is.
    #[inline]
    pub(crate) fn misses(&mut self, page: PageIndex, is_huge: bool) -> bool {
        let tag = if is_huge { HUGE | page.0 >> HUGE_SHIFT } else { page.0 };
        let place = &mut self.0[tag as usize % PLACES];
        std::mem::replace(place, tag) != tag
    }

    /// Nothing is at hand any more.
    pub(crate) fn flush(&mut self) {
        self.0.fill(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_lately_is_at_hand() {
        let mut tlb = Tlb::new();
        assert!(tlb.misses(PageIndex(7), false));
        assert!(!tlb.misses(PageIndex(7), false));
        assert!(tlb.misses(PageIndex(7 + PLACES as u64), false), "takes its place");
        assert!(tlb.misses(PageIndex(7), false));
        assert!(tlb.misses(PageIndex(512), true));
        assert!(!tlb.misses(PageIndex(1023), true), "one entry for 2 MiB");
        tlb.flush();
        assert!(tlb.misses(PageIndex(1023), true));
    }
}
