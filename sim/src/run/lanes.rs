//! One stream of items, and the readers that each take theirs.

use std::collections::VecDeque;

use crate::Error;
use crate::workload::{Item, Items};

/// Items that may wait for a reader while another one is ahead of it.
const WAITING_MAX: usize = 1 << 20;

pub(crate) struct Lanes {
    items: Items,
    /// What was met on the way to somebody else's item.
    waiting: Vec<VecDeque<Item>>,
}

impl Lanes {
    pub(crate) fn new(items: Items, threads: u32) -> Lanes {
        Lanes { items, waiting: vec![VecDeque::new(); threads as usize] }
    }

    /// Whether the first item maps a file.
    pub(crate) fn begins_with_map(&mut self) -> Result<bool, Error> {
        let Some(first) = self.items.next().transpose()? else { return Ok(false) };
        self.keep(first)?;
        Ok(matches!(first, Item::Map { .. }))
    }

    /// The next item of `thread`.
    #[inline]
    pub(crate) fn next(&mut self, thread: u32) -> Result<Option<Item>, Error> {
        if let Some(item) = self.waiting[thread as usize].pop_front() {
            return Ok(Some(item));
        }
        loop {
            match self.items.next().transpose()? {
                Some(item) if item.thread() != thread => self.keep(item)?,
                item => return Ok(item),
            }
        }
    }

    fn keep(&mut self, item: Item) -> Result<(), Error> {
        let Some(lane) = self.waiting.get_mut(item.thread() as usize) else {
            return Err(Error::Setup {
                what: "an item of a reader that the workload does not have",
            });
        };
        if lane.len() == WAITING_MAX {
            return Err(Error::Setup { what: "a reader is a million items behind another" });
        }
        lane.push_back(item);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(thread: u32, offset: u64) -> Item {
        Item::Map { thread, offset, len: 1 }
    }

    #[test]
    fn each_reader_takes_its_own_in_order() {
        let all = [item(0, 0), item(1, 1), item(1, 2), item(0, 3)];
        let mut lanes = Lanes::new(Box::new(all.into_iter().map(Ok)), 2);
        assert!(lanes.begins_with_map().unwrap());
        assert_eq!(lanes.next(1).unwrap(), Some(item(1, 1)));
        assert_eq!(lanes.next(0).unwrap(), Some(item(0, 0)));
        assert_eq!(lanes.next(0).unwrap(), Some(item(0, 3)));
        assert_eq!(lanes.next(0).unwrap(), None);
        assert_eq!(lanes.next(1).unwrap(), Some(item(1, 2)));
        assert_eq!(lanes.next(1).unwrap(), None);
    }

    #[test]
    fn a_reader_that_the_workload_does_not_have_is_refused() {
        let mut lanes = Lanes::new(Box::new([Ok(item(5, 0))].into_iter()), 1);
        assert!(lanes.next(0).is_err());
    }
}
