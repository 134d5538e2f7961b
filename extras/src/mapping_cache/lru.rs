//! Entries by file and by the time of their last use. Pure: no clock, no system call.

use std::collections::HashMap;
use std::sync::Arc;

use super::identity::{FileId, Identity};

pub(super) struct Entry<M> {
    pub(super) identity: Identity,
    pub(super) map: Arc<M>,
}

/// Entries, the one that was used longest ago first.
///
/// They lie in a ring in the order of their use: a hit changes six links, however many entries there are.
pub(super) struct Lru<M> {
    places: HashMap<FileId, usize>,
    /// The first is of no entry: the ring begins and ends there.
    slots: Vec<Slot<M>>,
    free: Vec<usize>,
    bytes: u64,
}

struct Slot<M> {
    /// Which slot was used next after this one, and which before. The newest has the first slot after it.
    newer: usize,
    older: usize,
    entry: Option<Entry<M>>,
}

/// The place of the slot without an entry.
const ENDS: usize = 0;

impl<M> Lru<M> {
    pub(super) fn new() -> Lru<M> {
        let ends = Slot { newer: ENDS, older: ENDS, entry: None };
        Lru { places: HashMap::new(), slots: vec![ends], free: Vec::new(), bytes: 0 }
    }

    /// Bytes of the files of all entries.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The entry of `file`, now the most recently used.
    pub(super) fn touch(&mut self, file: FileId) -> Option<&Entry<M>> {
        let place = *self.places.get(&file)?;
        self.unlink(place);
        self.link_as_newest(place);
        self.slots[place].entry.as_ref()
    }

    /// Takes in an entry, as the most recently used. There must be none of this file.
    pub(super) fn insert(&mut self, entry: Entry<M>) {
        let file = entry.identity.file;
        self.bytes += entry.identity.len;
        let slot = Slot { newer: ENDS, older: ENDS, entry: Some(entry) };
        let place = self.free.pop().unwrap_or(self.slots.len());
        match self.slots.get_mut(place) {
            Some(free) => *free = slot,
            None => self.slots.push(slot),
        }
        self.link_as_newest(place);
        let before = self.places.insert(file, place);
        assert!(before.is_none(), "two entries of one file");
    }

    pub(super) fn remove(&mut self, file: FileId) -> Option<Entry<M>> {
        let place = self.places.remove(&file)?;
        self.unlink(place);
        self.free.push(place);
        let entry = self.slots[place].entry.take()?;
        self.bytes -= entry.identity.len;
        Some(entry)
    }

    pub(super) fn remove_oldest(&mut self) -> Option<Entry<M>> {
        let oldest = self.slots[ENDS].newer;
        let file = self.slots[oldest].entry.as_ref()?.identity.file;
        self.remove(file)
    }

    fn unlink(&mut self, place: usize) {
        let Slot { newer, older, .. } = self.slots[place];
        self.slots[older].newer = newer;
        self.slots[newer].older = older;
    }

    fn link_as_newest(&mut self, place: usize) {
        let newest = self.slots[ENDS].older;
        self.slots[newest].newer = place;
        self.slots[place].older = newest;
        self.slots[place].newer = ENDS;
        self.slots[ENDS].older = place;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(number: u64) -> Entry<u64> {
        Entry { identity: Identity::of_test(number), map: Arc::new(number) }
    }

    fn file(number: u64) -> FileId {
        Identity::of_test(number).file
    }

    proptest! {
        /// Against a list in which the oldest is the first.
        #[test]
        fn it_is_a_list_in_the_order_of_use(
            steps in prop::collection::vec((0_u8..4, 0_u64..12), 0..200),
        ) {
            let (mut lru, mut model) = (Lru::new(), Vec::<u64>::new());
            for (step, number) in steps {
                let at = model.iter().position(|&one| one == number);
                match step {
                    0 if at.is_none() => {
                        lru.insert(entry(number));
                        model.push(number);
                    }
                    1 => {
                        let removed = lru.remove(file(number)).map(|entry| *entry.map);
                        prop_assert_eq!(removed, at.map(|at| model.remove(at)));
                    }
                    2 => {
                        let oldest = lru.remove_oldest().map(|entry| *entry.map);
                        prop_assert_eq!(oldest, (!model.is_empty()).then(|| model.remove(0)));
                    }
                    _ => {
                        let touched = lru.touch(file(number)).map(|entry| *entry.map);
                        let moved = at.map(|at| model.remove(at));
                        model.extend(moved);
                        prop_assert_eq!(touched, moved);
                    }
                }
                prop_assert_eq!(lru.len(), model.len());
                prop_assert_eq!(lru.bytes(), model.iter().sum::<u64>());
            }
            let left: Vec<u64> = std::iter::from_fn(|| lru.remove_oldest()).map(|e| *e.map).collect();
            prop_assert_eq!(left, model);
        }
    }
}
