//! The rule that the paper's map-ahead is assumed to follow, as a policy.

use mmap_ahead::page::{PageCount, PageIndex, PageRange};
use mmap_ahead::policy::{Event, Geometry, Plan, Policy};

/// Assumed: the first window, after two faults in a row.
pub const WINDOW_FIRST: PageCount = PageCount(2);
/// Assumed: the largest window, 2 MiB: what one page table holds.
pub const WINDOW_MAX: PageCount = PageCount(512);

/// Windows behind faults that follow each other, in the kernel.
///
/// A fault on the page where the mapped run ends, or in a window, goes on; any other begins anew,
/// and maps nothing but its own page: a random reader pays nothing. The window doubles with each
/// fault that goes on, from [`WINDOW_FIRST`] to the largest.
#[derive(Clone, Debug)]
pub struct KernelWindow {
    pages: PageCount,
    window: PageCount,
    window_max: PageCount,
    /// How far ahead windows are planned; `None`: the fault maps its own window, no further.
    distance: Option<PageCount>,
    /// Where the run began that the faults are in.
    start: PageIndex,
    /// Up to where it is mapped, or will be.
    end: PageIndex,
}

impl KernelWindow {
    /// Windows that are mapped inside the fault.
    #[must_use]
    pub fn in_fault(geometry: Geometry, window_max: PageCount) -> KernelWindow {
        let (start, window) = (PageIndex(u64::MAX), PageCount(0));
        KernelWindow {
            pages: geometry.pages,
            window,
            window_max,
            distance: None,
            start,
            end: start,
        }
    }

    /// Windows that somebody else maps, two of them ahead, but no further than `distance`; the
    /// first page of each is its trigger.
    #[must_use]
    pub fn ahead(geometry: Geometry, window_max: PageCount, distance: PageCount) -> KernelWindow {
        let rule = KernelWindow::in_fault(geometry, window_max);
        KernelWindow { distance: Some(distance), ..rule }
    }

    pub(super) fn boxed(self) -> Box<dyn Policy> {
        Box::new(self)
    }

    fn faulted(&mut self, page: PageIndex, plan: &mut Plan) {
        let next = page.plus(PageCount(1));
        if page < self.start || self.end < page {
            (self.start, self.end, self.window) = (page, next, PageCount(0));
            return;
        }
        let doubled = PageCount((self.window.0 * 2).max(WINDOW_FIRST.0));
        self.window = doubled.min(self.window_max);
        let last = PageIndex(self.pages.0);
        match self.distance {
            None => {
                let to = next.plus(self.window).min(last);
                plan.window(PageRange::new(next, to), None);
                self.end = to;
            }
            Some(distance) => {
                let reach = distance.min(PageCount(2 * self.window.0));
                let mut from = self.end.max(next);
                while from < last && from.since(next) < reach {
                    let to = from.plus(self.window).min(last);
                    plan.window(PageRange::new(from, to), Some(from));
                    from = to;
                }
                self.end = from;
            }
        }
    }
}

impl Policy for KernelWindow {
    fn name(&self) -> &'static str {
        if self.distance.is_some() { "async-map-ahead" } else { "map-ahead" }
    }

    fn on(&mut self, event: &Event<'_>, plan: &mut Plan) {
        if let Event::Touch { page, .. } = *event {
            self.faulted(page, plan);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mmap_ahead::page::{ByteLen, Nanos, PageSize};
    use mmap_ahead::policy::Source;

    fn geometry() -> Geometry {
        Geometry::new(PageSize::FOUR_KIB, ByteLen(100 * 4096), mmap_ahead::BUDGET_DEFAULT)
    }

    fn planned(policy: &mut KernelWindow, page: u64) -> Vec<(u64, u64)> {
        let mut plan = Plan::new();
        let page = PageIndex(page);
        policy.on(&Event::Touch { page, at: Nanos(0), source: Source::Userfault }, &mut plan);
        plan.windows().iter().map(|w| (w.range.start.0, w.range.end.0)).collect()
    }

    #[test]
    fn faults_in_a_row_double_the_window_and_a_stray_one_maps_nothing() {
        let mut policy = KernelWindow::in_fault(geometry(), PageCount(8));
        assert_eq!(planned(&mut policy, 10), []);
        assert_eq!(planned(&mut policy, 11), [(12, 14)]);
        assert_eq!(planned(&mut policy, 14), [(15, 19)]);
        assert_eq!(planned(&mut policy, 19), [(20, 28)]);
        assert_eq!(planned(&mut policy, 28), [(29, 37)], "no larger");
        assert_eq!(planned(&mut policy, 3), []);
        assert_eq!(planned(&mut policy, 90), []);
        assert_eq!(planned(&mut policy, 99), [], "a stray one again");
    }

    #[test]
    fn ahead_of_the_reader_windows_are_planned_up_to_the_distance() {
        let mut policy = KernelWindow::ahead(geometry(), PageCount(4), PageCount(8));
        assert_eq!(planned(&mut policy, 0), []);
        assert_eq!(planned(&mut policy, 1), [(2, 4), (4, 6)]);
        assert_eq!(planned(&mut policy, 2), [(6, 10), (10, 14)]);
        assert_eq!(planned(&mut policy, 4), [], "far enough");
        assert_eq!(planned(&mut policy, 96), []);
    }
}
