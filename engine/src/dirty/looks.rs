//! When a flush looks for what was stored to. Pure.

/// The most flushes in a row without a look: one look and the one that makes sure cost what two flushes in
/// so many do.
const SKIPS_MAX: u32 = 64;
/// How much longer the next pause is than the last.
const GROWTH: u32 = 4;

/// A look saves a flush only when it finds nothing, and has its price: the page table is walked, and the
/// next store to each page that was told is a page fault. So a program that always stores something before
/// it flushes is looked at ever less often.
///
/// The first look after a pause tells of everything that was stored to since the look before, flushed or
/// not; only one that follows a look says what this flush is for, and is judged by.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Looks {
    /// The flushes of this pause that are still to come.
    skips_left: u32,
    /// The length of the last pause.
    pause: u32,
    /// Whether the flush before looked.
    follows_look: bool,
}

impl Looks {
    /// Whether this flush looks; when it does, [`found`](Looks::found) follows.
    pub(super) fn is_due(&mut self) -> bool {
        if self.skips_left == 0 {
            return true;
        }
        self.skips_left -= 1;
        self.follows_look = false;
        false
    }

    /// A look was not possible or not worth its time after all.
    pub(super) fn left_out(&mut self) {
        self.follows_look = false;
    }

    /// What came of a look.
    pub(super) fn found(&mut self, is_something: bool) {
        if !is_something {
            self.pause = 0;
        } else if self.follows_look {
            self.pause = (self.pause * GROWTH).clamp(1, SKIPS_MAX);
            self.skips_left = self.pause;
        }
        self.follows_look = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each of so many flushes looks, when something was always stored, or never.
    fn looks(looks: &mut Looks, flushes: usize, is_something: bool) -> Vec<bool> {
        let mut flush = |_| {
            let is_due = looks.is_due();
            if is_due {
                looks.found(is_something);
            }
            is_due
        };
        (0..flushes).map(&mut flush).collect()
    }

    #[test]
    fn a_program_that_always_stores_is_looked_at_ever_less() {
        let seen = looks(&mut Looks::default(), 2000, true);
        let pauses: Vec<usize> =
            seen.split(|looked| *looked).map(<[bool]>::len).filter(|&skips| skips > 0).collect();
        assert_eq!(pauses[..5], [1, 4, 16, 64, 64]);
        assert!(seen.iter().filter(|looked| **looked).count() <= 2 * 2000 / 64 + 8);
    }

    #[test]
    fn one_that_flushes_nothing_is_looked_at_every_time() {
        assert!(looks(&mut Looks::default(), 100, false).iter().all(|looked| *looked));
    }

    #[test]
    fn the_first_look_after_a_pause_is_not_believed() {
        let mut state = Looks::default();
        looks(&mut state, 30, true);
        while state.skips_left > 0 {
            assert!(!state.is_due());
        }
        assert!(state.is_due());
        // What was flushed during the pause is found once more.
        state.found(true);
        assert!(state.is_due(), "the next makes sure");
        state.found(false);
        assert!(looks(&mut state, 50, false).iter().all(|looked| *looked));
    }

    #[test]
    fn stores_before_some_flushes_only_leave_the_others_cheap() {
        let mut state = Looks::default();
        let mut looked = 0;
        for flush in 0..400 {
            if state.is_due() {
                // One store, then three flushes of nothing.
                state.found(flush % 4 == 0);
                looked += 1;
            }
        }
        assert!(looked > 300, "{looked} of 400");
    }
}
