use super::{Event, Geometry, Plan, Policy};

/// Stub.
#[derive(Clone, Debug)]
pub struct Fixed;

impl Fixed {
    /// Stub.
    #[must_use]
    pub fn new(_geometry: Geometry) -> Fixed {
        Fixed
    }
}

impl Policy for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn on(&mut self, _event: &Event<'_>, _plan: &mut Plan) {}
}
