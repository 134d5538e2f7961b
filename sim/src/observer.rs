//! What a passive marker observer sees of a reader, and when.
//!
//! It sees pages appear in the page table that it has not put there itself: the marker blocks left
//! out of windows, and whatever faults outside of all windows. A fault inside a window (the reader
//! was faster than the worker) looks like the worker's own doing, and is not seen.

use mmap_ahead::page::{Nanos, PageCount, PageIndex, PageRange};
use mmap_ahead::policy::Window;

use crate::clock::after;

#[derive(Clone, Debug)]
pub(crate) struct MarkerObserver {
    block: PageCount,
    poll_ns: Nanos,
    /// For each page: is it in a window that was carried out?
    covered: Vec<bool>,
    armed: Vec<PageRange>,
    /// What appeared since the last look, and when that look is due.
    seen: Vec<PageRange>,
    due: Nanos,
    false_markers: u64,
}

impl MarkerObserver {
    /// An observer of `pages` that looks every `poll_ns`; a marker is a block of `block` pages.
    pub(crate) fn new(pages: PageCount, block: PageCount, poll_ns: Nanos) -> MarkerObserver {
        MarkerObserver {
            block,
            poll_ns: poll_ns.max(Nanos(1)),
            covered: vec![false; pages.0 as usize],
            armed: Vec::new(),
            seen: Vec::new(),
            due: Nanos(0),
            false_markers: 0,
        }
    }

    /// The pages to leave out of `window`: the block around its trigger.
    pub(crate) fn marker_of(&self, window: &Window) -> Option<PageRange> {
        let trigger = window.trigger.filter(|page| window.range.contains(*page))?;
        Some(block_of(trigger, self.block).intersect(window.range))
    }

    /// The worker has begun to map `window`; an older marker inside it says nothing any more.
    pub(crate) fn cover(&mut self, window: PageRange) {
        self.covered[window.start.0 as usize..window.end.0 as usize].fill(true);
        let before = self.armed.len();
        self.armed.retain(|marker| marker.intersect(window).is_empty());
        self.false_markers += (before - self.armed.len()) as u64;
    }

    /// The window around `marker` is mapped: watches for the marker from now on, or, when it is
    /// present already, counts it as false (TRAPS 1).
    pub(crate) fn arm(&mut self, marker: PageRange, is_present: impl Fn(PageRange) -> bool) {
        if is_present(marker) {
            self.false_markers += 1;
        } else {
            self.armed.push(marker);
        }
    }

    /// The reader faulted on `page` at `now`, and the kernel mapped `mapped` around it.
    pub(crate) fn fault(&mut self, page: PageIndex, mapped: &[PageRange], now: Nanos) {
        let hit = self.armed.iter().position(|marker| marker.contains(page));
        if hit.is_none() && self.covered[page.0 as usize] {
            return;
        }
        if let Some(marker) = hit {
            self.armed.remove(marker);
        }
        if self.seen.is_empty() {
            let period = now.0 / self.poll_ns.0 * self.poll_ns.0;
            self.due = after(Nanos(period), self.poll_ns);
        }
        self.seen.extend_from_slice(mapped);
    }

    /// When the next look finds something.
    pub(crate) fn due(&self) -> Option<Nanos> {
        (!self.seen.is_empty()).then_some(self.due)
    }

    /// What that look finds: disjoint ranges that ascend, in no order of time (TRAPS 4).
    pub(crate) fn look(&mut self) -> Vec<PageRange> {
        let mut seen = std::mem::take(&mut self.seen);
        seen.sort_by_key(|range| range.start);
        let mut merged: Vec<PageRange> = Vec::new();
        for range in seen {
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

    /// Does a look after this fault find it?
    fn reports(observer: &mut MarkerObserver, page: u64) -> bool {
        let block = block_of(PageIndex(page), PageCount(16));
        observer.fault(PageIndex(page), &[block], Nanos(0));
        !observer.look().is_empty()
    }

    #[test]
    fn markers_and_pages_outside_windows_are_seen_and_nothing_else() {
        let mut observer = observer();
        let window = Window { range: pages(32, 96), trigger: Some(PageIndex(50)) };
        let marker = observer.marker_of(&window).unwrap();
        assert_eq!(marker, pages(48, 64));
        observer.cover(window.range);
        observer.arm(marker, |_| false);
        assert!(reports(&mut observer, 10), "outside of all windows");
        assert!(!reports(&mut observer, 80), "in a window, not its marker");
        assert!(reports(&mut observer, 63), "the marker");
        assert!(!reports(&mut observer, 63), "only once");
    }

    #[test]
    fn a_marker_that_is_present_already_is_false() {
        let mut observer = observer();
        observer.cover(pages(0, 64));
        observer.arm(pages(0, 16), |_| true);
        assert!(!reports(&mut observer, 3));
        observer.arm(pages(16, 32), |_| false);
        observer.cover(pages(30, 40));
        assert!(!reports(&mut observer, 20), "mapped over");
        assert_eq!(observer.false_markers(), 2);
    }

    #[test]
    fn a_look_comes_at_the_end_of_the_period_and_finds_a_set() {
        let mut observer = observer();
        assert_eq!(observer.due(), None);
        observer.fault(PageIndex(40), &[pages(32, 48)], Nanos(250));
        observer.fault(PageIndex(3), &[pages(0, 16)], Nanos(280));
        observer.fault(PageIndex(16), &[pages(16, 32)], Nanos(290));
        observer.fault(PageIndex(70), &[pages(64, 80)], Nanos(299));
        assert_eq!(observer.due(), Some(Nanos(300)));
        assert_eq!(observer.look(), [pages(0, 48), pages(64, 80)]);
        assert_eq!(observer.due(), None);
    }

    #[test]
    fn the_marker_block_stays_inside_its_window() {
        let window = Window { range: pages(20, 30), trigger: Some(PageIndex(20)) };
        assert_eq!(observer().marker_of(&window), Some(pages(20, 30)));
        let clipped = Window { range: pages(20, 30), trigger: Some(PageIndex(35)) };
        assert_eq!(observer().marker_of(&clipped), None);
    }
}
