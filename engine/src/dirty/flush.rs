use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::looks::Looks;
use super::{DirtyPages, DirtyTracker, Tied};
use crate::sys::start_writing;

/// Looking for what was stored to is worth it when it takes at most this part of what a flush takes, where the
/// device works meanwhile, and where it waits. Measured on ext4: with a quarter for the first, a flush of one
/// page of 1 GiB was 4% slower than msync; with these none was slower.
const LOOK_PART_BESIDE_DEVICE: u32 = 10;
const LOOK_PART_BEFORE_DEVICE: u32 = 50;

/// What [`MmapMut::flush_dirty`](crate::MmapMut::flush_dirty) found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flushed {
    /// Where the program stored, in whole pages; `None` when nobody looked: because nobody
    /// [tracks](crate::MmapMut::track_stores) stores, because looking would have taken longer than it saves, or
    /// because the last flushes all found something (up to 64 in a row are then without a look). An upper
    /// bound then the next time. Whoever wants to know each time asks a tracker.
    ///
    /// It is not what the device had to write: the kernel writes whole folios, up to 2 MiB each on ext4
    /// and xfs. [`MmapMut::unwritten_bytes`](crate::MmapMut::unwritten_bytes) tells.
    pub stored: Option<DirtyPages>,
    /// Whether the disk was asked at all: not when nothing was stored.
    pub is_synced: bool,
}

/// What is known from flush to flush.
#[derive(Debug)]
pub(super) struct Flusher {
    tracker: Option<DirtyTracker>,
    looks: Looks,
    /// Whether there may be something to write of which the tracker does not know.
    must_flush: bool,
    /// How long the last one took that asked the disk.
    took: Option<Duration>,
}

impl Default for Flusher {
    fn default() -> Flusher {
        let (tracker, looks) = (None, Looks::default());
        Flusher { tracker, looks, must_flush: true, took: None }
    }
}

impl Flusher {
    /// The next flush asks the disk, also when nothing was stored.
    pub(super) fn must_flush(&mut self) {
        self.must_flush = true;
    }

    /// Whether a tracker tells it what was stored to.
    fn is_told(&self) -> bool {
        self.tracker.is_some()
    }

    /// Whether looking for what was stored to is worth it now.
    fn is_look_due(&mut self, beside_device: bool) -> bool {
        let Some(tracker) = &self.tracker else { return false };
        if !self.looks.is_due() {
            return false;
        }
        let part = if beside_device { LOOK_PART_BESIDE_DEVICE } else { LOOK_PART_BEFORE_DEVICE };
        let is_short = self.took.is_some_and(|took| tracker.watch().expected() * part <= took);
        if !is_short {
            self.looks.left_out();
        }
        is_short
    }

    /// What was stored to. An error is no reason not to flush.
    fn look(&mut self) -> Option<DirtyPages> {
        let stored = self.tracker.as_ref()?.take().ok();
        match &stored {
            Some(stored) => self.looks.found(!stored.is_empty()),
            None => self.looks.left_out(),
        }
        stored
    }
}

impl Tied {
    /// Has on the disk what was stored to `map`, `file_range` of its file.
    pub(crate) fn flush_dirty(
        &mut self,
        map: &memmap2::MmapMut,
        file_range: &Range<u64>,
    ) -> io::Result<Flushed> {
        self.attend();
        if !self.flusher.is_told() {
            // Nothing is known and nothing will be: a flush, and not an instruction more.
            return self.sync(map, None).map(|()| Flushed { stored: None, is_synced: true });
        }
        let begun = Instant::now();
        let stored = match self.flusher.is_look_due(self.file().is_some()) {
            true => {
                // The device works while the page table is looked through. What fails now is told below.
                let _ = self.file().map(|file| start_writing(file, file_range));
                self.flusher.look()
            }
            false => None,
        };
        let nothing = stored.as_ref().is_some_and(DirtyPages::is_empty);
        if nothing && !self.flusher.must_flush {
            return Ok(Flushed { stored, is_synced: false });
        }
        if let Err(error) = self.sync(map, stored.as_ref()) {
            // Nobody may think afterwards that it is on the disk.
            self.flusher.must_flush = true;
            if let (Some(tracker), Some(stored)) = (&self.flusher.tracker, &stored) {
                tracker.give_back(stored);
            }
            return Err(error);
        }
        self.flusher.must_flush = false;
        self.flusher.took = Some(begun.elapsed());
        Ok(Flushed { stored, is_synced: true })
    }

    /// Has an own "since last time" where somebody tracks stores, as long as anybody else does. Of itself it
    /// tracks nothing: on ext4 1% of the pages stored to and flushed took 7% longer when they were tracked,
    /// looked for or not, and what it can save is a flush of nothing, 40 us.
    fn attend(&mut self) {
        let is_left = |tracker: &DirtyTracker| tracker.is_alone() || tracker.watch().is_over();
        if self.flusher.tracker.as_ref().is_some_and(is_left) {
            self.flusher.tracker = None;
        }
        if let (None, Some(watch)) = (&self.flusher.tracker, self.watched()) {
            let joined = DirtyTracker::join(watch).ok();
            // Of what was stored before nobody knows.
            self.flusher =
                Flusher { tracker: joined, took: self.flusher.took, ..Flusher::default() };
        }
    }

    fn sync(&self, map: &memmap2::MmapMut, stored: Option<&DirtyPages>) -> io::Result<()> {
        if let Some(file) = self.file() {
            return file.sync_data();
        }
        let ranges = stored.map_or(&[][..], DirtyPages::ranges);
        match (ranges.first(), ranges.last()) {
            (Some(first), Some(last)) if !self.flusher.must_flush => {
                map.flush_range(first.start, last.end - first.start)
            }
            _ => map.flush(),
        }
    }
}
