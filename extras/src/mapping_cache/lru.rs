//! Entries by file and by the time of their last use. Pure: no clock, no system call.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::identity::{FileId, Identity};

/// A number for each use, larger for later ones.
type Tick = u64;

pub(super) struct Entry<M> {
    pub(super) identity: Identity,
    pub(super) map: Arc<M>,
    /// By which it was asked for, when it was mapped.
    path: Arc<Path>,
    /// When it was last used.
    used: AtomicU64,
    /// Under which tick it is queued: that of its last use, or of an earlier one.
    queued: Tick,
}

/// Entries, the one that was used longest ago first.
///
/// A hit writes one number into its entry, and many threads may hit at once. The order is put right when
/// it is asked for: whoever was used since it was queued is queued again, once for all its uses.
pub(super) struct Lru<M> {
    entries: HashMap<FileId, Entry<M>>,
    queue: BTreeMap<Tick, FileId>,
    /// Where a path led when its file was mapped.
    led: HashMap<Arc<Path>, FileId>,
    ticks: AtomicU64,
    bytes: u64,
}

impl<M> Lru<M> {
    pub(super) fn new() -> Lru<M> {
        let (entries, queue, led) = (HashMap::new(), BTreeMap::new(), HashMap::new());
        Lru { entries, queue, led, ticks: AtomicU64::new(0), bytes: 0 }
    }

    /// Bytes of the files of all entries.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The mapping of a file in just this state, now the most recently used.
    pub(super) fn touch(&self, identity: &Identity) -> Option<&Arc<M>> {
        let entry = self.entries.get(&identity.file)?;
        if entry.identity != *identity {
            return None;
        }
        entry.used.store(self.tick(), Ordering::Relaxed);
        Some(&entry.map)
    }

    /// Takes in what `path` leads to, as the most recently used, and gives back what was there of the same file.
    pub(super) fn insert(
        &mut self,
        path: &Path,
        identity: Identity,
        map: Arc<M>,
    ) -> Option<Entry<M>> {
        let before = self.remove(identity.file);
        let (path, queued): (Arc<Path>, _) = (path.into(), self.tick());
        self.bytes += identity.len;
        self.queue.insert(queued, identity.file);
        self.led.insert(Arc::clone(&path), identity.file);
        let entry = Entry { identity, map, path, used: AtomicU64::new(queued), queued };
        self.entries.insert(identity.file, entry);
        before
    }

    /// Takes out what `path` led to, unless it leads there still, and in just this state: `now`, or nowhere.
    pub(super) fn remove_stale(&mut self, path: &Path, now: Option<&Identity>) -> Option<Entry<M>> {
        let file = self.led.get(path).copied().or(now.map(|now| now.file))?;
        let held = self.entries.get(&file)?;
        if Some(&held.identity) == now { None } else { self.remove(file) }
    }

    pub(super) fn remove_oldest(&mut self) -> Option<Entry<M>> {
        loop {
            let (tick, file) = self.queue.pop_first()?;
            let entry = self.entries.get_mut(&file).expect("what is queued is held");
            let used = *entry.used.get_mut();
            // Nobody was used before the first of the queue.
            if used == tick {
                return self.remove(file);
            }
            entry.queued = used;
            self.queue.insert(used, file);
        }
    }

    fn remove(&mut self, file: FileId) -> Option<Entry<M>> {
        let entry = self.entries.remove(&file)?;
        self.queue.remove(&entry.queued);
        if self.led.get(&entry.path) == Some(&file) {
            self.led.remove(&entry.path);
        }
        self.bytes -= entry.identity.len;
        Some(entry)
    }

    fn tick(&self) -> Tick {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use proptest::prelude::*;

    /// One of the names of a file.
    fn path(number: u64, name: u64) -> PathBuf {
        format!("{number}/{name}").into()
    }

    fn file(number: u64) -> Identity {
        Identity::of_test(number, 0)
    }

    proptest! {
        /// Against a list in which the oldest is the first.
        #[test]
        fn it_is_a_list_in_the_order_of_use(
            steps in prop::collection::vec((0_u8..6, 0_u64..12), 0..200),
        ) {
            let (mut lru, mut model) = (Lru::new(), Vec::<u64>::new());
            for (step, number) in steps {
                let held = model.iter().position(|&one| one == number);
                let first = path(number, 0);
                match step {
                    0 => {
                        let before = lru.insert(&first, file(number), Arc::new(number));
                        prop_assert_eq!(before.map(|entry| *entry.map), held.map(|at| model.remove(at)));
                        model.push(number);
                    }
                    1 | 2 => {
                        prop_assert!(lru.remove_stale(&first, Some(&file(number))).is_none());
                        // By its path that leads nowhere now, or by another one, as a file that changed.
                        let changed = Identity::of_test(number, 1);
                        prop_assert_eq!(lru.touch(&changed), None);
                        let removed = match step {
                            1 => lru.remove_stale(&first, None),
                            _ => lru.remove_stale(&path(number, 1), Some(&changed)),
                        };
                        prop_assert_eq!(removed.map(|entry| *entry.map), held.map(|at| model.remove(at)));
                    }
                    3 => {
                        let oldest = lru.remove_oldest().map(|entry| *entry.map);
                        prop_assert_eq!(oldest, (!model.is_empty()).then(|| model.remove(0)));
                    }
                    _ => {
                        let touched = lru.touch(&file(number)).map(|map| **map);
                        let moved = held.map(|at| model.remove(at));
                        model.extend(moved);
                        prop_assert_eq!(touched, moved);
                    }
                }
                let lens = [lru.len(), lru.queue.len(), lru.led.len()];
                prop_assert_eq!(lens, [model.len(); 3]);
                prop_assert_eq!(lru.bytes(), model.iter().sum::<u64>());
            }
            let left: Vec<u64> = std::iter::from_fn(|| lru.remove_oldest()).map(|e| *e.map).collect();
            prop_assert_eq!(left, model);
        }
    }
}
