use super::ramp::is_scattered;
use super::streams::Streams;
use super::stride::StridePart;
use super::tempo::Latency;
use super::{Event, Geometry, Plan, Policy};
use crate::page::{Nanos, PageCount, PageRange};

/// Picks for each stream what suits it: runs as [`Streams`](super::Streams) reads them, strides as
/// [`Stride`](super::Stride) does, and what is neither is left alone.
///
/// How far ahead is early enough follows from the pace of each reader and from how long the device
/// was seen to take.
#[derive(Clone, Debug)]
pub struct Adaptive {
    geometry: Geometry,
    strides: StridePart,
    runs: Streams,
    latency: Latency,
}

impl Adaptive {
    /// For a mapping of this shape.
    #[must_use]
    pub fn new(geometry: Geometry) -> Adaptive {
        let mut runs = Streams::new(geometry);
        let latency = Latency::new();
        runs.follow_pace(latency.lead());
        Adaptive { geometry, strides: StridePart::new(geometry), runs, latency }
    }

    fn scattered(&mut self, range: PageRange, at: Nanos, plan: &mut Plan) {
        if !self.strides.claim(range, at, plan) {
            self.strides.learn(range, at, |_| PageCount(0), plan);
        }
    }

    fn touched(&mut self, range: PageRange, at: Nanos, plan: &mut Plan) {
        let is_claimed = self.strides.claim(range, at, plan) || self.runs.claim(range, at, plan);
        if is_claimed {
            return;
        }
        let runs = &self.runs;
        let is_stride = self.strides.learn(range, at, |page| runs.run_from(page), plan);
        if !is_stride {
            self.runs.begin(range, at, plan);
        }
    }
}

impl Policy for Adaptive {
    fn name(&self) -> &'static str {
        "adaptive"
    }

    fn on(&mut self, event: &Event<'_>, plan: &mut Plan) {
        match *event {
            Event::Touch { page, at, .. } => {
                self.touched(self.geometry.around(page), at, plan);
            }
            // Too many places for readers that run; one that strides may have left them all.
            Event::Touched { pages, at } if is_scattered(pages) => {
                pages.iter().for_each(|&range| self.scattered(range, at, plan));
            }
            Event::Touched { pages, at } => {
                pages.iter().for_each(|&range| self.touched(range, at, plan));
            }
            _ => {
                if let Event::Arrived { took, .. } = *event {
                    self.latency.measured(took);
                    self.runs.follow_pace(self.latency.lead());
                }
                self.strides.hear(event);
                self.runs.hear(event);
            }
        }
    }
}
