/// Whether a touch belongs to a stream of some part of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// To none.
    No,
    /// To one that needs nothing for now.
    Quiet,
    /// To the one in this slot, which is to be planned ahead of.
    Plan(usize),
}
