//! A bit for each page of the file, set and asked by several threads.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::page::{PageCount, PageIndex, PageRange};

/// Which pages of a file.
#[derive(Debug)]
pub(super) struct Marks(Box<[AtomicU64]>);

impl Marks {
    /// None of `pages`.
    pub(super) fn new(pages: PageCount) -> Marks {
        let words = pages.0.div_ceil(64) as usize;
        Marks((0..words).map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn contains(&self, PageIndex(page): PageIndex) -> bool {
        let word = self.0.get((page / 64) as usize);
        word.is_some_and(|word| word.load(Ordering::Acquire) >> (page % 64) & 1 != 0)
    }

    pub(super) fn set(&self, pages: PageRange) {
        self.each(pages, |word, bit| word.fetch_or(bit, Ordering::AcqRel));
    }

    pub(super) fn clear(&self, pages: PageRange) {
        self.each(pages, |word, bit| word.fetch_and(!bit, Ordering::AcqRel));
    }

    fn each(&self, pages: PageRange, change: impl Fn(&AtomicU64, u64) -> u64) {
        for page in pages.start.0..pages.end.0 {
            if let Some(word) = self.0.get((page / 64) as usize) {
                change(word, 1 << (page % 64));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_marked_one_by_one_and_beyond_the_last_nothing_happens() {
        let marks = Marks::new(PageCount(100));
        marks.set(PageRange::at(PageIndex(60), PageCount(10)));
        marks.clear(PageRange::at(PageIndex(64), PageCount(1)));
        marks.set(PageRange::at(PageIndex(1000), PageCount(1)));
        let set: Vec<_> = (0..2000).filter(|&page| marks.contains(PageIndex(page))).collect();
        assert_eq!(set, [60, 61, 62, 63, 65, 66, 67, 68, 69]);
    }
}
