//! What is planned or was fetched ahead, and nobody has passed yet: what keeps plans from repeating each other, and
//! tells the used from the wasted.
//!
//! Pure: it learns from plans that were carried out and from looks that were made anyway.

mod ages;
mod how;

use std::collections::BTreeMap;
use std::ops::AddAssign;

pub(super) use ages::AGE_NANOS;
use ages::Ages;
pub(super) use how::How;

use crate::page::{Nanos, PageCount, PageIndex, PageRange};

/// Pieces remembered; beyond that the older half is forgotten, and stays unused. More than any policy
/// plans ahead: half the default budget in single pages is 8,192.
const PIECES_MAX: usize = 16 << 10;
/// The longest window. The last one of a file has nothing behind it whose touch could be seen.
const WINDOW_PAGES: PageCount = PageCount(512);

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
    /// The pages in it that were fetched.
    fetched: Ages,
}

impl Ledger {
    /// Plans those parts of `range` that are not planned like that, or were passed or given up since. These are
    /// the answer.
    pub(super) fn plan(&mut self, range: PageRange, how: How) -> Vec<PageRange> {
        let mut parts = Vec::new();
        let mut at = range.start;
        for (pages, piece) in self.over(range) {
            if piece.how.is_like(how) && !self.fetched.has_given_up(piece.serial) {
                parts.push(PageRange::new(at, pages.start));
                at = pages.end;
            }
        }
        parts.push(PageRange::new(at, range.end));
        parts.retain(|part| !part.is_empty());
        parts.iter().for_each(|&part| _ = self.add(part, how));
        parts
    }

    /// What of `range` is planned and not fetched will not be.
    pub(super) fn unplan(&mut self, range: PageRange) {
        self.split(range.start);
        self.split(range.end);
        let pieces = self.pieces.range(range.start..range.end);
        let planned = pieces.filter(|(_, piece)| !piece.how.is_fetched());
        let planned: Vec<_> = planned.map(|(&start, _)| start).collect();
        planned.iter().for_each(|start| _ = self.pieces.remove(start));
    }

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
                    let pages = piece.end.since(at).0;
                    if piece.how.is_fetched() {
                        self.fetched.remove(piece.serial, pages);
                    } else if both.is_fetched() {
                        fresh += pages;
                    }
                    if both.is_fetched() {
                        self.fetched.add(pages);
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
                self.fetched.add(gap_end.since(at).0);
            }
            self.pieces.insert(at, Piece { end: gap_end, how, serial: self.serial });
            at = gap_end;
        }
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

    /// The pages that were fetched and not passed, but for those that nobody came for in 10 to 20 s.
    pub(super) fn ahead(&self) -> PageCount {
        PageCount(self.fetched.pages())
    }

    /// The pages of `range` that were not fetched, or were passed since.
    pub(super) fn missing(&self, range: PageRange) -> PageCount {
        let there = self.over(range).filter(|(_, piece)| piece.how.is_fetched());
        PageCount(range.count().0 - there.map(|(pages, _)| pages.count().0).sum::<u64>())
    }

    /// The pieces that have pages of `range`, and which.
    fn over(&self, range: PageRange) -> impl Iterator<Item = (PageRange, &Piece)> {
        let before = self.pieces.range(..=range.start).next_back();
        let from = before.map_or(range.start, |(&start, _)| start);
        let pieces = self.pieces.range(from..range.end.max(from));
        let cut = move |(&start, piece): (&PageIndex, _)| {
            let piece: &Piece = piece;
            (PageRange::new(start, piece.end).intersect(range), piece)
        };
        pieces.map(cut).filter(|(pages, _)| !pages.is_empty())
    }

    /// Time goes on.
    pub(super) fn age(&mut self, now: Nanos) {
        self.fetched.age(now, self.serial);
    }

    /// Removes the windows that follow each other up to `page`. Between them may lie what a fast reader was
    /// left to itself, or had mapped when the window before it was done: less than a window.
    fn windows_before(&mut self, page: PageIndex) -> Passed {
        self.split(page);
        let mut at = page;
        let mut passed = Passed::default();
        while let Some((&start, piece)) = self.pieces.range(..at).next_back()
            && at.since(piece.end) <= WINDOW_PAGES
            && piece.how.is_window
        {
            let end = piece.end;
            passed += self.take(PageRange::new(start, end));
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
            let Some(Piece { end, how, serial }) = self.pieces.remove(&start) else { break };
            let pages = end.since(start).0;
            if how.is_fetched() {
                self.fetched.remove(serial, pages);
            }
            let if_so = |is_so: bool| if is_so { pages } else { 0 };
            taken += Passed {
                pages,
                used: if_so(how.is_fetched()),
                mapped: if_so(how.is_mapped),
                read: if_so(how.is_read),
            };
        }
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
        self.pieces.retain(|&start, piece| {
            let is_kept = piece.serial >= oldest_kept;
            if !is_kept && piece.how.is_fetched() {
                self.fetched.remove(piece.serial, piece.end.since(start).0);
            }
            is_kept
        });
    }
}

#[cfg(test)]
mod tests;
