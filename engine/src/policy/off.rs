use super::{Event, Plan, Policy};

/// Plans nothing, whatever happens: the baseline, and the proof that following costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Off;

impl Policy for Off {
    fn name(&self) -> &'static str {
        "off"
    }

    fn on(&mut self, _event: &Event<'_>, _plan: &mut Plan) {}
}
