//! Which pages were seen so far, and in what order.

use crate::page::{PageCount, PageIndex, PageRange};

const WORD: u64 = u64::BITS as u64;

/// Pages found by looks that each see everything touched until then.
#[derive(Debug)]
pub(crate) struct Touched {
    /// A bit for each page of the mapping.
    seen: Vec<u64>,
    /// What each look found for the first time, ascending within a look.
    order: Vec<PageRange>,
}

impl Touched {
    pub(crate) fn new(pages: PageCount) -> Touched {
        Touched { seen: vec![0; pages.0.div_ceil(WORD) as usize], order: Vec::new() }
    }

    /// Takes in a run that a look found. Returns whether any page of it is new.
    pub(crate) fn note(&mut self, run: PageRange) -> bool {
        let mut is_new = false;
        let mut page = run.start.0;
        while page < run.end.0 {
            let Some(word) = self.seen.get_mut((page / WORD) as usize) else { break };
            let bit = page % WORD;
            if bit == 0 && *word == u64::MAX {
                page += WORD;
                continue;
            }
            if *word & 1 << bit == 0 {
                *word |= 1 << bit;
                is_new = true;
                self.append(PageIndex(page));
            }
            page += 1;
        }
        is_new
    }

    /// What was found, in order.
    pub(crate) fn order(&self) -> &[PageRange] {
        &self.order
    }

    fn append(&mut self, page: PageIndex) {
        match self.order.last_mut() {
            Some(last) if last.end == page => last.end = page.plus(PageCount(1)),
            _ => self.order.push(PageRange::at(page, PageCount(1))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(start: u64, end: u64) -> PageRange {
        PageRange::new(PageIndex(start), PageIndex(end))
    }

    #[test]
    fn a_page_is_noted_once_where_it_was_first_seen() {
        let mut touched = Touched::new(PageCount(300));
        assert!(touched.note(pages(70, 72)));
        assert!(touched.note(pages(200, 201)));
        assert!(!touched.note(pages(70, 72)));
        assert!(touched.note(pages(68, 74)));
        assert_eq!(touched.order(), [pages(70, 72), pages(200, 201), pages(68, 70), pages(72, 74)]);
    }

    #[test]
    fn whole_words_that_are_full_are_passed_over_and_the_end_is_the_end() {
        let mut touched = Touched::new(PageCount(130));
        assert!(touched.note(pages(0, 128)));
        assert!(!touched.note(pages(0, 128)));
        assert!(touched.note(pages(0, 130)));
        assert!(!touched.note(pages(1000, 2000)));
        assert_eq!(touched.order(), [pages(0, 130)]);
    }
}
