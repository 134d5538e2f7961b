use super::claim::Claim;
use super::course::{self, Course};
use super::share::Share;
use super::squeeze::Squeeze;
use super::tempo::Latency;
use super::{Event, Geometry, Plan, Policy, StreamId};
use crate::detect::{STRIDES_MAX, Stepped, Strides};
use crate::page::{Nanos, PageCount, PageIndex, PageRange};

/// Steps in flight of one stride: the depth at which a disk gives all that it has. Measured on a
/// virtual disk: 157 us an access with one read in flight, 8 us with 32 to 64.
const STEPS_AHEAD_MAX: u64 = 128;
const STEPS_AHEAD_MIN: u64 = 4;

/// Strides: steps of constant distance, forwards or backwards, a page or a block read at each, up to
/// 64 of them at once, whatever else is read in between. Each step is read alone.
///
/// A stride is believed after four touches (more where the file is so small that chance would make some,
/// two where a proven one goes on elsewhere). It is read ahead of by twice the steps that it has taken,
/// up to 128, or twice as many as its reader takes while the device answers twice; all strides together have
/// half the budget. Steps that are in memory already make it pause, longer each time.
#[derive(Clone, Debug)]
pub struct Stride {
    part: StridePart,
    squeeze: Squeeze,
}

impl Stride {
    /// For a mapping of this shape.
    #[must_use]
    pub fn new(geometry: Geometry) -> Stride {
        Stride { part: StridePart::new(geometry), squeeze: Squeeze::new(geometry.budget) }
    }
}

impl Policy for Stride {
    fn name(&self) -> &'static str {
        "stride"
    }

    fn on(&mut self, event: &Event<'_>, plan: &mut Plan) {
        if let Some(budget) = self.squeeze.hear(event) {
            self.part.allow(budget);
        }
        self.part.hear(event);
        let geometry = self.part.geometry;
        let mut touched = |range, at| match self.part.claim(range, at, plan) {
            Claim::No => {
                if let Some(slot) = self.part.learn(range, at, |_| PageCount(0)) {
                    self.part.plan_ahead(slot, PageCount(0), plan);
                }
            }
            Claim::Quiet => {}
            Claim::Plan(slot) => self.part.plan_ahead(slot, PageCount(0), plan),
        };
        match *event {
            Event::Touch { page, at, .. } => touched(geometry.around(page), at),
            Event::Touched { pages, at } => pages.iter().for_each(|&range| touched(range, at)),
            Event::ReadOn { pages, at } => self.part.read_on(pages, at, plan),
            _ => return,
        }
        self.part.end_look();
    }

    fn streams(&self) -> u64 {
        self.part.live()
    }
}

/// The strides of a policy that knows other streams too.
#[derive(Clone, Debug)]
pub(super) struct StridePart {
    geometry: Geometry,
    strides: Strides,
    /// Of the stride in the same slot.
    courses: [Course; STRIDES_MAX],
    latency: Latency,
    share: Share,
}

impl StridePart {
    pub(super) fn new(geometry: Geometry) -> StridePart {
        StridePart {
            geometry,
            strides: Strides::new(geometry.pages, geometry.fault_around),
            courses: [Course::default(); STRIDES_MAX],
            latency: Latency::new(),
            share: Share::of(geometry.budget),
        }
    }

    /// Takes in what is no touch.
    pub(super) fn hear(&mut self, event: &Event<'_>) {
        if let Some((range, outcome)) = course::hear(event, &mut self.latency)
            && let Some(slot) = self.strides.planned_for(range)
        {
            self.courses[slot].fetched(outcome);
        }
    }

    /// Whether `touched` belongs to a stride.
    pub(super) fn claim(&mut self, touched: PageRange, at: Nanos, plan: &mut Plan) -> Claim {
        match self.strides.claim(touched) {
            None => Claim::No,
            Some(Stepped::Behind(_) | Stepped::Inside(_)) => Claim::Quiet,
            Some(Stepped::Grew { slot, from }) => {
                self.read_more(slot, from, plan);
                Claim::Quiet
            }
            Some(Stepped::Advanced { slot, by }) => {
                let steps = u64::from(by);
                let rests = self.courses[slot].went(steps, steps, at);
                if rests { Claim::Quiet } else { Claim::Plan(slot) }
            }
        }
    }

    /// Readers went on behind their steps.
    pub(super) fn read_on(&mut self, pages: &[PageRange], at: Nanos, plan: &mut Plan) {
        for &range in pages {
            // What belongs to no step is no touch of its own either.
            let _ = self.claim(range, at, plan);
        }
    }

    /// A touch that belongs to nobody: the slot of the stride that it shows, if it does.
    pub(super) fn learn(
        &mut self,
        touched: PageRange,
        at: Nanos,
        extent_of: impl Fn(PageIndex) -> PageCount,
    ) -> Option<usize> {
        let slot = self.strides.learn(touched, extent_of)?;
        self.courses[slot] = Course::begun(at);
        Some(slot)
    }

    /// All of a look has been told.
    pub(super) fn end_look(&mut self) {
        self.strides.end_look();
    }

    /// The steps that are planned were `from` pages long, and more of them is read.
    fn read_more(&mut self, slot: usize, from: PageCount, plan: &mut Plan) {
        let stride = self.strides.stride(slot);
        for ahead in 1..=stride.planned {
            if let Some(at) = stride.position(i64::from(ahead)) {
                let more = PageRange::new(at.plus(from), at.plus(stride.extent));
                plan.step_more(more.intersect(self.whole()));
            }
        }
    }

    /// The pages ahead of all live strides, planned and not touched yet.
    pub(super) fn ahead(&self) -> PageCount {
        self.strides.ahead()
    }

    /// Memory is short, or is not any more.
    pub(super) fn allow(&mut self, budget: PageCount) {
        self.share.allow(budget);
    }

    /// The strides that are alive.
    pub(super) fn live(&self) -> u64 {
        self.strides.live()
    }

    /// Plans ahead of the stride in `slot`, beside what is ahead of streams of other kinds.
    pub(super) fn plan_ahead(&mut self, slot: usize, elsewhere: PageCount, plan: &mut Plan) {
        let stride = *self.strides.stride(slot);
        let target = self.steps_ahead(slot, elsewhere);
        let mut planned = stride.planned;
        if self.courses[slot].is_trying() {
            planned = planned.max(target.saturating_sub(1));
        }
        while planned < target {
            let step = stride.step(planned + 1).map(|step| step.intersect(self.whole()));
            let Some(step) = step.filter(|step| !step.is_empty()) else { break };
            plan.step(StreamId(stride.id), step);
            planned += 1;
        }
        self.strides.planned(slot, planned);
    }

    fn whole(&self) -> PageRange {
        PageRange::at(PageIndex(0), self.geometry.pages)
    }

    /// How many steps ahead of its reader this stride is wanted.
    fn steps_ahead(&self, slot: usize, elsewhere: PageCount) -> u32 {
        let stride = self.strides.stride(slot);
        // Where steps are not whole pages apart, the further ahead the less is known.
        let steps = u64::try_from(stride.score).unwrap_or(0);
        let trusted = if stride.is_exact { steps * 2 } else { (steps / 2).max(1) };
        // Twice as many: of a reader that waits for us only our own pace is known.
        let wanted = self.courses[slot].units_until(&self.latency);
        let wanted = wanted.map_or(STEPS_AHEAD_MAX, |steps| steps.saturating_mul(2));
        let others = PageCount(self.strides.ahead_of_others(slot).0 + elsewhere.0);
        let room = self.share.room(self.strides.live(), others).0 / stride.step_len().0.max(1);
        let steps = wanted.clamp(STEPS_AHEAD_MIN, STEPS_AHEAD_MAX).min(trusted).min(room);
        steps as u32
    }
}
