//! What is where: the file in slots of 2 MiB, and what each holds. The engine's `paged/slots.rs`.

use std::collections::VecDeque;

use mmap_ahead::page::{PageCount, PageIndex, PageRange};

use crate::kernel::Bits;

/// The pages of a frame, and of a slot: 2 MiB.
pub(super) const SLOT_PAGES: PageCount = PageCount(512);

/// What a slot that is not empty is made of. It stays so until it is empty again.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    /// One frame. Entries of queues with another stamp are void.
    Large { state: Large, stamp: u64 },
    /// Pages one by one.
    Small(Small),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Large {
    /// The disk has the frame.
    Reading { is_wanted: bool, arrival: Arrival },
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

/// By the page's place in its slot.
#[derive(Clone, Debug)]
pub(super) struct Small {
    pub(super) mapped: Bits,
    pub(super) reading: Bits,
}

impl Small {
    pub(super) fn new() -> Small {
        let none = || Bits::new(SLOT_PAGES.0);
        Small { mapped: none(), reading: none() }
    }

    pub(super) fn has(&self, from: u64, to: u64) -> bool {
        self.mapped.any(from, to) || self.reading.any(from, to)
    }
}

/// The slot of `page`.
pub(super) fn slot_of(page: PageIndex) -> u64 {
    page.0 / SLOT_PAGES.0
}

/// Where `range`, which lies in one slot, lies in it.
pub(super) fn within(range: PageRange) -> (u64, u64) {
    let from = range.start.0 % SLOT_PAGES.0;
    (from, from + range.count().0)
}

/// The memory: whole frames, and those that are taken apart for small pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frames {
    pub(super) count: u64,
    /// Without memory of their own: what small pages may fill.
    bare: u64,
    /// Populated and unused.
    free: u64,
    /// Small pages under the reader or on their way there.
    small: u64,
}

/// How a frame was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claimed {
    /// It was used before.
    Again,
    /// It was allocated, and so zeroed.
    Fresh,
}

impl Frames {
    pub(super) fn new(count: u64) -> Frames {
        Frames { count, bare: count, free: 0, small: 0 }
    }

    pub(super) fn whole(&self) -> u64 {
        self.count - self.bare
    }

    pub(super) fn small_frames(&self) -> u64 {
        self.small.div_ceil(SLOT_PAGES.0)
    }

    pub(super) fn small_room(&self) -> PageCount {
        PageCount((self.bare * SLOT_PAGES.0).saturating_sub(self.small))
    }

    pub(super) fn reserve_small(&mut self, pages: PageCount) {
        self.small += pages.0;
    }

    pub(super) fn return_small(&mut self, pages: PageCount) {
        self.small -= pages.0;
    }

    pub(super) fn claim(&mut self) -> Option<Claimed> {
        if self.free > 0 {
            self.free -= 1;
            return Some(Claimed::Again);
        }
        if self.whole() + self.small_frames() >= self.count {
            return None;
        }
        self.bare -= 1;
        Some(Claimed::Fresh)
    }

    pub(super) fn release(&mut self) {
        self.free += 1;
    }

    /// Gives an unused frame to the small pages. False when there is none.
    pub(super) fn take_apart(&mut self) -> bool {
        let can = self.free > 0;
        self.free -= u64::from(can);
        self.bare += u64::from(can);
        can
    }
}

/// Pages that were taken away a moment ago: they come back without I/O. The oldest are forgotten first.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pages: VecDeque<PageIndex>,
    has: Bits,
    most: usize,
}

impl Held {
    pub(super) fn new(pages: PageCount, most: PageCount) -> Held {
        Held { pages: VecDeque::new(), has: Bits::new(pages.0), most: most.0 as usize }
    }

    pub(super) fn has(&self, page: PageIndex) -> bool {
        self.has.get(page.0)
    }

    pub(super) fn keep(&mut self, page: PageIndex) {
        if self.has.set_range(page.0, page.0 + 1) == 0 {
            return;
        }
        self.pages.push_back(page);
        while self.pages.len() > self.most
            && let Some(oldest) = self.pages.pop_front()
        {
            self.has.clear_range(oldest.0, oldest.0 + 1);
        }
    }

    pub(super) fn forget(&mut self, range: PageRange) {
        if self.has.any(range.start.0, range.end.0) {
            self.has.clear_range(range.start.0, range.end.0);
            self.pages.retain(|page| !range.contains(*page));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_small_pages_share_one_limit() {
        let mut frames = Frames::new(3);
        frames.reserve_small(PageCount(513));
        assert_eq!(frames.claim(), Some(Claimed::Fresh));
        assert_eq!(frames.claim(), None, "two frames are taken apart, one is whole");
        assert_eq!(frames.small_room(), PageCount(511));
        frames.release();
        assert!(frames.take_apart() && !frames.take_apart());
        assert_eq!(frames.small_room(), PageCount(3 * 512 - 513));
    }

    #[test]
    fn what_is_held_longest_is_forgotten_first() {
        let mut held = Held::new(PageCount(9), PageCount(2));
        [3, 5, 3, 7].into_iter().for_each(|page| held.keep(PageIndex(page)));
        assert_eq!([3, 5, 7].map(|page| held.has(PageIndex(page))), [false, true, true]);
        held.forget(PageRange::new(PageIndex(5), PageIndex(6)));
        assert!(!held.has(PageIndex(5)) && held.has(PageIndex(7)));
    }
}
