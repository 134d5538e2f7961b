//! Records of several rings, in the order of time.

use super::events::Event;

/// Events that were read and may still be overtaken by earlier ones from another ring.
#[derive(Debug, Default)]
pub(super) struct Order {
    waiting: Vec<Event>,
    /// When the last round began: whatever happened before was in its ring by the end of it.
    round_ns: u64,
}

impl Order {
    /// A round begins; the events of all rings follow.
    pub(super) fn take(&mut self, events: impl IntoIterator<Item = Event>) {
        self.waiting.extend(events);
    }

    /// The round that began at `round_ns` is over: gives out, in order, what happened before the round
    /// *before* it began. The kernel takes the time a moment before it writes the record, so the
    /// last round's own begin would be too late a limit.
    pub(super) fn settled(&mut self, round_ns: u64) -> Vec<Event> {
        self.waiting.sort_by_key(|event| event.at_ns);
        let count = self.waiting.partition_point(|event| event.at_ns < self.round_ns);
        self.round_ns = round_ns;
        self.waiting.drain(..count).collect()
    }

    /// Everything is over: all that is left.
    pub(super) fn rest(mut self) -> Vec<Event> {
        self.waiting.sort_by_key(|event| event.at_ns);
        self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::super::events::What;
    use super::*;

    fn event(at_ns: u64) -> Event {
        Event { at_ns, pid: 1, what: What::Exec }
    }

    #[test]
    fn a_late_record_of_another_ring_still_comes_in_order() {
        let times = |events: Vec<Event>| events.iter().map(|event| event.at_ns).collect::<Vec<_>>();
        let mut order = Order::default();
        order.take([event(8), event(3)]);
        assert!(order.settled(10).is_empty());
        order.take([event(9), event(11), event(15)]);
        assert_eq!(times(order.settled(20)), [3, 8, 9]);
        order.take([event(12)]);
        assert_eq!(times(order.settled(30)), [11, 12, 15]);
        order.take([event(31), event(29)]);
        assert_eq!(times(order.rest()), [29, 31]);
    }
}
