use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Where an explicit prefetch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PrefetchState {
    /// Waiting or under way.
    Pending,
    /// Carried out, as far as the budget and the kernel allowed: see [`Prefetch::bytes`].
    Done,
    /// Stopped by [`Prefetch::cancel`] or because the mapping went away.
    Cancelled,
    /// Turned away: the mapping is [`Mode::Off`](crate::Mode::Off), or too many were waiting.
    Refused,
}

/// A prefetch that was asked for. Dropping it lets the prefetch run on.
#[derive(Clone, Debug)]
pub struct Prefetch {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    bytes: AtomicU64,
}

impl Prefetch {
    pub(crate) fn new(state: PrefetchState) -> Prefetch {
        let state = AtomicU8::new(state as u8);
        Prefetch { shared: Arc::new(Shared { state, bytes: AtomicU64::new(0) }) }
    }

    /// Where it stands now.
    #[must_use]
    pub fn state(&self) -> PrefetchState {
        match self.shared.state.load(Ordering::Acquire) {
            0 => PrefetchState::Pending,
            1 => PrefetchState::Done,
            2 => PrefetchState::Cancelled,
            _ => PrefetchState::Refused,
        }
    }

    /// How many bytes were fetched so far, in whole pages.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Stops it: nothing more is started. The call that is in flight (at most 2 MiB) ends by itself.
    pub fn cancel(&self) {
        self.finish(PrefetchState::Cancelled);
    }

    /// Moves from Pending to `state`; the first to do so decides.
    pub(crate) fn finish(&self, state: PrefetchState) {
        let pending = PrefetchState::Pending as u8;
        let to = state as u8;
        let _ =
            self.shared.state.compare_exchange(pending, to, Ordering::AcqRel, Ordering::Acquire);
    }

    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}
