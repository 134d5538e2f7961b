use super::backward::Backward;
use super::claim::Claim;
use super::ramp::{Ramp, is_scattered};
use super::squeeze::Squeeze;
use super::{Event, Geometry, Plan, Policy, boxed};
use crate::page::{Nanos, PageRange};

/// Runs in both directions, up to 64 each way, interleaved in any order.
///
/// Forward runs are [`Ramp`]'s. Backward runs are read in steps of 64 KiB, twice as far as they are
/// long, up to 8 MiB, and left to the reader to map: the kernel reads nothing ahead of such a reader.
#[derive(Clone, Debug)]
pub struct Streams {
    geometry: Geometry,
    forward: Box<Ramp>,
    backward: Box<Backward>,
    squeeze: Squeeze,
}

impl Streams {
    /// For a mapping of this shape.
    #[must_use]
    pub fn new(geometry: Geometry) -> Streams {
        let squeeze = Squeeze::new(geometry.budget);
        let (forward, backward) = (boxed(Ramp::new, geometry), boxed(Backward::new, geometry));
        Streams { geometry, forward, backward, squeeze }
    }

    fn touched(&mut self, range: PageRange, at: Nanos, plan: &mut Plan) {
        match self.forward.claim(range, at) {
            Claim::No => {}
            claim => return self.plan_forward(claim, plan),
        }
        match self.backward.claim(range, at) {
            Claim::No => {
                self.backward.begin(range, at);
                let claim = self.forward.begin(range, at);
                self.plan_forward(claim, plan);
            }
            Claim::Quiet => {}
            Claim::Plan(slot) => self.backward.plan_ahead(slot, self.forward.ahead(), plan),
        }
    }

    fn plan_forward(&mut self, claim: Claim, plan: &mut Plan) {
        if let Claim::Plan(slot) = claim {
            self.forward.plan_ahead(slot, self.backward.ahead(), plan);
        }
    }
}

impl Policy for Streams {
    fn name(&self) -> &'static str {
        "streams"
    }

    fn on(&mut self, event: &Event<'_>, plan: &mut Plan) {
        if let Some(budget) = self.squeeze.hear(event) {
            self.forward.allow(budget);
            self.backward.allow(budget);
        }
        match *event {
            Event::Touch { page, at, .. } => self.touched(self.geometry.around(page), at, plan),
            Event::Touched { pages, .. } if is_scattered(pages) => {}
            Event::Touched { pages, at } => {
                pages.iter().for_each(|&range| self.touched(range, at, plan));
            }
            _ => {
                self.forward.hear(event);
                self.backward.hear(event);
            }
        }
    }

    fn streams(&self) -> u64 {
        self.forward.live() + self.backward.live()
    }
}
