use super::{Event, Geometry, Plan, Policy};
use crate::detect::{Runs, Seen};
use crate::page::{PageCount, PageIndex, PageRange};

/// The first window: 128 KiB, the kernel's usual read-ahead.
const WINDOW_BYTES_FIRST: u64 = 128 << 10;
/// The largest window: 2 MiB, the reach of one page-table page.
const WINDOW_BYTES_MAX: u64 = 2 << 20;
/// Windows kept mapped ahead of the reader. Measured with `marker` (probe): 8 MiB in windows of
/// 2 MiB is as good as 32 MiB on tmpfs, and better on a cold disk.
const WINDOWS_AHEAD: u64 = 4;
/// Windows that the disk is started on ahead of the reader: 32 MiB, within the budget. Measured:
/// 16 MiB already reaches the disk's 2.3 GB/s; twice that rides out its pauses.
const WINDOWS_READ_AHEAD: u64 = 16;

/// Doubles like the kernel's read-ahead: a run that goes on gets windows of 128 KiB, 256 KiB, up to
/// 2 MiB, each with a trigger on its first page (the async threshold), so that the next window is
/// asked for when the reader enters this one.
///
/// A run counts when it began at the start of the mapping, or has gone on twice; up to 16 runs at
/// once. Half the budget may be ahead of all of them together.
#[derive(Clone, Debug)]
pub struct Ramp {
    geometry: Geometry,
    runs: Runs,
    /// What is planned for the run in the same slot.
    ahead: [Ahead; crate::detect::RUNS_MAX],
    /// Halved under memory pressure.
    budget: PageCount,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ahead {
    window: PageCount,
    mapped: PageIndex,
    read: PageIndex,
}

impl Ramp {
    /// A ramp for a mapping of this shape.
    #[must_use]
    pub fn new(geometry: Geometry) -> Ramp {
        Ramp {
            geometry,
            runs: Runs::new(geometry.fault_around),
            ahead: Default::default(),
            budget: PageCount(geometry.budget.0 / 2),
        }
    }

    fn touched(&mut self, pages: PageRange, plan: &mut Plan) {
        match self.runs.touch(pages) {
            Seen::Started(slot) => {
                let window = self.geometry.pages_of(WINDOW_BYTES_FIRST);
                let next = pages.end;
                self.ahead[slot] = Ahead { window, mapped: next, read: next };
                if pages.start == PageIndex(0) {
                    self.plan_ahead(slot, plan);
                }
            }
            Seen::Advanced(slot) => {
                let window_max = self.geometry.pages_of(WINDOW_BYTES_MAX);
                let window = &mut self.ahead[slot].window;
                *window = PageCount(window.0 * 2).min(window_max);
                let run = self.runs.run(slot);
                if run.start == PageIndex(0) || run.advances >= 2 {
                    self.plan_ahead(slot, plan);
                }
            }
            Seen::Behind(_) => {}
        }
    }

    /// Plans from what is planned already up to the distance; a reader that has overtaken it is
    /// left one window of lead, since it is faster than a window can be fetched under its feet.
    fn plan_ahead(&mut self, slot: usize, plan: &mut Plan) {
        let next = self.runs.run(slot).next;
        let room = PageCount(self.budget.0.saturating_sub(self.runs.ahead_of_others(slot).0));
        let end = PageIndex(self.geometry.pages.0);
        let Ahead { window, mapped, read } = self.ahead[slot];
        let far = |windows: u64| {
            let far = next.plus(PageCount(window.0 * windows).min(room));
            if far >= end { end } else { whole_windows(next, far, window) }
        };
        let lead = if mapped < next { next.plus(window) } else { mapped };
        let (read_to, map_to) = (far(WINDOWS_READ_AHEAD), far(WINDOWS_AHEAD));
        for piece in PageRange::new(read.max(next), read_to).pieces(window) {
            plan.read(piece);
        }
        for piece in PageRange::new(lead, map_to).pieces(window) {
            plan.window(piece, Some(piece.start));
        }
        let ahead = &mut self.ahead[slot];
        ahead.read = read.max(read_to);
        ahead.mapped = lead.max(map_to).min(end);
        self.runs.reached(slot, ahead.read.max(ahead.mapped));
    }
}

/// `far` moved back to where a window ends, so that the next plan begins with a whole one; but a
/// short window is better than none.
fn whole_windows(next: PageIndex, far: PageIndex, window: PageCount) -> PageIndex {
    let whole = PageIndex(far.0 - far.0 % window.0.max(1));
    if whole > next { whole } else { far }
}

impl Policy for Ramp {
    fn name(&self) -> &'static str {
        "ramp"
    }

    fn on(&mut self, event: &Event<'_>, plan: &mut Plan) {
        match *event {
            Event::Touch { page, .. } => {
                self.touched(PageRange::at(page, PageCount(1)), plan);
            }
            Event::Touched { pages, .. } => {
                for &range in pages {
                    self.touched(range, plan);
                }
            }
            Event::Pressure => self.budget = PageCount(self.budget.0 / 2),
            Event::Fetched { .. } | Event::Evicted { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{ByteLen, Nanos, PageSize};
    use crate::policy::Source;

    fn ramp() -> Ramp {
        let len = ByteLen(1 << 30);
        Ramp::new(Geometry::new(PageSize::FOUR_KIB, len, crate::BUDGET_DEFAULT))
    }

    fn touch(ramp: &mut Ramp, page: u64) -> Plan {
        let mut plan = Plan::new();
        let page = PageIndex(page);
        ramp.on(&Event::Touch { page, at: Nanos(0), source: Source::Marker }, &mut plan);
        plan
    }

    fn windows(plan: &Plan) -> Vec<(u64, u64)> {
        plan.windows().iter().map(|w| (w.range.start.0, w.range.end.0)).collect()
    }

    #[test]
    fn a_touch_of_the_first_page_starts_the_ramp() {
        let plan = touch(&mut ramp(), 0);
        assert_eq!(windows(&plan), [(1, 32), (32, 64), (64, 96), (96, 128)]);
        assert_eq!(plan.reads().last().map(|r| r.end), Some(PageIndex(512)));
        assert!(plan.windows().iter().all(|w| w.trigger == Some(w.range.start)));
    }

    #[test]
    fn windows_double_up_to_two_mebibytes_and_never_overlap() {
        let mut ramp = ramp();
        let mut mapped = 1;
        for page in [0, 32, 128, 256, 512, 1024, 2048, 3072] {
            for (start, end) in windows(&touch(&mut ramp, page)) {
                assert_eq!(start, mapped, "windows follow each other without gap or overlap");
                assert!(end - start <= 512);
                mapped = end;
            }
        }
        assert_eq!(mapped, 3072 + 4 * 512);
    }

    #[test]
    fn a_single_touch_elsewhere_plans_nothing_and_the_third_does() {
        let mut ramp = ramp();
        assert!(touch(&mut ramp, 5000).is_empty());
        assert!(touch(&mut ramp, 5016).is_empty());
        assert!(!touch(&mut ramp, 5032).is_empty());
    }

    #[test]
    fn a_reader_that_overtook_the_windows_gets_a_lead() {
        let mut ramp = ramp();
        touch(&mut ramp, 0);
        let plan = touch(&mut ramp, 140);
        assert_eq!(plan.windows()[0].range.start, PageIndex(141 + 64));
    }

    #[test]
    fn half_the_budget_is_the_most_that_is_ahead_and_nothing_lies_beyond_the_end() {
        let geometry = Geometry::new(PageSize::FOUR_KIB, ByteLen(1 << 30), ByteLen(1 << 20));
        let mut ramp = Ramp::new(geometry);
        for page in [0, 16, 32, 64, 96, 128] {
            let plan = touch(&mut ramp, page);
            let furthest = plan.reads().iter().map(|r| r.end.0).max().unwrap_or(0);
            assert!(furthest <= page + 1 + 128);
        }
        let mut short = Ramp::new(Geometry::new(
            PageSize::FOUR_KIB,
            ByteLen(100 * 4096),
            crate::BUDGET_DEFAULT,
        ));
        assert_eq!(windows(&touch(&mut short, 0)).last(), Some(&(96, 100)));
    }
}
