use super::rest::Rest;
use super::tempo::{Latency, Tempo};
use super::{Event, Fetch, Outcome};
use crate::page::{Nanos, PageRange};

/// How a stream goes whose steps are read and left to its reader to map: how fast, and whether through memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Course {
    tempo: Tempo,
    rest: Rest,
}

impl Course {
    /// One that begins at `at`.
    pub(super) fn begun(at: Nanos) -> Course {
        let mut course = Course::default();
        course.tempo.went(0, at);
        course
    }

    /// The reader went on by `units` of its way, which are `steps`; whether nothing is planned for it now.
    pub(super) fn went(&mut self, units: u64, steps: u64, at: Nanos) -> bool {
        self.tempo.went(units, at);
        self.rest.rests_for(steps)
    }

    /// How many units it goes until what is asked for now is there; none while nobody knows.
    pub(super) fn units_until(&self, device: &Latency) -> Option<u64> {
        self.tempo.units_in(device.lead())
    }

    /// Whether no more than one step is to be tried, as far out as it would be read: what is near may be the
    /// kernel's own doing.
    pub(super) fn is_trying(&self) -> bool {
        self.rest.is_trying()
    }

    /// A step of it was fetched, or was there already: a warm file, or a part of one.
    pub(super) fn fetched(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Resident => self.rest.found_resident(),
            Outcome::Done | Outcome::Refused => self.rest.found_absent(),
        }
    }
}

/// Takes in what is no touch: tells the device's latency, and answers with the step that was fetched, if one was.
pub(super) fn hear(event: &Event<'_>, device: &mut Latency) -> Option<(PageRange, Outcome)> {
    match *event {
        Event::Arrived { took, .. } => {
            device.measured(took);
            None
        }
        Event::Fetched { what: Fetch::Step, range, outcome, .. } => Some((range, outcome)),
        _ => None,
    }
}
