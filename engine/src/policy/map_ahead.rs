use super::{Event, Geometry, Plan, Policy};
use crate::page::{PageCount, PageIndex, PageRange};

/// The first window: 64 KiB, one fault-around.
const WINDOW_BYTES_FIRST: u64 = 64 << 10;
/// The largest window: 2 MiB.
const WINDOW_BYTES_MAX: u64 = 2 << 20;

/// Map-ahead, after Choi, Kim and Han (HotStorage 2017): a fault that follows the last one grows
/// the window, one that does not resets it.
///
/// The paper does not publish its sizing rule. Chosen here: the window starts at 64 KiB (what one
/// fault maps anyway), doubles with each consecutive touch up to 2 MiB, and each window carries a
/// trigger on its first page (the asynchronous variant). One run per mapping, as the paper keeps
/// one per memory area. It plans no reads: the paper's files are in memory.
#[derive(Clone, Debug)]
pub struct MapAhead {
    pages: PageCount,
    window_first: PageCount,
    window_max: PageCount,
    slack: PageCount,
    window: PageCount,
    /// The last window planned; empty before the first.
    last: PageRange,
}

impl MapAhead {
    /// Map-ahead for a mapping of this shape.
    #[must_use]
    pub fn new(geometry: Geometry) -> MapAhead {
        let half = PageCount(geometry.budget.0 / 2);
        let window_first = geometry.pages_of(WINDOW_BYTES_FIRST).min(half);
        MapAhead {
            pages: geometry.pages,
            window_first,
            window_max: geometry.pages_of(WINDOW_BYTES_MAX).min(half),
            slack: geometry.fault_around,
            window: window_first,
            last: PageRange::default(),
        }
    }

    fn touched(&mut self, touched: PageRange, plan: &mut Plan) {
        let next = touched.end;
        if self.is_consecutive(touched.start) {
            self.window = PageCount(self.window.0 * 2).min(self.window_max);
        } else {
            self.window = self.window_first;
            self.last = PageRange::at(next, PageCount(0));
        }
        let from = self.last.end.max(next);
        let to = from.plus(self.window).min(PageIndex(self.pages.0));
        let range = PageRange::new(from, to);
        if range.end.since(next) <= PageCount(2 * self.window_max.0) && !range.is_empty() {
            plan.window(range, Some(from));
            self.last = range;
        }
    }

    /// Consecutive: inside the last window, or no further behind its end than one fault-around.
    fn is_consecutive(&self, page: PageIndex) -> bool {
        self.last.start.minus(self.slack) <= page && page <= self.last.end.plus(self.slack)
    }
}

impl Policy for MapAhead {
    fn name(&self) -> &'static str {
        "map-ahead"
    }

    fn on(&mut self, event: &Event<'_>, plan: &mut Plan) {
        match *event {
            Event::Touch { page, .. } => self.touched(PageRange::at(page, PageCount(1)), plan),
            Event::Touched { pages, .. } => {
                for &range in pages {
                    self.touched(range, plan);
                }
            }
            Event::Pressure => self.window_max = self.window_first,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::{of_one_gib, windows_after};

    #[test]
    fn consecutive_touches_double_the_window_and_a_stray_one_resets_it() {
        let mut policy = MapAhead::new(of_one_gib());
        assert_eq!(windows_after(&mut policy, 999), [(1000, 1016)]);
        assert_eq!(windows_after(&mut policy, 1000), [(1016, 1048)]);
        assert_eq!(windows_after(&mut policy, 1016), [(1048, 1112)]);
        assert_eq!(windows_after(&mut policy, 50_000), [(50_001, 50_017)]);
        assert_eq!(windows_after(&mut policy, 262_143), [], "nothing after the last page");
    }
}
