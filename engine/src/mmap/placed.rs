use std::fmt;
use std::io;
use std::ops::{Range, RangeBounds};

use super::Mapping;
use super::flags::Placed;
use super::mapping::Mapped;
use super::range::{clip, clip_many, within};
use crate::{Error, Prefetch, Residency, Stats};

/// A mapping at an address of the caller's choice: for files that hold pointers into themselves.
///
/// Made by [`MmapOptions::map_at`](crate::MmapOptions::map_at). Only a pointer and a length, as
/// [`MmapRaw`](crate::MmapRaw), and safe to create: it never takes the place of anything that is mapped
/// already. It does not move, and is unmapped when it is dropped. Only on Linux.
///
/// Which addresses are free is for the program to know, and not the same from run to run (ASLR): take
/// one far from the heap, the stack and the libraries, and be ready for EEXIST.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("data");
/// # std::fs::write(&path, b"data").unwrap();
/// use mmap_ahead::MmapOptions;
///
/// const HOME: usize = 0x10_0000_0000;
/// let file = std::fs::File::options().read(true).write(true).open(path)?;
/// let map = MmapOptions::new().map_at(&file, HOME)?;
/// assert_eq!((map.as_ptr().addr(), map.len()), (HOME, 4));
/// let taken = MmapOptions::new().map_at(&file, HOME).unwrap_err();
/// assert_eq!(taken.kind(), std::io::ErrorKind::AlreadyExists);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct MmapAt {
    pub(super) inner: Mapping<Placed>,
}

impl MmapAt {
    /// The first byte. Valid for reads of [`len`](MmapAt::len) bytes while `self` lives, as far as the
    /// file reaches.
    pub fn as_ptr(&self) -> *const u8 {
        self.as_mut_ptr()
    }

    /// The first byte, for writing: as [`MmapRaw::as_mut_ptr`](crate::MmapRaw::as_mut_ptr).
    pub fn as_mut_ptr(&self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.inner.map().addr())
    }

    /// The length in bytes; what lies beyond the end of the file raises SIGBUS when touched.
    #[allow(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.inner.map().len()
    }

    /// Writes what was stored to `range` to the disk, and waits for it.
    ///
    /// Unit: bytes from the first one; whole pages are written.
    ///
    /// # Errors
    /// `InvalidInput` when the range is not inside the mapping; those of msync(2).
    ///
    /// Source: msync(2), MS_SYNC.
    pub fn flush(&self, range: impl RangeBounds<usize>) -> io::Result<()> {
        let Range { start, end } = within(&range, self.len())?;
        let Placed { area, lead, .. } = self.inner.map();
        area.flush(start + lead..end + lead)
    }
}

presence_methods!(MmapAt);
ahead_methods!(MmapAt);

impl fmt::Debug for MmapAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ptr, len) = (self.as_ptr(), self.len());
        f.debug_struct("MmapAt").field("ptr", &ptr).field("len", &len).finish()
    }
}
