//! The touches that nobody claimed lately, found by page.

use crate::page::{PageCount, PageIndex, PageRange};

/// How many: four touches of each of 64 streams.
pub(super) const RECENT_MAX: usize = 256;
const BUCKETS: usize = 256;
const NONE: u16 = u16::MAX;

/// A ring of touches with an index over where they begin. Allocates nothing.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    touches: [PageRange; RECENT_MAX],
    /// The next one in the same bucket.
    links: [u16; RECENT_MAX],
    buckets: [u16; BUCKETS],
    next: usize,
    len: usize,
}

impl Recent {
    pub(crate) fn new() -> Recent {
        Recent {
            touches: [PageRange::default(); RECENT_MAX],
            links: [NONE; RECENT_MAX],
            buckets: [NONE; BUCKETS],
            next: 0,
            len: 0,
        }
    }

    /// Remembers `touched` in place of the oldest.
    pub(crate) fn push(&mut self, touched: PageRange) {
        let place = self.next;
        if self.len == RECENT_MAX {
            self.unlink(place);
        } else {
            self.len += 1;
        }
        let bucket = bucket_of(touched.start);
        self.touches[place] = touched;
        self.links[place] = self.buckets[bucket];
        self.buckets[bucket] = place as u16;
        self.next = (place + 1) % RECENT_MAX;
    }

    /// All of them, the newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = PageRange> {
        // Before it is full the places from `next` on are empty.
        let (newer, older) = self.touches[..self.len].split_at(self.next.min(self.len));
        newer.iter().rev().chain(older.iter().rev()).copied()
    }

    /// Whether any may begin within `reach` of `page`: without branches, so that it is quick where none does.
    pub(crate) fn any_within(&self, page: PageIndex, reach: PageCount) -> bool {
        let low = page.0.saturating_sub(reach.0);
        let within = |touched: &PageRange| touched.start.0.wrapping_sub(low) <= 2 * reach.0;
        self.touches.iter().fold(false, |any, touched| any | within(touched))
    }

    /// Where a touch begins that is `distance` pages from `page`: exactly, or else by `slack` (none or
    /// one) pages more or less.
    pub(crate) fn find_near(
        &self,
        page: PageIndex,
        distance: i64,
        slack: PageCount,
    ) -> Option<PageIndex> {
        let at = page.0.checked_add_signed(distance)?;
        let off = |at: Option<u64>| at.filter(|_| slack.0 > 0);
        let near = [Some(at), off(at.checked_sub(1)), off(at.checked_add(1))];
        near.into_iter().flatten().map(PageIndex).find(|&page| self.has(page))
    }

    fn has(&self, page: PageIndex) -> bool {
        let mut place = self.buckets[bucket_of(page)];
        while place != NONE {
            if self.touches[place as usize].start == page {
                return true;
            }
            place = self.links[place as usize];
        }
        false
    }

    fn unlink(&mut self, place: usize) {
        let bucket = bucket_of(self.touches[place].start);
        let after = self.links[place];
        if self.buckets[bucket] == place as u16 {
            self.buckets[bucket] = after;
            return;
        }
        let mut before = self.buckets[bucket];
        while before != NONE && self.links[before as usize] != place as u16 {
            before = self.links[before as usize];
        }
        if before != NONE {
            self.links[before as usize] = after;
        }
    }
}

/// Fibonacci hashing: steps of a power of two spread as well as any.
fn bucket_of(page: PageIndex) -> usize {
    (page.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BUCKETS.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_the_others_found() {
        let mut recent = Recent::new();
        for step in 0..1000 {
            recent.push(PageRange::at(PageIndex(step * 32), PageCount(1)));
        }
        assert_eq!(
            recent.find_near(PageIndex(999 * 32), 0, PageCount(0)),
            Some(PageIndex(999 * 32))
        );
        let oldest = (1000 - RECENT_MAX as u64) * 32;
        assert_eq!(
            recent.find_near(PageIndex(oldest + 33), -32, PageCount(1)),
            Some(PageIndex(oldest))
        );
        assert_eq!(recent.find_near(PageIndex(oldest), -32, PageCount(1)), None);
        assert_eq!(recent.newest_first().count(), RECENT_MAX);
        assert_eq!(recent.newest_first().next().map(|r| r.start), Some(PageIndex(999 * 32)));
    }
}
