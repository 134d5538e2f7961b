//! By what a file, and a state of it, is known again.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// Device and inode. An inode that is mapped is not used again for another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

/// A file in one of its states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) file: FileId,
    pub(super) len: u64,
    /// Seconds and nanoseconds. mtime can be set back by anybody who may write; ctime cannot.
    mtime: (i64, i64),
    ctime: (i64, i64),
}

impl Identity {
    pub(super) fn of(facts: &Metadata) -> Identity {
        Identity {
            file: FileId { device: facts.dev(), inode: facts.ino() },
            len: facts.len(),
            mtime: (facts.mtime(), facts.mtime_nsec()),
            ctime: (facts.ctime(), facts.ctime_nsec()),
        }
    }
}

#[cfg(test)]
impl Identity {
    /// A file with this inode, which is as many bytes long.
    pub(super) fn of_test(number: u64) -> Identity {
        let file = FileId { device: 1, inode: number };
        Identity { file, len: number, mtime: (0, 0), ctime: (0, 0) }
    }
}
