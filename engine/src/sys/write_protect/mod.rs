//! Noticing stores to a mapping: its pages are write-protected, and the first store to each leaves a mark.
//!
//! Three ways behind one type. [`Marked`]: the kernel lifts the protection by itself and remembers it in
//! the page table (userfaultfd with WP_ASYNC, PAGEMAP_SCAN). [`Served`]: a thread of ours is told of each
//! first store and lifts it (userfaultfd). `Signal`: the SIGSEGV handler does ([`super::trip`]).

mod marked;
mod protector;
mod served;

use std::io;
use std::ops::Range;

use super::trip::{TripSlot, watch_stores};
use super::{Span, page_size};
use crate::dirty::Mechanism;
use marked::Marked;
use served::Served;

/// A mapping whose stores are noticed. Dropping it ends that; nothing touches the mapping afterwards.
#[derive(Debug)]
pub(crate) enum StoreWatch {
    Marked(Marked),
    Served(Served),
    Signal(TripSlot),
}

impl StoreWatch {
    /// Watches `span`, a live mapping that stays as it is until this is dropped.
    ///
    /// # Errors
    /// What the kernel says when it cannot, or this user may not.
    pub(crate) fn start(span: Span, mechanism: Mechanism) -> io::Result<StoreWatch> {
        match mechanism {
            Mechanism::Marked => Marked::start(span).map(StoreWatch::Marked),
            Mechanism::Served => Served::start(span).map(StoreWatch::Served),
            Mechanism::Signal => watch_stores(span).map(StoreWatch::Signal),
        }
    }

    /// The bytes that one mark stands for: a page, or more with `Signal`.
    pub(crate) fn granule(&self) -> usize {
        match self {
            StoreWatch::Marked(_) | StoreWatch::Served(_) => page_size().bytes() as usize,
            StoreWatch::Signal(slot) => slot.granule(),
        }
    }

    /// Calls `found` with what was stored to since the last time, as byte offsets from the start of the
    /// span in whole granules, ascending, and has the next store there noticed.
    ///
    /// A store that happened before the call is never missed, one that happens during it is told of now
    /// or the next time.
    pub(crate) fn take(&self, mut found: impl FnMut(Range<usize>)) -> io::Result<()> {
        match self {
            StoreWatch::Marked(marked) => marked.take(found),
            StoreWatch::Served(served) => served.take(found),
            StoreWatch::Signal(slot) => slot.take_stored(&mut found),
        }
    }
}

impl Drop for StoreWatch {
    fn drop(&mut self) {
        if let StoreWatch::Signal(slot) = self {
            // Otherwise a store to a closed window would kill from now on. It fails only when the
            // mapping is gone already.
            let _ = slot.open_all();
        }
    }
}
