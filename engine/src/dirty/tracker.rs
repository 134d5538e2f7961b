use std::io;
use std::sync::Arc;

use super::watch::Watch;
use super::{DirtyPages, Mechanism};

/// Tells which pages of a mapping were stored to since it was last asked.
///
/// Made by [`MmapMut::track_stores`](crate::MmapMut::track_stores). Several may ask about the same mapping:
/// each has its own "since last time". It does not keep the mapping alive. Dropping the last of them ends the
/// tracking; when [`flush_dirty`](crate::MmapMut::flush_dirty) has asked as well, its next call does.
///
/// What counts is a store through *this* mapping, by the program or by the kernel on its behalf, as read(2)
/// into it. Not seen: stores through another mapping of the same file, write(2) to it, stores of a forked
/// child. Too much may be told, never too little: pages made ready by
/// [`write_ahead`](crate::MmapOptions::write_ahead) or by
/// [`Advice::PopulateWrite`](crate::Advice::PopulateWrite), pages that
/// [`grow`](crate::MmapMut::grow) added, whole windows with [`Mechanism::Signal`].
///
/// ```
/// use mmap_ahead::MmapMut;
///
/// let mut map = MmapMut::map_anon(1 << 20)?;
/// # if map.track_stores().is_err() { return Ok(()) } // No mechanism here.
/// let tracker = map.track_stores()?;
/// map[300_000] = 1;
/// let dirty = tracker.take()?;
/// assert!(dirty.ranges().iter().any(|range| range.contains(&300_000)));
/// assert!(tracker.take()?.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct DirtyTracker {
    watch: Arc<Watch>,
    id: u64,
}

impl DirtyTracker {
    pub(super) fn join(watch: &Arc<Watch>) -> io::Result<DirtyTracker> {
        let id = watch.join()?;
        Ok(DirtyTracker { watch: Arc::clone(watch), id })
    }

    /// The pages that were stored to since the last call, or since it was made.
    ///
    /// A store that happened before the call is told of; one that happens during it, now or the next
    /// time: whoever copies the pages after the call has it in either case. It costs a look at each page's
    /// entry in the page table, about 0.5 ms a GiB, and with [`Mechanism::Signal`] one mprotect(2).
    ///
    /// # Errors
    /// `Unsupported` when the mapping is gone or was made read-only, when the kernel would not go on
    /// tracking after [`grow`](crate::MmapMut::grow), and in a forked child; those of the mechanism's system calls, ENOMEM above all. What was
    /// found until then is told of the next time.
    pub fn take(&self) -> io::Result<DirtyPages> {
        self.watch.take(self.id)
    }

    /// How stores are noticed.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        self.watch.mechanism()
    }

    /// How finely. Unit: bytes, a power of two; a page, or more with [`Mechanism::Signal`].
    #[must_use]
    pub fn granule(&self) -> usize {
        self.watch.granule()
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Whether nobody else asks.
    pub(super) fn is_alone(&self) -> bool {
        self.watch.is_asked_by_one()
    }

    pub(super) fn give_back(&self, pages: &DirtyPages) {
        self.watch.give_back(self.id, pages);
    }
}

impl Drop for DirtyTracker {
    fn drop(&mut self) {
        self.watch.leave(self.id);
    }
}
