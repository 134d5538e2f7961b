use super::backward::Backward;
use super::claim::Claim;
use super::ramp::{Ramp, is_scattered};
use super::squeeze::Squeeze;
use super::stride::StridePart;
use super::tempo::Latency;
use super::{Event, Geometry, Plan, Policy, Source, boxed};
use crate::page::{Nanos, PageCount, PageIndex, PageRange};

/// So many of the touches of a look are held against strides where nobody runs.
const SCATTERED_MAX: usize = 128;

/// Picks for each stream what suits it: runs as [`Streams`](super::Streams) reads them, strides as
/// [`Stride`](super::Stride) does, and what is neither is left alone.
///
/// How far ahead is early enough follows from the pace of each reader and from how long the device
/// was seen to take. All streams together have the budget: half of it with each [`Event::Pressure`], at
/// least a 64th, and twice as much again after each second without.
#[derive(Clone, Debug)]
pub struct Adaptive {
    geometry: Geometry,
    // Their tables would be too much for the stack of a worker, which moves a policy when it is made.
    strides: Box<StridePart>,
    forward: Box<Ramp>,
    backward: Box<Backward>,
    squeeze: Squeeze,
    latency: Latency,
}

impl Adaptive {
    /// For a mapping of this shape.
    #[must_use]
    pub fn new(geometry: Geometry) -> Adaptive {
        let latency = Latency::new();
        let strides = boxed(StridePart::new, geometry);
        let mut forward = boxed(Ramp::new, geometry);
        forward.follow_pace(latency.lead());
        let backward = boxed(Backward::new, geometry);
        let squeeze = Squeeze::new(geometry.budget);
        Adaptive { geometry, strides, forward, backward, squeeze, latency }
    }

    fn marked(&mut self, range: PageRange, at: Nanos, plan: &mut Plan) {
        match self.forward.claim(range, at) {
            Claim::No => self.touched(range, at, plan),
            claim => self.plan_forward(claim, plan),
        }
    }

    fn touched(&mut self, range: PageRange, at: Nanos, plan: &mut Plan) {
        match self.strides.claim(range, at, plan) {
            Claim::No => {}
            Claim::Quiet => return,
            Claim::Plan(slot) => return self.plan_stride(slot, plan),
        }
        match self.forward.claim(range, at) {
            Claim::No => {}
            claim => return self.plan_forward(claim, plan),
        }
        match self.backward.claim(range, at) {
            Claim::No => self.begin(range, at, plan),
            Claim::Quiet => {}
            Claim::Plan(slot) => {
                let elsewhere = self.forward.ahead().0 + self.strides.ahead().0;
                self.backward.plan_ahead(slot, PageCount(elsewhere), plan);
            }
        }
    }

    /// A touch that belongs to nobody: it shows a stride, or a run may begin with it.
    fn begin(&mut self, range: PageRange, at: Nanos, plan: &mut Plan) {
        let (forward, around) = (&self.forward, self.geometry.fault_around);
        // What one fault maps says nothing about how much is read.
        let extent_of = |page: PageIndex| match forward.run_from(page) {
            run if run > around => run,
            _ => PageCount(0),
        };
        if let Some(slot) = self.strides.learn(range, at, extent_of) {
            return self.plan_stride(slot, plan);
        }
        self.backward.begin(range, at);
        let claim = self.forward.begin(range, at);
        self.plan_forward(claim, plan);
    }

    /// One of more touches at once than readers that run can be told apart: strides may have left
    /// them all.
    fn scattered(&mut self, range: PageRange, at: Nanos, plan: &mut Plan) {
        let slot = match self.strides.claim(range, at, plan) {
            Claim::No => self.strides.learn(range, at, |_| PageCount(0)),
            Claim::Quiet => None,
            Claim::Plan(slot) => Some(slot),
        };
        if let Some(slot) = slot {
            self.plan_stride(slot, plan);
        }
    }

    fn plan_stride(&mut self, slot: usize, plan: &mut Plan) {
        let elsewhere = self.forward.ahead().0 + self.backward.ahead().0;
        self.strides.plan_ahead(slot, PageCount(elsewhere), plan);
    }

    fn plan_forward(&mut self, claim: Claim, plan: &mut Plan) {
        if let Claim::Plan(slot) = claim {
            let elsewhere = self.backward.ahead().0 + self.strides.ahead().0;
            self.forward.plan_ahead(slot, PageCount(elsewhere), plan);
        }
    }
}

impl Policy for Adaptive {
    fn name(&self) -> &'static str {
        "adaptive"
    }

    fn on(&mut self, event: &Event<'_>, plan: &mut Plan) {
        if let Some(budget) = self.squeeze.hear(event) {
            self.forward.allow(budget);
            self.backward.allow(budget);
            self.strides.allow(budget);
        }
        match *event {
            // A marker was left out of a run's window.
            Event::Touch { page, at, source: Source::Marker } => {
                self.marked(self.geometry.around(page), at, plan);
            }
            Event::Touch { page, at, .. } => {
                self.touched(self.geometry.around(page), at, plan);
                self.strides.end_look();
            }
            Event::Touched { pages, at } if is_scattered(pages) => {
                let some = pages.iter().take(SCATTERED_MAX);
                some.for_each(|&range| self.scattered(range, at, plan));
                self.strides.end_look();
            }
            Event::Touched { pages, at } => {
                pages.iter().for_each(|&range| self.touched(range, at, plan));
                self.strides.end_look();
            }
            Event::ReadOn { pages, at } => {
                self.strides.read_on(pages, at, plan);
            }
            _ => {
                if let Event::Arrived { took, .. } = *event {
                    self.latency.measured(took);
                    self.forward.follow_pace(self.latency.lead());
                }
                self.strides.hear(event);
                self.forward.hear(event);
                self.backward.hear(event);
            }
        }
    }

    fn streams(&self) -> u64 {
        self.forward.live() + self.backward.live() + self.strides.live()
    }
}
