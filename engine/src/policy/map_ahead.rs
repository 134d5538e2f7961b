use super::{Event, Geometry, Plan, Policy};

/// Stub.
#[derive(Clone, Debug)]
pub struct MapAhead;

impl MapAhead {
    /// Stub.
    #[must_use]
    pub fn new(_geometry: Geometry) -> MapAhead {
        MapAhead
    }
}

impl Policy for MapAhead {
    fn name(&self) -> &'static str {
        "map-ahead"
    }

    fn on(&mut self, _event: &Event<'_>, _plan: &mut Plan) {}
}
