//! What is where: the file in slots of one frame each, and what each slot holds.

use std::collections::HashMap;

use crate::page::{PageCount, PageIndex, PageRange, PageSize};
use crate::sys::FRAME_LEN;

/// The number of a slot: the file in pieces of one frame.
pub(super) type SlotIndex = u64;
/// Which of the pool's frames.
pub(super) type FrameIndex = usize;

/// Pages of a slot are counted in bits: as many as a frame has pages of 4 KiB.
const WORDS: usize = FRAME_LEN / 4096 / 64;

/// What a slot that is not empty is made of. It stays so until it is empty again.
#[derive(Debug)]
pub(super) enum Slot {
    Large(Large),
    Small(Box<Small>),
}

/// One frame.
#[derive(Debug)]
pub(super) struct Large {
    pub(super) frame: FrameIndex,
    pub(super) state: LargeState,
    /// When it last changed place: entries of the queue with an older number are void.
    pub(super) stamp: u64,
}

#[derive(Debug)]
pub(super) enum LargeState {
    /// The disk has the frame; these pages are waited for.
    Reading { wanted: Vec<PageIndex>, on_arrival: Arrival },
    /// Full, and not under the reader yet.
    Parked,
    /// Under the reader.
    Mapped,
    /// Taken back from behind the reader, and not used for anything else yet.
    Spent,
}

/// What happens to pages when the disk has brought them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// They are mapped.
    Map,
    /// They wait for a touch, which the policy wants to hear of.
    Park,
}

/// Pages one by one, read in units.
#[derive(Debug)]
pub(super) struct Small {
    /// How many pages a touch reads.
    pub(super) unit: PageCount,
    pub(super) mapped: Pages,
    pub(super) reading: Pages,
    /// Pages that somebody waits for.
    pub(super) wanted: Pages,
}

impl Small {
    pub(super) fn new(unit: PageCount) -> Small {
        let none = Pages::default();
        Small { unit, mapped: none, reading: none, wanted: none }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.mapped.is_empty() && self.reading.is_empty() && self.wanted.is_empty()
    }
}

/// Which pages of one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pages([u64; WORDS]);

impl Pages {
    pub(super) fn contains(&self, page: u64) -> bool {
        self.0[(page / 64) as usize] >> (page % 64) & 1 != 0
    }

    pub(super) fn set(&mut self, pages: std::ops::Range<u64>) {
        pages.for_each(|page| self.0[(page / 64) as usize] |= 1 << (page % 64));
    }

    pub(super) fn clear(&mut self, pages: std::ops::Range<u64>) {
        pages.for_each(|page| self.0[(page / 64) as usize] &= !(1 << (page % 64)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    /// Those of `pages` that are set, in runs.
    pub(super) fn runs(&self, pages: std::ops::Range<u64>) -> Vec<std::ops::Range<u64>> {
        let mut runs: Vec<std::ops::Range<u64>> = Vec::new();
        for page in pages.filter(|&page| self.contains(page)) {
            match runs.last_mut() {
                Some(run) if run.end == page => run.end += 1,
                _ => runs.push(page..page + 1),
            }
        }
        runs
    }

    pub(super) fn any(&self, mut pages: std::ops::Range<u64>) -> bool {
        pages.any(|page| self.contains(page))
    }
}

/// The shape of the file: bytes, pages, slots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) len: u64,
    pub(super) page_size: PageSize,
}

impl Shape {
    pub(super) fn pages(&self) -> PageRange {
        PageRange::at(PageIndex(0), self.page_size.pages_for(crate::page::ByteLen(self.len)))
    }

    pub(super) fn slots(&self) -> u64 {
        self.len.div_ceil(FRAME_LEN as u64)
    }

    pub(super) fn pages_per_slot(&self) -> PageCount {
        PageCount(FRAME_LEN as u64 / self.page_size.bytes())
    }

    pub(super) fn slot_of(&self, page: PageIndex) -> SlotIndex {
        page.0 / self.pages_per_slot().0
    }

    /// The pages of `slot`, cut to the file.
    pub(super) fn pages_of(&self, slot: SlotIndex) -> PageRange {
        let count = self.pages_per_slot();
        PageRange::at(PageIndex(slot * count.0), count).intersect(self.pages())
    }

    /// The place of `range`, which lies in `slot`, among the pages of the slot.
    pub(super) fn within(&self, slot: SlotIndex, range: PageRange) -> std::ops::Range<u64> {
        let first = slot * self.pages_per_slot().0;
        range.start.0 - first..range.end.0 - first
    }

    /// The unit of `unit` pages, a power of two, that holds `page`, cut to the file.
    pub(super) fn unit_of(&self, page: PageIndex, unit: PageCount) -> PageRange {
        PageRange::at(PageIndex(page.0 / unit.0 * unit.0), unit).intersect(self.pages())
    }

    pub(super) fn offset(&self, page: PageIndex) -> u64 {
        self.page_size.offset_of(page)
    }

    /// How many bytes of the file `range` holds: whole pages but for the last one of the file.
    pub(super) fn bytes_of(&self, range: PageRange) -> usize {
        (self.offset(range.end).min(self.len) - self.offset(range.start)) as usize
    }
}

/// All slots that are not empty. Bounded by the memory limit, not by the file.
pub(super) type Slots = HashMap<SlotIndex, Slot>;

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { len: (5 << 20) + 1, page_size: PageSize::FOUR_KIB };

    #[test]
    fn the_last_slot_and_the_last_page_are_cut_to_the_file() {
        assert_eq!(SHAPE.slots(), 3);
        let last = SHAPE.pages_of(2);
        assert_eq!((last.start, last.end), (PageIndex(1024), PageIndex(1281)));
        assert_eq!(SHAPE.bytes_of(last), (1 << 20) + 1);
        let unit = SHAPE.unit_of(PageIndex(1280), PageCount(16));
        assert_eq!((unit.start.0, unit.end.0, SHAPE.bytes_of(unit)), (1280, 1281, 1));
        assert_eq!(SHAPE.within(2, unit), 256..257);
        assert_eq!(SHAPE.slot_of(PageIndex(1023)), 1);
    }

    #[test]
    fn pages_are_set_and_cleared_one_by_one() {
        let mut pages = Pages::default();
        pages.set(60..70);
        assert!(pages.contains(63) && pages.contains(64) && !pages.contains(70));
        assert!(pages.any(0..61) && !pages.any(0..60));
        pages.clear(62..64);
        assert_eq!(pages.runs(0..69), [60..62, 64..69]);
        pages.clear(60..70);
        assert!(pages.is_empty());
        assert!(!pages.contains(511));
    }
}
