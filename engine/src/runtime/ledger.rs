//! What was fetched ahead and nobody has passed yet: what tells the used from the wasted.
//!
//! Pure: it learns from plans that were carried out and from looks that were made anyway.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use crate::page::{PageCount, PageIndex, PageRange};

/// Pieces remembered; beyond that the older half is forgotten, and stays unused. More than any policy
/// plans ahead: half the default budget in single pages is 8,192.
const PIECES_MAX: usize = 16 << 10;
/// The longest window. The last one of a file has nothing behind it whose touch could be seen.
const WINDOW_PAGES: PageCount = PageCount(512);

/// How pages were fetched; in no way, where they were planned and found in memory, or left to the
/// reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct How {
    /// The device was started on them.
    pub(super) is_read: bool,
    /// They were put into the page table.
    pub(super) is_mapped: bool,
    /// They are of a window, which only a forward run has.
    pub(super) is_window: bool,
    /// They lie behind a step, and nobody watches them: they are passed when the step is.
    pub(super) is_tail: bool,
}

impl How {
    pub(super) const LEFT: How =
        How { is_read: false, is_mapped: false, is_window: false, is_tail: false };
    pub(super) const READ: How = How { is_read: true, ..How::LEFT };
    pub(super) const WINDOW_LEFT: How = How { is_window: true, ..How::LEFT };
    pub(super) const MAPPED: How = How { is_mapped: true, ..How::WINDOW_LEFT };
    pub(super) const TAIL: How = How { is_tail: true, ..How::READ };

    fn is_fetched(self) -> bool {
        self.is_read || self.is_mapped
    }

    fn and(self, other: How) -> How {
        How {
            is_read: self.is_read || other.is_read,
            is_mapped: self.is_mapped || other.is_mapped,
            is_window: self.is_window || other.is_window,
            is_tail: self.is_tail && other.is_tail,
        }
    }
}

/// Pages that a reader was seen to pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// All of them.
    pub(super) pages: u64,
    /// Those that were fetched ahead, in whatever way.
    pub(super) used: u64,
    /// Those that were in the page table because of us.
    pub(super) mapped: u64,
    /// Those that the device was started on ahead.
    pub(super) read: u64,
}

impl AddAssign for Passed {
    fn add_assign(&mut self, other: Passed) {
        let Passed { pages, used, mapped, read } = other;
        self.pages += pages;
        self.used += used;
        self.mapped += mapped;
        self.read += read;
    }
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    end: PageIndex,
    how: How,
    serial: u64,
}

/// Pieces that do not overlap, by their first page.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pieces: BTreeMap<PageIndex, Piece>,
    serial: u64,
    /// Pages in it that were fetched.
    ahead: u64,
}

impl Ledger {
    /// `range` was carried out. Returns how many pages of it were not fetched before.
    pub(super) fn add(&mut self, range: PageRange, how: How) -> PageCount {
        self.split(range.start);
        self.split(range.end);
        self.serial += 1;
        let mut fresh = 0;
        let mut at = range.start;
        while at < range.end {
            let known = self.pieces.range_mut(at..range.end).next();
            let gap_end = match known {
                Some((&start, piece)) if start == at => {
                    let both = piece.how.and(how);
                    if both.is_fetched() && !piece.how.is_fetched() {
                        fresh += piece.end.since(at).0;
                    }
                    (piece.how, piece.serial) = (both, self.serial);
                    at = piece.end;
                    continue;
                }
                Some((&start, _)) => start,
                None => range.end,
            };
            if how.is_fetched() {
                fresh += gap_end.since(at).0;
            }
            self.pieces.insert(at, Piece { end: gap_end, how, serial: self.serial });
            at = gap_end;
        }
        self.ahead += fresh;
        if self.pieces.len() > PIECES_MAX {
            self.forget_older_half();
        }
        PageCount(fresh)
    }

    /// A reader was at every page of `range`, as far as is known, and at the windows right before it.
    pub(super) fn pass(&mut self, range: PageRange) -> Passed {
        let mut passed = Passed { pages: range.count().0, ..self.take(range) };
        passed += self.windows_before(range.start);
        while let Some(tail) = self.pieces.get(&range.end).filter(|piece| piece.how.is_tail) {
            passed += self.take(PageRange::new(range.end, tail.end));
        }
        passed
    }

    /// A reader that runs forward has come to `page`: it has passed the windows right before it, and, in
    /// the last one of a mapping that ends at `end`, what nobody will see it pass.
    pub(super) fn run_to(&mut self, page: PageIndex, end: PageIndex) -> Passed {
        let mut passed = self.windows_before(page);
        if end.since(page) <= WINDOW_PAGES && self.contiguous_end(page) == end {
            passed += self.take(PageRange::new(page, end));
        }
        passed
    }

    /// Whether `page` was planned and not passed.
    pub(super) fn holds(&self, page: PageIndex) -> bool {
        self.pieces.range(..=page).next_back().is_some_and(|(_, piece)| page < piece.end)
    }

    /// The pages that were fetched and not passed.
    #[cfg(test)]
    pub(super) fn ahead(&self) -> PageCount {
        PageCount(self.ahead)
    }

    /// Removes the windows that follow each other up to `page`.
    fn windows_before(&mut self, page: PageIndex) -> Passed {
        self.split(page);
        let mut at = page;
        let mut passed = Passed::default();
        while let Some((&start, piece)) = self.pieces.range(..at).next_back()
            && piece.end == at
            && piece.how.is_window
        {
            passed += self.take(PageRange::new(start, at));
            at = start;
        }
        passed
    }

    /// Removes `range`.
    fn take(&mut self, range: PageRange) -> Passed {
        self.split(range.start);
        self.split(range.end);
        let mut taken = Passed::default();
        while let Some((&start, _)) = self.pieces.range(range.start..range.end).next() {
            let Some(Piece { end, how, .. }) = self.pieces.remove(&start) else { break };
            let pages = end.since(start).0;
            let if_so = |is_so: bool| if is_so { pages } else { 0 };
            taken += Passed {
                pages,
                used: if_so(how.is_fetched()),
                mapped: if_so(how.is_mapped),
                read: if_so(how.is_read),
            };
        }
        self.ahead -= taken.used;
        taken
    }

    /// The end of the pieces that follow each other from `page` on.
    fn contiguous_end(&self, page: PageIndex) -> PageIndex {
        let mut at = page;
        while let Some(piece) = self.pieces.get(&at) {
            at = piece.end;
        }
        at
    }

    /// Has a piece end at `page`, if one holds it.
    fn split(&mut self, page: PageIndex) {
        let Some((_, piece)) = self.pieces.range_mut(..page).next_back() else { return };
        if page < piece.end {
            let rest = *piece;
            piece.end = page;
            self.pieces.insert(page, rest);
        }
    }

    fn forget_older_half(&mut self) {
        let mut serials: Vec<u64> = self.pieces.values().map(|piece| piece.serial).collect();
        let middle = serials.len() / 2;
        let (_, &mut oldest_kept, _) = serials.select_nth_unstable(middle);
        self.pieces.retain(|_, piece| piece.serial >= oldest_kept);
        let fetched = self.pieces.iter().filter(|(_, piece)| piece.how.is_fetched());
        self.ahead = fetched.map(|(&start, piece)| piece.end.since(start).0).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(start: u64, end: u64) -> PageRange {
        PageRange::new(PageIndex(start), PageIndex(end))
    }

    const END: PageIndex = PageIndex(1 << 20);

    #[test]
    fn a_page_that_is_read_and_then_mapped_counts_once() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.add(pages(0, 512), How::READ), PageCount(512));
        assert_eq!(ledger.add(pages(16, 512), How::MAPPED), PageCount(0));
        assert_eq!(ledger.add(pages(256, 1024), How::MAPPED), PageCount(512));
        assert_eq!(ledger.ahead(), PageCount(1024));
        let passed = ledger.pass(pages(0, 2000));
        assert_eq!(passed, Passed { pages: 2000, used: 1024, mapped: 1008, read: 512 });
        assert_eq!(ledger.ahead(), PageCount(0));
    }

    #[test]
    fn a_run_has_passed_what_lies_right_before_it_and_nothing_beyond_a_gap() {
        let mut ledger = Ledger::default();
        ledger.add(pages(0, 100), How::MAPPED);
        ledger.add(pages(200, 300), How::WINDOW_LEFT);
        ledger.add(pages(300, 400), How::MAPPED);
        let passed = ledger.run_to(PageIndex(350), END);
        assert_eq!(passed, Passed { pages: 150, used: 50, mapped: 50, read: 0 });
        assert_eq!(ledger.ahead(), PageCount(150));
        assert_eq!(ledger.pass(pages(100, 116)).used, 100, "who reads on behind a window");
        ledger.add(pages(0, 100), How::MAPPED);
        assert!(ledger.holds(PageIndex(99)) && !ledger.holds(PageIndex(100)));
        assert!(ledger.holds(PageIndex(350)) && !ledger.holds(PageIndex(349)));
    }

    #[test]
    fn steps_before_a_backward_reader_lie_ahead_of_it() {
        let mut ledger = Ledger::default();
        ledger.add(pages(0, 32), How::READ);
        assert_eq!(ledger.pass(pages(16, 32)).used, 16);
        assert_eq!(ledger.ahead(), PageCount(16));
    }

    #[test]
    fn who_enters_the_last_window_of_a_file_has_it_counted() {
        let mut ledger = Ledger::default();
        ledger.add(pages(1000, 1016), How::WINDOW_LEFT);
        ledger.add(pages(1016, 1400), How::MAPPED);
        assert_eq!(ledger.run_to(PageIndex(1000), PageIndex(1401)), Passed::default());
        assert_eq!(ledger.run_to(PageIndex(1000), PageIndex(1400)).used, 384);
    }

    #[test]
    fn what_lies_further_from_the_end_than_a_window_is_not_counted_before_it_is_passed() {
        let mut ledger = Ledger::default();
        ledger.add(pages(0, 1000), How::MAPPED);
        assert_eq!(ledger.run_to(PageIndex(0), PageIndex(1000)), Passed::default());
        assert_eq!(ledger.run_to(PageIndex(488), PageIndex(1000)).used, 1000);
    }

    #[test]
    fn of_a_piece_that_is_passed_in_part_the_rest_stays() {
        let mut ledger = Ledger::default();
        ledger.add(pages(0, 100), How::READ);
        assert_eq!(ledger.pass(pages(20, 50)).used, 30);
        assert_eq!(ledger.ahead(), PageCount(70));
        assert!(ledger.holds(PageIndex(19)) && ledger.holds(PageIndex(50)));
        assert!(!ledger.holds(PageIndex(20)) && !ledger.holds(PageIndex(49)));
    }

    #[test]
    fn what_is_fetched_in_two_ways_is_both() {
        let mut ledger = Ledger::default();
        // Read as steps, and then mapped as a window: who comes behind it has passed it.
        ledger.add(pages(0, 100), How::READ);
        ledger.add(pages(0, 100), How::MAPPED);
        assert_eq!(ledger.run_to(PageIndex(100), END).used, 100);
        // A tail that is a step as well is watched, and does not go with the step before it.
        ledger.add(pages(200, 202), How::READ);
        ledger.add(pages(202, 206), How::TAIL);
        ledger.add(pages(202, 206), How::READ);
        assert_eq!(ledger.pass(pages(200, 202)).used, 2);
        assert!(ledger.holds(PageIndex(205)));
    }

    #[test]
    fn what_was_planned_anew_is_forgotten_last_and_what_was_left_alone_is_not_ahead() {
        let mut ledger = Ledger::default();
        for page in 0..PIECES_MAX as u64 {
            ledger.add(pages(page * 2, page * 2 + 1), How::LEFT);
        }
        ledger.add(pages(0, 1), How::READ);
        ledger.add(pages(1 << 30, (1 << 30) + 1), How::LEFT);
        assert!(ledger.holds(PageIndex(0)) && !ledger.holds(PageIndex(2)));
        assert_eq!(ledger.ahead(), PageCount(1));
    }

    #[test]
    fn what_was_read_behind_a_step_goes_with_the_step() {
        let mut ledger = Ledger::default();
        ledger.add(pages(10, 12), How::READ);
        ledger.add(pages(12, 16), How::TAIL);
        ledger.add(pages(16, 18), How::READ);
        assert_eq!(ledger.pass(pages(10, 12)).used, 6);
        assert_eq!(ledger.ahead(), PageCount(2));
    }

    #[test]
    fn what_nobody_comes_for_is_forgotten_in_the_end() {
        let mut ledger = Ledger::default();
        for page in 0..=PIECES_MAX as u64 {
            ledger.add(pages(page * 2, page * 2 + 1), How::READ);
        }
        assert_eq!(ledger.pieces.len(), PIECES_MAX / 2 + 1);
        assert_eq!(ledger.ahead().0, ledger.pieces.len() as u64);
        assert!(ledger.holds(PageIndex(PIECES_MAX as u64 * 2)) && !ledger.holds(PageIndex(0)));
    }
}
