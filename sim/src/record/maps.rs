//! What is mapped where, in every process: from an address back to a file and an offset.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// A mapping of a file; anonymous ones are kept too, since they hide what was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) end: u64,
    /// The offset in the file of the mapping's first byte.
    pub(super) offset: u64,
    /// None: anonymous memory, stacks, devices.
    pub(super) path: Option<Rc<str>>,
}

/// The mappings of all processes.
///
/// The kernel tells of no munmap(2) or mremap(2): an address that was unmapped still belongs to the
/// file, until something else is mapped there (no fault can come from it meanwhile), and a mapping
/// that was moved is not known at its new place.
#[derive(Debug, Default)]
pub(super) struct Maps {
    processes: HashMap<u32, BTreeMap<u64, Mapping>>,
    paths: HashMap<String, Rc<str>>,
}

impl Maps {
    /// `len` bytes from `start` on show `path` from `offset` on, whatever they showed before.
    pub(super) fn map(&mut self, pid: u32, start: u64, len: u64, offset: u64, path: &str) {
        let path = is_file(path).then(|| self.interned(path));
        let end = start.saturating_add(len);
        let process = self.processes.entry(pid).or_default();
        clear(process, start, end);
        process.insert(start, Mapping { end, offset, path });
    }

    /// `child` has what `parent` has.
    pub(super) fn fork(&mut self, child: u32, parent: u32) {
        if let Some(maps) = self.processes.get(&parent).filter(|_| child != parent).cloned() {
            self.processes.insert(child, maps);
        }
    }

    /// `pid` has nothing: it begins another program.
    pub(super) fn forget(&mut self, pid: u32) {
        self.processes.remove(&pid);
    }

    /// The file and the offset in it that `address` shows.
    pub(super) fn find(&self, pid: u32, address: u64) -> Option<(&Rc<str>, u64)> {
        let (start, mapping) = self.processes.get(&pid)?.range(..=address).next_back()?;
        let path = mapping.path.as_ref().filter(|_| address < mapping.end)?;
        Some((path, mapping.offset + (address - start)))
    }

    fn interned(&mut self, path: &str) -> Rc<str> {
        if let Some(known) = self.paths.get(path) {
            return Rc::clone(known);
        }
        let new: Rc<str> = path.into();
        self.paths.insert(path.to_owned(), Rc::clone(&new));
        new
    }
}

/// Whether the kernel's name of a mapping is a file's. Others: `//anon`, `[heap]`, `[vdso]`,
/// `anon_inode:..`, `socket:..`.
fn is_file(path: &str) -> bool {
    path.starts_with('/') && path != "//anon" && !path.starts_with("/dev/zero")
}

/// Takes `start..end` out of what overlaps it.
fn clear(process: &mut BTreeMap<u64, Mapping>, start: u64, end: u64) {
    let below = process.range(..start).next_back().map(|(&at, mapping)| (at, mapping.clone()));
    let inside: Vec<_> = process.range(start..end).map(|(&at, map)| (at, map.clone())).collect();
    for (at, mapping) in below.into_iter().chain(inside) {
        if mapping.end <= start {
            continue;
        }
        process.remove(&at);
        if at < start {
            process.insert(at, Mapping { end: start, ..mapping.clone() });
        }
        if mapping.end > end {
            let offset = mapping.offset + (end - at);
            process.insert(end, Mapping { offset, ..mapping });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(maps: &Maps, pid: u32, address: u64) -> Option<(String, u64)> {
        maps.find(pid, address).map(|(path, offset)| (path.to_string(), offset))
    }

    #[test]
    fn later_mappings_hide_what_they_cover_and_no_more() {
        let mut maps = Maps::default();
        maps.map(1, 0x1000, 0x9000, 0, "/f");
        maps.map(1, 0x3000, 0x1000, 0x7000, "/g");
        maps.map(1, 0x5000, 0x1000, 0, "//anon");
        let f = |offset| Some(("/f".to_owned(), offset));
        assert_eq!(found(&maps, 1, 0xfff), None);
        assert_eq!(found(&maps, 1, 0x2fff), f(0x1fff));
        assert_eq!(found(&maps, 1, 0x3005), Some(("/g".to_owned(), 0x7005)));
        assert_eq!(found(&maps, 1, 0x4000), f(0x3000));
        assert_eq!(found(&maps, 1, 0x5000), None);
        assert_eq!(found(&maps, 1, 0x9fff), f(0x8fff));
        assert_eq!(found(&maps, 1, 0xa000), None);
        maps.map(1, 0x1000, 0x9000, 0x100, "/h");
        assert_eq!(found(&maps, 1, 0x3000), Some(("/h".to_owned(), 0x2100)));
    }

    #[test]
    fn a_child_has_its_parents_mappings_until_it_begins_a_program() {
        let mut maps = Maps::default();
        maps.map(1, 0x1000, 0x1000, 0, "/f");
        maps.fork(2, 1);
        maps.fork(1, 1);
        maps.map(2, 0x1000, 0x1000, 0, "/g");
        assert_eq!(found(&maps, 1, 0x1000), Some(("/f".to_owned(), 0)));
        assert_eq!(found(&maps, 2, 0x1000), Some(("/g".to_owned(), 0)));
        maps.forget(2);
        assert_eq!(found(&maps, 2, 0x1000), None);
    }
}
