//! Entries by file and by the time of their last use. Pure: no clock, no system call.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::identity::{FileId, Identity};

pub(super) struct Entry<M> {
    pub(super) identity: Identity,
    pub(super) map: Arc<M>,
}

/// Entries, the one that was used longest ago first.
pub(super) struct Lru<M> {
    by_file: HashMap<FileId, (u64, Entry<M>)>,
    /// The number of a use is higher than those of all uses before it.
    by_use: BTreeMap<u64, FileId>,
    uses: u64,
    bytes: u64,
}

impl<M> Lru<M> {
    pub(super) fn new() -> Lru<M> {
        Lru { by_file: HashMap::new(), by_use: BTreeMap::new(), uses: 0, bytes: 0 }
    }

    /// Bytes of the files of all entries.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.by_file.len()
    }

    /// The entry of `file`, now the most recently used.
    pub(super) fn touch(&mut self, file: FileId) -> Option<&Entry<M>> {
        let (last, entry) = self.by_file.get_mut(&file)?;
        self.by_use.remove(last);
        self.uses += 1;
        *last = self.uses;
        self.by_use.insert(self.uses, file);
        Some(entry)
    }

    /// Takes in an entry, as the most recently used. There must be none of this file.
    pub(super) fn insert(&mut self, entry: Entry<M>) {
        let file = entry.identity.file;
        self.uses += 1;
        self.bytes += entry.identity.len;
        self.by_use.insert(self.uses, file);
        let before = self.by_file.insert(file, (self.uses, entry));
        assert!(before.is_none(), "two entries of one file");
    }

    pub(super) fn remove(&mut self, file: FileId) -> Option<Entry<M>> {
        let (last, entry) = self.by_file.remove(&file)?;
        self.by_use.remove(&last);
        self.bytes -= entry.identity.len;
        Some(entry)
    }

    pub(super) fn remove_oldest(&mut self) -> Option<Entry<M>> {
        let file = *self.by_use.first_key_value()?.1;
        self.remove(file)
    }
}
