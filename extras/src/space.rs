//! Space for a file that is stored to through a mapping.

use std::fs::File;
use std::io;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, retry_on_intr};

/// Takes space for the first `len` bytes of `file`, so that no store into them can meet a full disk, which would be
/// SIGBUS. Where the file system cannot promise that (NFS, some FUSE) nothing is taken.
///
/// # Errors
/// ENOSPC, EDQUOT, EFBIG. Source: fallocate(2).
pub(crate) fn take_space(file: &File, len: u64) -> io::Result<()> {
    match retry_on_intr(|| fallocate(file, FallocateFlags::empty(), 0, len)) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(refused) => Err(refused.into()),
    }
}
