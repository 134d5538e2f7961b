//! By what a file, and a state of it, is known again.

use std::fs::Metadata;
use std::io;
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
    /// Nanoseconds, which wrap in 2262: they are only compared. mtime can be set back by anybody who may
    /// write; ctime cannot.
    mtime: i64,
    ctime: i64,
}

impl Identity {
    /// # Errors
    /// `InvalidInput` when it is no regular file.
    pub(super) fn of(facts: &Metadata) -> io::Result<Identity> {
        if !facts.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "only regular files are mapped",
            ));
        }
        Ok(Identity {
            file: FileId { device: facts.dev(), inode: facts.ino() },
            len: facts.len(),
            mtime: nanoseconds(facts.mtime(), facts.mtime_nsec()),
            ctime: nanoseconds(facts.ctime(), facts.ctime_nsec()),
        })
    }
}

fn nanoseconds(seconds: i64, part: i64) -> i64 {
    seconds.wrapping_mul(1_000_000_000).wrapping_add(part)
}

#[cfg(test)]
impl Identity {
    /// A file with this inode, which is as many bytes long and was changed at `ctime`.
    pub(super) fn of_test(number: u64, ctime: i64) -> Identity {
        let file = FileId { device: 1, inode: number };
        Identity { file, len: number, mtime: 0, ctime }
    }
}
