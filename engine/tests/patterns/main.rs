//! What the policies plan for each pattern of touches: exact ranges, no kernel, no clock.

mod backward;
mod blocks;
mod crossing;
mod file_end;
mod forward;
mod noise;
mod pressure;
mod random;
mod streams;
mod stride;
mod warm;
mod whatever;

use mmap_ahead::page::{ByteLen, Nanos, PageCount, PageIndex, PageRange, PageSize};
use mmap_ahead::policy::{Adaptive, Event, Fetch, Geometry, Outcome, Plan, Policy};

/// Pages of the mapping unless a test says otherwise: 4 GiB.
const PAGES: u64 = 1 << 20;

fn pages(start: u64, end: u64) -> PageRange {
    PageRange::new(PageIndex(start), PageIndex(end))
}

fn geometry(count: u64) -> Geometry {
    Geometry::new(PageSize::FOUR_KIB, ByteLen(count * 4096), mmap_ahead::BUDGET_DEFAULT)
}

/// The default policy and all that it has planned.
struct Driver {
    policy: Adaptive,
    now: u64,
    reads: Vec<PageRange>,
    steps: Vec<PageRange>,
    /// Those of the steps whose touch is reported.
    awaited: Vec<PageRange>,
    windows: Vec<PageRange>,
}

impl Driver {
    fn new() -> Driver {
        Driver::over(geometry(PAGES))
    }

    fn over(geometry: Geometry) -> Driver {
        let (reads, steps, windows) = (Vec::new(), Vec::new(), Vec::new());
        let (policy, awaited) = (Adaptive::new(geometry), Vec::new());
        Driver { policy, now: 0, reads, steps, awaited, windows }
    }

    /// A scan finds `touched`, 100 us after the last one; what is planned is carried out and found
    /// absent before. The plan is the answer.
    fn touch(&mut self, touched: &[PageRange]) -> Plan {
        self.touch_found(touched, Outcome::Done)
    }

    fn touch_found(&mut self, touched: &[PageRange], outcome: Outcome) -> Plan {
        self.now += 100_000;
        self.tell(&Event::Touched { pages: touched, at: Nanos(self.now) }, outcome)
    }

    /// Readers were found to have read on behind their steps.
    fn read_on(&mut self, pages: &[PageRange]) -> Plan {
        self.tell(&Event::ReadOn { pages, at: Nanos(self.now) }, Outcome::Done)
    }

    fn tell(&mut self, event: &Event<'_>, outcome: Outcome) -> Plan {
        let mut plan = Plan::new();
        self.policy.on(event, &mut plan);
        self.reads.extend(plan.reads());
        self.steps.extend(plan.steps().iter().map(|step| step.range));
        let awaited = plan.steps().iter().filter(|step| step.stream.is_some());
        self.awaited.extend(awaited.map(|step| step.range));
        self.windows.extend(plan.windows().iter().map(|window| window.range));
        let reads = plan.reads().iter().map(|&range| (Fetch::Read, range));
        let steps = plan.steps().iter().map(|step| (Fetch::Step, step.range));
        let windows = plan.windows().iter().map(|window| (Fetch::Window, window.range));
        let fetches: Vec<_> = reads.chain(steps).chain(windows).collect();
        for (what, range) in fetches {
            let fetched = Event::Fetched { what, range, took: Nanos(1000), outcome };
            self.policy.on(&fetched, &mut plan);
        }
        plan
    }

    /// One page.
    fn page(&mut self, page: u64) -> Plan {
        self.touch(&[pages(page, page + 1)])
    }

    fn planned(&self) -> impl Iterator<Item = PageRange> {
        self.reads.iter().chain(&self.steps).chain(&self.windows).copied()
    }
}

fn steps_of(plan: &Plan) -> Vec<(u64, u64)> {
    plan.steps().iter().map(|step| (step.range.start.0, step.range.end.0)).collect()
}

/// Whether no page is in two of `ranges`.
fn are_disjoint(ranges: &[PageRange]) -> bool {
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| range.start);
    sorted.windows(2).all(|pair| pair[0].end <= pair[1].start)
}

fn sum(ranges: &[PageRange]) -> PageCount {
    PageCount(ranges.iter().map(|range| range.count().0).sum())
}
