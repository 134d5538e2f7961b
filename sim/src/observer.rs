//! What a passive marker observer sees of a reader, and when.
//!
//! It sees pages appear in the page table that no helper has put there: the marker blocks left out
//! of windows, and whatever faults outside of all windows. A fault inside a window (the reader was
//! faster than the helper) looks like the helper's own doing, and is not seen.

use std::collections::VecDeque;

use mmap_ahead::lab::Still;
use mmap_ahead::page::{Nanos, PageCount, PageIndex, PageRange};
use mmap_ahead::policy::Window;

use crate::kernel::Bits;

#[derive(Clone, Debug)]
pub(crate) struct MarkerObserver {
    block: PageCount,
    pace: Pace,
    /// For each page: is it in a window that was carried out?
    covered: Bits,
    armed: Vec<PageRange>,
    /// Where something appeared since the last look.
    seen: Vec<PageRange>,
    false_markers: u64,
    /// The engine's own rule, linked: when windows are left to the reader's large faults.
    still: Still,
    /// Where mapped pages end that a reader is expected behind.
    edges: VecDeque<PageIndex>,
    /// Faults of readers since the last look.
    faults: u64,
}

/// So many edges are watched; the oldest are forgotten first. Who goes on by more than so many times the
/// block with each fault is on large folios. (The engine's `observe/watched.rs` and `observe/marker.rs`.)
const EDGES_MAX: usize = 64;
const LARGE_FAULTS: u64 = 2;

impl MarkerObserver {
    /// An observer of `pages` that looks every `look_period` at most; a marker is a block of `block` pages.
    pub(crate) fn new(pages: PageCount, block: PageCount, look_period: Nanos) -> MarkerObserver {
        MarkerObserver {
            block,
            pace: Pace::new(look_period),
            covered: Bits::new(pages.0),
            armed: Vec::new(),
            seen: Vec::new(),
            false_markers: 0,
            still: Still::default(),
            edges: VecDeque::from([PageIndex(0)]),
            faults: 0,
        }
    }

    /// Whether the next window is left to its reader, because large folios make mapping it no gain.
    pub(crate) fn skips_window(&mut self) -> bool {
        self.still.skip_window()
    }

    fn watch(&mut self, edge: PageIndex) {
        if self.edges.len() == EDGES_MAX {
            self.edges.pop_front();
        }
        self.edges.push_back(edge);
    }

    /// How many pages readers went on behind an edge, by what was found; the edges go with them.
    fn passed(&mut self, found: &[PageRange]) -> u64 {
        let mut passed = 0;
        for range in found {
            let edge = self.edges.iter_mut().find(|edge| range.contains(**edge));
            match edge {
                Some(edge) => {
                    passed += range.end.since(*edge).0;
                    *edge = range.end;
                }
                None => self.watch(range.end),
            }
        }
        passed
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
        self.edges.retain(|edge| !window.contains(*edge));
        self.watch(window.end);
    }

    /// The window around `marker` is mapped: watches for the marker from now on, or, when it is
    /// present already, counts it as false (TRAPS 1).
    pub(crate) fn arm(&mut self, marker: PageRange, is_present: bool) {
        if is_present {
            self.false_markers += 1;
            self.still.false_marker();
        } else {
            self.still.true_marker();
            self.armed.push(marker);
        }
    }

    /// A reader faulted on `page` at `now`, and `block` around it may be mapped since. Returns when
    /// the observer looks next, when it would not have without this.
    pub(crate) fn fault(&mut self, page: PageIndex, block: PageRange, now: Nanos) -> Option<Nanos> {
        self.faults += 1;
        let hit = self.armed.iter().position(|marker| marker.contains(page));
        if hit.is_none() && self.covered.get(page.0) {
            return None;
        }
        if let Some(marker) = hit {
            self.armed.swap_remove(marker);
        }
        let is_first = self.seen.is_empty();
        self.seen.push(block);
        is_first.then(|| self.pace.next_after(now))
    }

    /// Whether the next look finds anything.
    pub(crate) fn has_seen(&self) -> bool {
        !self.seen.is_empty()
    }

    /// What a look at `now` finds: disjoint ranges that ascend, in no order of time (TRAPS 4). `mapped` adds
    /// the mapped runs of a range.
    pub(crate) fn look(
        &mut self,
        now: Nanos,
        mapped: impl Fn(PageRange, &mut Vec<PageRange>),
    ) -> Vec<PageRange> {
        self.pace.progressed(now);
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
        let faults = std::mem::take(&mut self.faults).max(1);
        if self.passed(&merged) > LARGE_FAULTS * self.block.0 * faults {
            self.still.large_folios();
        }
        merged
    }

    /// Markers that were mapped before anyone could watch them.
    pub(crate) fn false_markers(&self) -> u64 {
        self.false_markers
    }
}

/// When the observer looks: as the engine does (`runtime/pace.rs`, whose constants these are, for a
/// shortest interval of 20 us).
#[derive(Clone, Copy, Debug)]
struct Pace {
    interval_min: u64,
    interval: u64,
    looked_at: u64,
    progress_at: Option<u64>,
}

/// The first look at a new mapping, in shortest intervals; the longest interval of a reader that goes on,
/// and of one that does not.
const FIRST: u64 = 5;
const MOVING_MAX: u64 = 25;
const WAITING_MAX: u64 = 500;

impl Pace {
    fn new(interval_min: Nanos) -> Pace {
        let interval_min = interval_min.0.clamp(1, u64::MAX / WAITING_MAX);
        let interval = FIRST * interval_min;
        Pace { interval_min, interval, looked_at: 0, progress_at: None }
    }

    /// The first look after `now`: those before it find nothing, and come less and less often.
    fn next_after(&mut self, now: Nanos) -> Nanos {
        let interval_max = WAITING_MAX * self.interval_min;
        while self.interval < interval_max && self.looked_at + self.interval <= now.0 {
            self.looked_at += self.interval;
            self.interval = (self.interval * 3 / 2).clamp(self.interval + 1, interval_max);
        }
        let vain = now.0.saturating_sub(self.looked_at) / self.interval;
        self.looked_at += vain * self.interval;
        Nanos(self.looked_at.saturating_add(self.interval))
    }

    /// A look at `now` finds that the reader went on.
    fn progressed(&mut self, now: Nanos) {
        let took = self.progress_at.replace(now.0).map_or(0, |before| now.0.saturating_sub(before));
        self.interval = (took / 4).clamp(self.interval_min, MOVING_MAX * self.interval_min);
        self.looked_at = now.0;
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
        observer.look(Nanos(0), |range, out| out.push(range))
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
    fn a_look_comes_at_the_end_of_the_interval_and_finds_a_set() {
        let mut observer = observer();
        let fault = |observer: &mut MarkerObserver, start, end, now| {
            observer.fault(PageIndex(start), pages(start, end), Nanos(now))
        };
        assert_eq!(fault(&mut observer, 32, 48, 250), Some(Nanos(500)), "the first");
        assert_eq!(fault(&mut observer, 0, 16, 280), None, "it looks at 500 anyway");
        fault(&mut observer, 16, 32, 290);
        fault(&mut observer, 64, 80, 299);
        assert_eq!(look(&mut observer), [pages(0, 48), pages(64, 80)]);
        assert_eq!(look(&mut observer), []);
    }

    #[test]
    fn a_reader_of_large_folios_is_left_alone_and_one_of_small_ones_is_not() {
        let mut observer = MarkerObserver::new(PageCount(4096), PageCount(16), Nanos(100));
        for start in [0, 16] {
            observer.fault(PageIndex(start), pages(start, start + 16), Nanos(0));
            look(&mut observer);
        }
        assert!(!observer.skips_window(), "16 pages a fault");
        observer.fault(PageIndex(32), pages(32, 544), Nanos(0));
        look(&mut observer);
        assert!(observer.skips_window(), "512 pages a fault");
        let left = (0..100).take_while(|_| observer.skips_window()).count();
        assert_eq!(left, 7, "the engine's pause of 8 windows, then one is tried");
        observer.fault(PageIndex(2048), pages(2048, 2560), Nanos(0));
        look(&mut observer);
        assert!(!observer.skips_window(), "elsewhere: a single fault tells nothing of a reader");
    }

    #[test]
    fn false_markers_end_mapping_as_in_the_engine() {
        let mut observer = observer();
        for _ in 0..2 {
            assert!(!observer.skips_window());
            observer.arm(pages(0, 16), true);
        }
        assert!(observer.skips_window());
        observer.arm(pages(16, 32), false);
        assert!(!observer.skips_window(), "a true one");
    }

    #[test]
    fn looks_are_as_frequent_as_the_reader_moves() {
        let mut pace = Pace::new(Nanos(100));
        assert_eq!(pace.next_after(Nanos(0)), Nanos(500));
        assert_eq!(pace.next_after(Nanos(600)), Nanos(1250), "in vain at 500: half as long again");
        pace.progressed(Nanos(1250));
        assert_eq!(pace.next_after(Nanos(1260)), Nanos(1350));
        pace.progressed(Nanos(2250));
        assert_eq!(pace.next_after(Nanos(2250)), Nanos(2500), "four times until it moves on");
        pace.progressed(Nanos(1_000_000));
        assert_eq!(pace.next_after(Nanos(1_000_000)), Nanos(1_002_500));
        let late = pace.next_after(Nanos(1 << 40)).0;
        assert!((1 << 40..(1 << 40) + 50_001).contains(&late), "at least every 500 intervals");
    }

    #[test]
    fn the_marker_block_stays_inside_its_window() {
        let window = Window { range: pages(20, 30), trigger: Some(PageIndex(20)) };
        assert_eq!(observer().marker_of(&window), Some(pages(20, 30)));
        let clipped = Window { range: pages(20, 30), trigger: Some(PageIndex(35)) };
        assert_eq!(observer().marker_of(&clipped), None);
    }
}
