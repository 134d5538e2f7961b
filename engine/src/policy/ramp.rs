use super::{Event, Geometry, Plan, Policy};

/// Stub.
#[derive(Clone, Debug)]
pub struct Ramp;

impl Ramp {
    /// Stub.
    #[must_use]
    pub fn new(_geometry: Geometry) -> Ramp {
        Ramp
    }
}

impl Policy for Ramp {
    fn name(&self) -> &'static str {
        "ramp"
    }

    fn on(&mut self, _event: &Event<'_>, _plan: &mut Plan) {}
}
