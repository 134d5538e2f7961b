//! The only clock of a run: nanoseconds since it began.

use mmap_ahead::page::Nanos;

/// A clock that only goes forwards, and only when told to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    now: Nanos,
}

impl Clock {
    pub(crate) fn now(self) -> Nanos {
        self.now
    }

    /// Lets `span` pass.
    pub(crate) fn pass(&mut self, span: Nanos) {
        self.now = after(self.now, span);
    }

    /// Goes on to `moment`; stays where it is when that is past.
    pub(crate) fn wait_until(&mut self, moment: Nanos) {
        self.now = self.now.max(moment);
    }
}

/// The moment `span` after `moment`; stops at the end of time (584 years).
pub(crate) fn after(moment: Nanos, span: Nanos) -> Nanos {
    Nanos(moment.0.saturating_add(span.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back() {
        let mut clock = Clock::default();
        clock.pass(Nanos(7));
        clock.wait_until(Nanos(5));
        assert_eq!(clock.now(), Nanos(7));
        clock.wait_until(Nanos(9));
        assert_eq!(clock.now(), Nanos(9));
        clock.pass(Nanos(u64::MAX));
        assert_eq!(clock.now(), Nanos(u64::MAX));
    }
}
