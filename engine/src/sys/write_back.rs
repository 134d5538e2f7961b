//! What a writer asks of its file: to be longer, and to be on its way to the disk.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

use memmap2::{MmapMut, RemapOptions};

use super::check;

/// Starts the device on what is dirty in `range` of a file (bytes), and waits for nothing. The kernel knows
/// by itself which folios those are. What fails is told by the next sync of the file.
///
/// Source: sync_file_range(2), SYNC_FILE_RANGE_WRITE.
pub(crate) fn start_writing(file: &File, range: &Range<u64>) -> io::Result<()> {
    let (start, len) = (range.start as libc::off64_t, (range.end - range.start) as libc::off64_t);
    let flags = libc::SYNC_FILE_RANGE_WRITE;
    // SAFETY: the descriptor is open as long as the borrow; the call takes numbers only.
    let result = unsafe { libc::sync_file_range(file.as_raw_fd(), start, len, flags) };
    check(libc::c_long::from(result)).map(|_| ())
}

/// Makes a shared mapping of `file` from byte `offset` on `len` bytes long; it may move.
///
/// # Errors
/// `InvalidInput` when the file does not reach as far; those of mremap(2). The mapping is as it was then.
pub(crate) fn remap_longer(
    map: &mut MmapMut,
    file: &File,
    offset: u64,
    len: usize,
) -> io::Result<()> {
    if offset.checked_add(len as u64).is_none_or(|end| end > file.metadata().map_or(0, |m| m.len()))
    {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the file reaches as far as the mapping will, as was just looked at, and that nobody makes it
    // shorter was promised when it was mapped. No slice of it is alive, since it is borrowed mutably.
    unsafe { map.remap(len, RemapOptions::new().may_move(true)) }
}

/// Makes a file `to` bytes long, which is longer than it is now, and has the space for it, so that no store
/// there can meet a full disk; where the file system cannot promise that, only longer.
///
/// # Errors
/// ENOSPC, EFBIG, EDQUOT: the file is as it was. Source: fallocate(2), ftruncate(2).
pub(crate) fn make_longer(file: &File, from: u64, to: u64) -> io::Result<()> {
    let (start, len) = (from as libc::off_t, (to - from) as libc::off_t);
    // SAFETY: the descriptor is open as long as the borrow; the call takes numbers only.
    let result = unsafe { libc::fallocate(file.as_raw_fd(), 0, start, len) };
    match check(libc::c_long::from(result)) {
        Ok(_) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => file.set_len(to),
        Err(error) => {
            // A part of it may be longer already.
            let _ = file.set_len(from);
            Err(error)
        }
    }
}
