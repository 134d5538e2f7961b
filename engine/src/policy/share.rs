use crate::page::PageCount;

/// The budget of all streams of a policy, and what of it one stream may have ahead of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    budget: PageCount,
}

impl Share {
    pub(super) fn of(budget: PageCount) -> Share {
        Share { budget }
    }

    /// Memory is short, or is not any more.
    pub(super) fn allow(&mut self, budget: PageCount) {
        self.budget = budget;
    }

    /// For one of `streams` of its kind: an equal share, with one left for the next that comes (half of the
    /// budget for one alone), but no more than is left by the pages that are ahead of all others.
    pub(super) fn room(&self, streams: u64, ahead_of_others: PageCount) -> PageCount {
        let share = PageCount(self.budget.0 / (streams.max(1) + 1));
        share.min(PageCount(self.budget.0.saturating_sub(ahead_of_others.0)))
    }
}
