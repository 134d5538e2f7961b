//! What the budget of the process leaves room for.

use super::{Kit, Work};
use crate::page::{ByteLen, Nanos, PageCount, PageRange};
use crate::policy::{Event, Step, Window};
use crate::runtime::clock;
use crate::stats::Counters;

impl Kit {
    /// The part of `range`, from its start on, that may be fetched: all of it, or whole blocks. The rest is
    /// left to the kernel, and with it all that is queued and was not fetched before.
    pub(super) fn within_process(&mut self, range: PageRange, counters: &Counters) -> PageRange {
        let page_size = self.view.page_size;
        let fresh = self.ledger.missing(range);
        let taken = self.hold.take(page_size.len_of(fresh).0, clock::now());
        let taken = page_size.whole_pages_in(ByteLen(taken));
        if taken >= fresh {
            return range;
        }
        let part = PageCount(taken.0 - taken.0 % self.view.block_len().0);
        let part = PageRange::at(range.start, part);
        self.leave(PageRange::new(part.end, range.end), counters);
        part
    }

    /// Gives back what was passed, given up, or taken and not fetched. No policy has more ahead of its readers
    /// than the mapping's own budget: what the ledger holds beyond that was passed by one too fast to be
    /// seen everywhere.
    pub(super) fn settle(&mut self, now: Nanos) {
        self.ledger.age(now);
        let ahead = self.ledger.ahead().min(self.budget);
        self.hold.settle(self.view.page_size.len_of(ahead).0, now);
    }

    /// Has the policy plan `rest` again when the reader goes on, and less than until now.
    fn leave(&mut self, rest: PageRange, counters: &Counters) {
        let Kit { pending, ledger, policy, plan, hold, .. } = self;
        policy.on(&Event::Evicted { range: rest }, plan);
        ledger.unplan(rest);
        pending.retain(|work| {
            let range = work.range();
            let is_fetched = ledger.missing(range) == PageCount(0);
            if !is_fetched {
                policy.on(&Event::Evicted { range }, plan);
                ledger.unplan(range);
            }
            is_fetched
        });
        Counters::add(&counters.over_budget, 1);
        if hold.is_news(clock::now()) {
            Counters::add(&counters.pressures, 1);
            policy.on(&Event::Pressure, plan);
        }
    }
}

impl Work {
    pub(super) fn range(self) -> PageRange {
        match self {
            Work::Read(range)
            | Work::Map(Window { range, .. })
            | Work::Step(Step { range, .. }) => range,
        }
    }
}
