use super::{Event, Geometry, Plan, Policy};
use crate::page::{PageCount, PageIndex, PageRange};

/// How much is fetched after each touch: 2 MiB.
const WINDOW_BYTES: u64 = 2 << 20;

/// One window of a fixed size after every touch, wherever it is. The simplest thing that fetches,
/// and the yardstick for policies that think: right for one forward run, wasteful for the rest.
#[derive(Clone, Debug)]
pub struct Fixed {
    pages: PageCount,
    window: PageCount,
    last: PageRange,
}

impl Fixed {
    /// A fixed window for a mapping of this shape.
    #[must_use]
    pub fn new(geometry: Geometry) -> Fixed {
        let window = geometry.pages_of(WINDOW_BYTES).min(PageCount(geometry.budget.0 / 2));
        Fixed { pages: geometry.pages, window, last: PageRange::default() }
    }

    /// Plans up to one window beyond `next`, less what the last touch planned already.
    fn plan_after(&mut self, next: PageIndex, plan: &mut Plan) {
        let to = next.plus(self.window).min(PageIndex(self.pages.0));
        let goes_on = self.last.start <= next && next <= self.last.end;
        let from = if goes_on { self.last.end } else { next };
        let range = PageRange::new(from, to);
        plan.read(range);
        plan.window(range, Some(from).filter(|&page| range.contains(page)));
        self.last = if goes_on {
            PageRange::new(next, to.max(self.last.end))
        } else {
            PageRange::new(next, to)
        };
    }
}

impl Policy for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn on(&mut self, event: &Event<'_>, plan: &mut Plan) {
        match *event {
            Event::Touch { page, .. } => self.plan_after(page.plus(PageCount(1)), plan),
            Event::Touched { pages, .. } => {
                for range in pages {
                    self.plan_after(range.end, plan);
                }
            }
            Event::Pressure => self.window = PageCount((self.window.0 / 2).max(1)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::{of_one_gib, windows_after};

    #[test]
    fn every_touch_is_followed_by_one_window_fetched_once() {
        let mut fixed = Fixed::new(of_one_gib());
        assert_eq!(windows_after(&mut fixed, 9), [(10, 522)]);
        assert_eq!(windows_after(&mut fixed, 19), [(522, 532)], "only what is new");
        assert_eq!(windows_after(&mut fixed, 100_000), [(100_001, 100_513)]);
        assert_eq!(windows_after(&mut fixed, 262_143), [], "nothing after the last page");
    }
}
