use super::{Event, Fetch, Geometry, Plan, Policy};
use crate::detect::{RUNS_MAX, Runs, Seen};
use crate::page::{PageCount, PageIndex, PageRange};

/// The first window: 128 KiB, the kernel's usual read-ahead.
const WINDOW_BYTES_FIRST: u64 = 128 << 10;
/// The largest window: 2 MiB, the reach of one page-table page.
const WINDOW_BYTES_MAX: u64 = 2 << 20;
/// Windows that are read and mapped ahead of the reader: 32 MiB, half the default budget. Measured with
/// 4, 8 and 16 of them: warm tmpfs 1.92, 1.97 and 2.09 times plain mmap; a cold disk (2 to 3 GB/s)
/// is busy with 16 MiB, and twice that rides out its pauses and ours.
const WINDOWS_AHEAD: u64 = 16;
/// What is read ahead at once of a reader that begins at the beginning: 2 MiB.
const AHEAD_BYTES_FIRST: u64 = 2 << 20;

/// Doubles like the kernel's read-ahead: a run that goes on gets windows of 128 KiB, 256 KiB, up to
/// 2 MiB, each with a trigger on its first page (the async threshold), so that the next window is
/// asked for when the reader enters this one.
///
/// It is never read further ahead than the run is long, twice over, or 2 MiB where it began at the
/// start of the mapping: a short run wastes no more than it used.
///
/// A run counts when it began at the start of the mapping, or has gone on twice; up to 16 runs at
/// once. A single reader gets half the budget ahead of it, several share it.
#[derive(Clone, Debug)]
pub struct Ramp {
    geometry: Geometry,
    runs: Runs,
    /// What is planned for the run in the same slot.
    ahead: [Ahead; RUNS_MAX],
    /// Halved under memory pressure.
    budget: PageCount,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ahead {
    window: PageCount,
    /// Up to where windows and reads are planned.
    mapped: PageIndex,
    read: PageIndex,
    /// Up to where windows were carried out.
    done: PageIndex,
    /// Where the first window lies that the reader has not been at: it is overtaken no sooner.
    met_at: PageIndex,
}

impl Ramp {
    /// A ramp for a mapping of this shape.
    #[must_use]
    pub fn new(geometry: Geometry) -> Ramp {
        Ramp {
            geometry,
            runs: Runs::new(geometry.fault_around),
            ahead: Default::default(),
            budget: geometry.budget,
        }
    }

    fn touched(&mut self, pages: PageRange, plan: &mut Plan) {
        match self.runs.touch(pages) {
            Seen::Started(slot) => {
                let window = self.geometry.pages_of(WINDOW_BYTES_FIRST);
                let next = pages.end;
                self.ahead[slot] =
                    Ahead { window, mapped: next, read: next, done: next, met_at: next };
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

    /// How far ahead a run of this length may be read.
    fn trust(&self, slot: usize) -> PageCount {
        let run = self.runs.run(slot);
        let twice = PageCount(run.next.since(run.start).0 * 2);
        if run.start == PageIndex(0) {
            twice.max(self.geometry.pages_of(AHEAD_BYTES_FIRST))
        } else {
            twice
        }
    }

    /// A window was carried out: remembered for the run that it was planned for.
    fn carried_out(&mut self, range: PageRange) {
        for (slot, ahead) in self.ahead.iter_mut().enumerate() {
            let run = self.runs.run(slot);
            if run.start <= range.start && range.end <= ahead.mapped && ahead.done < range.end {
                ahead.done = range.end;
            }
        }
    }

    /// Pages ahead of a reader are gone: they are planned again when it goes on.
    fn evicted(&mut self, range: PageRange) {
        for (slot, ahead) in self.ahead.iter_mut().enumerate() {
            let run = self.runs.run(slot);
            if run.next <= range.start && range.start < ahead.read.max(ahead.mapped) {
                ahead.read = ahead.read.min(range.start);
                ahead.mapped = ahead.mapped.min(range.start);
                ahead.done = ahead.done.min(range.start);
            }
        }
    }

    /// Plans from what is planned already up to the distance. A reader that has reached the end of
    /// what was carried out is faster than a window can be mapped under its feet: it is left a
    /// window to itself, and met behind it.
    fn plan_ahead(&mut self, slot: usize, plan: &mut Plan) {
        let next = self.runs.run(slot).next;
        let share = self.budget.0 / 2 / (1 + self.runs.live_others(slot));
        let left = self.budget.0.saturating_sub(self.runs.ahead_of_others(slot).0);
        let room = PageCount(share.min(left));
        let end = PageIndex(self.geometry.pages.0);
        let Ahead { mapped, read, done, met_at, .. } = self.ahead[slot];
        let room = room.min(self.trust(slot));
        let window = self.ahead[slot].window.min(PageCount(1 << room.0.max(1).ilog2()));
        let far = next.plus(PageCount(window.0 * WINDOWS_AHEAD).min(room));
        let to = if far >= end { end } else { whole_windows(next, far, window) };
        let is_overtaken = done.max(met_at) <= next && self.runs.run(slot).advances > 0;
        let lead = if is_overtaken { next.plus(window) } else { next };
        plan.overtaken(PageRange::new(next, lead));
        let map_from = mapped.max(lead);
        for piece in PageRange::new(read.max(next), to).pieces(window) {
            plan.read(piece);
        }
        for piece in PageRange::new(map_from, to).pieces(window) {
            plan.window(piece, Some(piece.start));
        }
        let ahead = &mut self.ahead[slot];
        ahead.read = read.max(to);
        if is_overtaken {
            ahead.met_at = lead;
        }
        ahead.mapped = map_from.max(to).min(end);
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
                // More places at once than readers we can tell apart: nobody runs there.
                let is_scattered = pages.len() > RUNS_MAX;
                for &range in pages.iter().filter(|_| !is_scattered) {
                    self.touched(range, plan);
                }
            }
            Event::Pressure => self.budget = PageCount(self.budget.0 / 2),
            Event::Fetched { what: Fetch::Window, range, .. } => self.carried_out(range),
            Event::Evicted { range } => self.evicted(range),
            Event::Fetched { .. } => {}
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

    /// Carries the windows out.
    fn fetch(ramp: &mut Ramp, plan: Plan) {
        for window in plan.windows() {
            let (range, took, outcome) = (window.range, Nanos(0), crate::policy::Outcome::Done);
            let fetched = Event::Fetched { what: Fetch::Window, range, took, outcome };
            ramp.on(&fetched, &mut Plan::new());
        }
    }

    fn windows(plan: &Plan) -> Vec<(u64, u64)> {
        plan.windows().iter().map(|w| (w.range.start.0, w.range.end.0)).collect()
    }

    #[test]
    fn a_touch_of_the_first_page_starts_the_ramp() {
        let plan = touch(&mut ramp(), 0);
        let planned = windows(&plan);
        assert_eq!(planned[..3], [(1, 32), (32, 64), (64, 96)]);
        assert_eq!((planned.len(), planned[15]), (16, (480, 512)));
        assert_eq!(plan.reads().last().map(|r| r.end), Some(PageIndex(512)));
        assert!(plan.windows().iter().all(|w| w.trigger == Some(w.range.start)));
    }

    #[test]
    fn windows_double_up_to_two_mebibytes_and_never_overlap() {
        let mut ramp = ramp();
        let mut mapped = 1;
        for page in [0, 32, 128, 256, 512, 1024, 2048, 3072] {
            let plan = touch(&mut ramp, page);
            for (start, end) in windows(&plan) {
                assert_eq!(start, mapped, "windows follow each other without gap or overlap");
                assert!(end - start <= 512);
                mapped = end;
            }
            fetch(&mut ramp, plan);
        }
        assert_eq!(mapped, (3073 * 3) / 512 * 512, "twice what was read, in whole windows");
    }

    #[test]
    fn a_single_touch_elsewhere_plans_nothing_and_the_third_does() {
        let mut ramp = ramp();
        assert!(touch(&mut ramp, 5000).is_empty());
        assert!(touch(&mut ramp, 5016).is_empty());
        assert!(!touch(&mut ramp, 5032).is_empty());
    }

    #[test]
    fn a_reader_that_overtook_the_windows_is_met_a_window_further_on() {
        let mut ramp = ramp();
        let plan = touch(&mut ramp, 0);
        fetch(&mut ramp, plan);
        let plan = touch(&mut ramp, 520);
        let skipped = PageRange::new(PageIndex(521), PageIndex(521 + 64));
        assert_eq!(plan.overtaken_ranges(), [skipped]);
        assert_eq!(plan.windows()[0].range.start, skipped.end);
    }

    #[test]
    fn windows_that_are_planned_but_not_carried_out_do_not_count_as_ahead() {
        let mut ramp = ramp();
        touch(&mut ramp, 0);
        let skipped = |plan: Plan| plan.overtaken_ranges().len();
        assert_eq!(skipped(touch(&mut ramp, 16)), 1, "nothing is mapped yet");
        assert_eq!(skipped(touch(&mut ramp, 32)), 0, "the window behind the skipped one may do");
        assert_eq!(skipped(touch(&mut ramp, 17 + 64)), 1, "it did not");
    }

    #[test]
    fn a_reader_that_jumps_is_soon_read_ahead_of_again() {
        let mut ramp = ramp();
        for page in [0, 32, 128, 256, 512, 1024, 2048, 4096] {
            let plan = touch(&mut ramp, page);
            fetch(&mut ramp, plan);
        }
        let far = |step: u64| 200_000 + step * 16;
        let planned: u64 = (0..8).map(|step| touch(&mut ramp, far(step)).window_pages().0).sum();
        let run = 7 * 16 + 1;
        assert!((run..=2 * run).contains(&planned), "{planned} pages after {run}");
    }

    #[test]
    fn what_was_evicted_before_its_reader_came_is_planned_again() {
        let mut ramp = ramp();
        for page in [0, 32, 128, 256, 512, 1024] {
            let plan = touch(&mut ramp, page);
            fetch(&mut ramp, plan);
        }
        let range = PageRange::new(PageIndex(1536), PageIndex(2048));
        ramp.on(&Event::Evicted { range }, &mut Plan::new());
        let plan = touch(&mut ramp, 1030);
        assert_eq!(plan.reads().first().map(|read| read.start), Some(PageIndex(1536)));
        let plan = touch(&mut ramp, 1031);
        assert!(plan.reads().is_empty(), "once");
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
