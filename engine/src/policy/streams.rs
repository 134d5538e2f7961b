use super::backward::Backward;
use super::ramp::{Ramp, is_scattered};
use super::{Event, Geometry, Plan, Policy};
use crate::page::{Nanos, PageCount, PageIndex, PageRange};

/// Runs in both directions, up to 64 each way, interleaved in any order.
///
/// Forward runs are [`Ramp`]'s. Backward runs are read in steps of 64 KiB, twice as far as they are
/// long, up to 8 MiB, and left to the reader to map: the kernel reads nothing ahead of such a reader.
#[derive(Clone, Debug)]
pub struct Streams {
    geometry: Geometry,
    forward: Ramp,
    backward: Backward,
}

impl Streams {
    /// For a mapping of this shape.
    #[must_use]
    pub fn new(geometry: Geometry) -> Streams {
        Streams { geometry, forward: Ramp::new(geometry), backward: Backward::new(geometry) }
    }

    /// See [`Ramp`]: the reader's pace decides from now on.
    pub(super) fn follow_pace(&mut self, latency: Nanos) {
        self.forward.follow_pace(latency);
    }

    /// How many pages were read in one go from `page` on, if more than one fault maps anyway.
    pub(super) fn run_from(&self, page: PageIndex) -> PageCount {
        let run = self.forward.run_from(page);
        if run > self.geometry.fault_around { run } else { PageCount(0) }
    }

    /// Takes in what is no touch.
    pub(super) fn hear(&mut self, event: &Event<'_>) {
        self.forward.hear(event);
        self.backward.hear(event);
    }

    /// Whether `touched` belongs to a run, which is planned ahead of then.
    pub(super) fn claim(&mut self, touched: PageRange, at: Nanos, plan: &mut Plan) -> bool {
        self.forward.claim(touched, at, plan) || self.backward.claim(touched, at, plan)
    }

    /// A run may begin with `touched`, in either direction.
    pub(super) fn begin(&mut self, touched: PageRange, at: Nanos, plan: &mut Plan) {
        self.forward.begin(touched, at, plan);
        self.backward.begin(touched, at);
    }
}

impl Policy for Streams {
    fn name(&self) -> &'static str {
        "streams"
    }

    fn on(&mut self, event: &Event<'_>, plan: &mut Plan) {
        let geometry = self.geometry;
        let around = |page| geometry.around(page);
        let mut touched = |range, at| {
            if !self.claim(range, at, plan) {
                self.begin(range, at, plan);
            }
        };
        match *event {
            Event::Touch { page, at, .. } => touched(around(page), at),
            Event::Touched { pages, .. } if is_scattered(pages) => {}
            Event::Touched { pages, at } => pages.iter().for_each(|&range| touched(range, at)),
            _ => self.hear(event),
        }
    }
}
