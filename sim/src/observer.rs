//! What a passive marker observer sees of a reader, and when.
//!
//! It sees pages appear in the page table that no helper has put there: the marker blocks left out
//! of windows, and whatever faults outside of all windows. A fault inside a window (the reader was
//! faster than the helper) looks like the helper's own doing, and is not seen.

use mmap_ahead::page::{Nanos, PageCount, PageIndex, PageRange};
use mmap_ahead::policy::Window;

use crate::kernel::Bits;

#[derive(Clone, Debug)]
pub(crate) struct MarkerObserver {
    block: PageCount,
    look_period: Nanos,
    /// For each page: is it in a window that was carried out?
    covered: Bits,
    armed: Vec<PageRange>,
    /// Where something appeared since the last look.
    seen: Vec<PageRange>,
    false_markers: u64,
}

impl MarkerObserver {
    /// An observer of `pages` that looks every `look_period`; a marker is a block of `block` pages.
    pub(crate) fn new(pages: PageCount, block: PageCount, look_period: Nanos) -> MarkerObserver {
        MarkerObserver {
            block,
            look_period: look_period.max(Nanos(1)),
            covered: Bits::new(pages.0),
            armed: Vec::new(),
            seen: Vec::new(),
            false_markers: 0,
        }
    }

    /// The pages to leave out of `window`: the block around its trigger.
    pub(crate) fn marker_of(&self, window: &Window) -> Option<PageRange> {
        let trigger = window.trigger.filter(|page| window.range.contains(*page))?;
        Some(block_of(trigger, self.block).intersect(window.range))
    }

    /// A helper begins to map `window`; an older marker inside it says nothing any more.
    pub(crate) fn cover(&mut self, window: PageRange) {
        self.covered.set_range(window.start.0, window.end.0);
        let before = self.armed.len();
        self.armed.retain(|marker| marker.intersect(window).is_empty());
        self.false_markers += (before - self.armed.len()) as u64;
    }

    /// The window around `marker` is mapped: watches for the marker from now on, or, when it is
    /// present already, counts it as false (TRAPS 1).
    pub(crate) fn arm(&mut self, marker: PageRange, is_present: bool) {
        if is_present {
            self.false_markers += 1;
        } else {
            self.armed.push(marker);
        }
    }

    /// A reader faulted on `page` at `now`, and `block` around it may be mapped since. Returns when
    /// the observer looks next, when it would not have without this.
    pub(crate) fn fault(&mut self, page: PageIndex, block: PageRange, now: Nanos) -> Option<Nanos> {
        let hit = self.armed.iter().position(|marker| marker.contains(page));
        if hit.is_none() && self.covered.get(page.0) {
            return None;
        }
        if let Some(marker) = hit {
            self.armed.swap_remove(marker);
        }
        let is_first = self.seen.is_empty();
        self.seen.push(block);
        let period = self.look_period.0;
        is_first.then(|| Nanos((now.0 / period).saturating_add(1).saturating_mul(period)))
    }

    /// What a look finds: disjoint ranges that ascend, in no order of time (TRAPS 4). `mapped` adds
    /// the mapped runs of a range.
    pub(crate) fn look(
        &mut self,
        mapped: impl Fn(PageRange, &mut Vec<PageRange>),
    ) -> Vec<PageRange> {
        let mut seen = std::mem::take(&mut self.seen);
        seen.sort_unstable_by_key(|range| range.start);
        let mut found = Vec::with_capacity(seen.len());
        seen.iter().for_each(|range| mapped(*range, &mut found));
        let mut merged: Vec<PageRange> = Vec::with_capacity(found.len());
        for range in found {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged
    }

    /// Markers that were mapped before anyone could watch them.
    pub(crate) fn false_markers(&self) -> u64 {
        self.false_markers
    }
}

/// The aligned block of `size` pages that holds `page`.
pub(crate) fn block_of(page: PageIndex, size: PageCount) -> PageRange {
    let size = size.0.max(1);
    PageRange::at(PageIndex(page.0 / size * size), PageCount(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(start: u64, end: u64) -> PageRange {
        PageRange::new(PageIndex(start), PageIndex(end))
    }

    fn observer() -> MarkerObserver {
        MarkerObserver::new(PageCount(256), PageCount(16), Nanos(100))
    }

    fn look(observer: &mut MarkerObserver) -> Vec<PageRange> {
        observer.look(|range, out| out.push(range))
    }

    /// Does a look after this fault find it?
    fn reports(observer: &mut MarkerObserver, page: u64) -> bool {
        let block = block_of(PageIndex(page), PageCount(16));
        observer.fault(PageIndex(page), block, Nanos(0));
        !look(observer).is_empty()
    }

    #[test]
    fn markers_and_pages_outside_windows_are_seen_and_nothing_else() {
        let mut observer = observer();
        let window = Window { range: pages(32, 96), trigger: Some(PageIndex(50)) };
        let marker = observer.marker_of(&window).unwrap();
        assert_eq!(marker, pages(48, 64));
        observer.cover(window.range);
        observer.arm(marker, false);
        assert!(reports(&mut observer, 10), "outside of all windows");
        assert!(!reports(&mut observer, 80), "in a window, not its marker");
        assert!(reports(&mut observer, 63), "the marker");
        assert!(!reports(&mut observer, 63), "only once");
    }

    #[test]
    fn a_marker_that_is_present_already_is_false() {
        let mut observer = observer();
        observer.cover(pages(0, 64));
        observer.arm(pages(0, 16), true);
        assert!(!reports(&mut observer, 3));
        observer.arm(pages(16, 32), false);
        observer.cover(pages(30, 40));
        assert!(!reports(&mut observer, 20), "mapped over");
        assert_eq!(observer.false_markers(), 2);
    }

    #[test]
    fn a_look_comes_at_the_end_of_the_period_and_finds_a_set() {
        let mut observer = observer();
        let fault = |observer: &mut MarkerObserver, start, end, now| {
            observer.fault(PageIndex(start), pages(start, end), Nanos(now))
        };
        assert_eq!(fault(&mut observer, 32, 48, 250), Some(Nanos(300)));
        assert_eq!(fault(&mut observer, 0, 16, 280), None, "it looks at 300 anyway");
        fault(&mut observer, 16, 32, 290);
        fault(&mut observer, 64, 80, 299);
        assert_eq!(look(&mut observer), [pages(0, 48), pages(64, 80)]);
        assert_eq!(look(&mut observer), []);
    }

    #[test]
    fn the_marker_block_stays_inside_its_window() {
        let window = Window { range: pages(20, 30), trigger: Some(PageIndex(20)) };
        assert_eq!(observer().marker_of(&window), Some(pages(20, 30)));
        let clipped = Window { range: pages(20, 30), trigger: Some(PageIndex(35)) };
        assert_eq!(observer().marker_of(&clipped), None);
    }
}
