//! Leaving a stream alone whose pages turn out to be in memory.

/// Fetches in a row that found all in memory, after which a stream is left alone for a while.
const RESIDENT_MAX: u32 = 8;
/// How many steps it is left alone at first and at most.
const STEPS_FIRST: u64 = 64;
const STEPS_MAX: u64 = 4096;

/// Whether a stream rests. Warm and cold parts of a file may follow each other: a rest ends, and one
/// step is tried; a step that had to be read ends all rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    resident: u32,
    left: u64,
    next: u64,
}

impl Default for Rest {
    fn default() -> Rest {
        Rest { resident: 0, left: 0, next: STEPS_FIRST }
    }
}

impl Rest {
    /// A fetch found its pages in memory.
    pub(super) fn found_resident(&mut self) {
        self.resident += 1;
        if self.resident >= RESIDENT_MAX {
            // After a rest one step decides.
            self.resident = RESIDENT_MAX - 1;
            self.left = self.next;
            self.next = (self.next * 2).min(STEPS_MAX);
        }
    }

    /// A fetch had to be started.
    pub(super) fn found_absent(&mut self) {
        *self = Rest::default();
    }

    /// The reader went on by `steps`; whether nothing is planned for it now.
    pub(super) fn rests_for(&mut self, steps: u64) -> bool {
        self.left = self.left.saturating_sub(steps);
        self.left > 0
    }

    /// Whether no more than one step is to be tried.
    pub(super) fn is_trying(&self) -> bool {
        self.next > STEPS_FIRST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_while_all_is_in_memory_and_end_when_it_is_not() {
        let mut rest = Rest::default();
        (0..7).for_each(|_| rest.found_resident());
        assert!(!rest.rests_for(0) && !rest.is_trying());
        rest.found_resident();
        assert!(rest.rests_for(63) && rest.is_trying());
        assert!(!rest.rests_for(1));
        rest.found_resident();
        assert!(rest.rests_for(127) && !rest.rests_for(1));
        rest.found_absent();
        assert!(!rest.is_trying());
    }
}
