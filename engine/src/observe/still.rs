//! When to keep still: on large folios the kernel maps up to 2 MiB for one fault, and there is
//! nothing to win by mapping ahead, only a marker to lose.

use crate::page::PageCount;

/// False markers in a row that end mapping ahead. One alone may be chance: a reader that passed in
/// just those microseconds.
const FALSE_IN_A_ROW: u32 = 2;
/// Windows left alone at first and at most, before one is tried again.
const PAUSE_WINDOWS_FIRST: u32 = 8;
const PAUSE_WINDOWS_MAX: u32 = 4096;
/// What counts as a window where none was planned.
pub(crate) const WINDOW_PAGES: PageCount = PageCount(512);

/// Whether windows are mapped at the moment, or left to the reader's own large faults.
#[derive(Clone, Debug)]
pub struct Still {
    false_in_a_row: u32,
    windows_left: u32,
    pause: u32,
}

impl Default for Still {
    fn default() -> Still {
        Still { false_in_a_row: 0, windows_left: 0, pause: PAUSE_WINDOWS_FIRST }
    }
}

impl Still {
    /// Whether windows are left alone for now.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.windows_left > 0
    }

    /// Whether the last marker that was tried was false: large folios here, as far as is known.
    #[must_use]
    pub fn is_believed(&self) -> bool {
        self.pause > PAUSE_WINDOWS_FIRST
    }

    /// A marker was mapped by its neighbour.
    pub fn false_marker(&mut self) {
        self.false_in_a_row += 1;
        if self.false_in_a_row >= FALSE_IN_A_ROW {
            self.windows_left = self.pause;
            self.pause = (self.pause * 2).min(PAUSE_WINDOWS_MAX);
            // The window tried after the pause decides alone.
            self.false_in_a_row = FALSE_IN_A_ROW - 1;
        }
    }

    /// A reader came far with few faults: large folios here, and no window needs to be tried.
    pub fn large_folios(&mut self) {
        self.false_in_a_row = FALSE_IN_A_ROW - 1;
        if self.windows_left == 0 || !self.is_believed() {
            self.windows_left = self.pause;
            self.pause = (self.pause * 2).min(PAUSE_WINDOWS_MAX);
        }
    }

    /// A marker stayed absent: small folios here.
    pub fn true_marker(&mut self) {
        *self = Still::default();
    }

    /// Asked before each window: whether to leave it alone.
    pub fn skip_window(&mut self) -> bool {
        self.skip_windows(1)
    }

    /// The reader passed `pages` for which no window was planned: whether to leave the next one alone.
    pub fn skip_pages(&mut self, pages: PageCount) -> bool {
        self.skip_windows(pages.0 / WINDOW_PAGES.0)
    }

    fn skip_windows(&mut self, count: u64) -> bool {
        let skip = self.is_on();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.windows_left = self.windows_left.saturating_sub(count);
        skip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_false_markers_in_a_row_bring_a_pause_that_doubles() {
        let mut still = Still::default();
        still.false_marker();
        assert!(!still.is_on(), "one may be chance");
        still.false_marker();
        assert_eq!((0..1000).take_while(|_| still.skip_window()).count(), 8);
        assert!(still.is_believed(), "also while the next window is tried");
        still.false_marker();
        assert_eq!((0..1000).take_while(|_| still.skip_window()).count(), 16);
        still.true_marker();
        still.false_marker();
        assert!(!still.is_on() && !still.is_believed());
    }

    #[test]
    fn a_reader_with_few_faults_brings_a_pause_without_a_trial() {
        let mut still = Still::default();
        still.large_folios();
        assert!(still.is_on() && still.is_believed());
        assert!(still.skip_windows(8) && !still.is_on());
        still.large_folios();
        assert_eq!((0..1000).take_while(|_| still.skip_window()).count(), 16);
    }

    #[test]
    fn windows_that_were_passed_unplanned_count_too() {
        let mut still = Still::default();
        assert!(!still.skip_windows(1), "it is not on");
        still.false_marker();
        still.false_marker();
        assert!(still.skip_windows(7));
        assert!(still.skip_windows(u64::MAX), "the eighth");
        assert!(!still.skip_windows(0), "the next one is tried");
    }
}
