//! How long ago pages were fetched, as coarsely as is needed to give up on those that nobody came for.

use crate::page::Nanos;

/// After twice this time at the latest nobody counts on a reader for what was fetched: 10 to 20 s. A guess: a
/// reader that takes longer for what is ahead of it reads less than 2 MB/s.
pub(in crate::runtime) const AGE_NANOS: u64 = 10_000_000_000;

/// Pages in two ages: fetched since the last turn, and between that and the one before. What is older was
/// given up.
#[derive(Debug, Default)]
pub(super) struct Ages {
    turned: Nanos,
    /// The serials of the last piece before the last turn, and before the turn before that.
    before: [u64; 2],
    pages: [u64; 2],
}

impl Ages {
    /// The pages that were not given up.
    pub(super) fn pages(&self) -> u64 {
        self.pages.iter().sum()
    }

    /// Whether piece `serial` is older than that.
    pub(super) fn has_given_up(&self, serial: u64) -> bool {
        self.before.iter().all(|&before| serial <= before)
    }

    /// Pages were fetched now.
    pub(super) fn add(&mut self, pages: u64) {
        self.pages[0] += pages;
    }

    /// Pages that were fetched as part of piece `serial` count no more.
    pub(super) fn remove(&mut self, serial: u64, pages: u64) {
        if let Some(age) = self.before.iter().position(|&before| serial > before) {
            self.pages[age] -= pages;
        }
    }

    /// Turns when it is time. `serial` is that of the last piece.
    pub(super) fn age(&mut self, now: Nanos, serial: u64) {
        while self.turned.0 + AGE_NANOS <= now.0 {
            // Who was away for long has missed more turns than there are ages.
            self.turned = Nanos((self.turned.0 + AGE_NANOS).max(now.0.saturating_sub(AGE_NANOS)));
            self.before = [serial, self.before[0]];
            self.pages = [0, self.pages[0]];
        }
    }
}
