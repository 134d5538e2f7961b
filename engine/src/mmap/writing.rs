//! What a writer does with a mapping besides storing: grow it, flush what changed, ask what changed.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

use super::{Backing, MmapMut};
use crate::dirty::{DirtyTracker, Flushed, Mechanism};
use crate::{Error, sys};

const GROW_NEEDS: &str = "a mapping made by `MmapOptions::keep_file` and `map_mut`";

/// Writing a file through its mapping.
///
/// **What a crash leaves.** After [`flush`](MmapMut::flush), [`flush_range`](MmapMut::flush_range) or
/// [`flush_dirty`](MmapMut::flush_dirty) has returned, what was stored before is on the disk, and so is the
/// length of the file. What was stored since may be there or not, page by page, in any order.
///
/// **What a killed process leaves.** Every store that was executed is in the file, none that was not. A store
/// of 8 bytes to an address that is a multiple of 8 is there wholly or not at all; anything longer, such as
/// a copied record, may be there in part: records need a length or a checksum, or a word that is stored last.
/// [`grow`](MmapMut::grow) leaves the file as long as it was or as it was to be.
impl MmapMut {
    /// Makes file and mapping longer: `new_len` bytes, counted from where the mapping begins. What is
    /// new is zeros, unless the file was longer already.
    ///
    /// A full disk is an error here and no SIGBUS later: the space is taken now, where the file system can
    /// (ext4, xfs, btrfs, tmpfs). The file is made longer before the mapping, so no byte of the slice lies
    /// beyond its end. The mapping may move. The same length is no error and does nothing.
    ///
    /// It waits until no prefetch of the mapping is in flight. Trackers go on; what is new counts as stored
    /// to.
    ///
    /// # Errors
    /// `Unsupported` without [`MmapOptions::keep_file`](crate::MmapOptions::keep_file) and on mappings that
    /// are not shared; `InvalidInput` for less than the mapping has; those of fallocate(2), ftruncate(2) and
    /// mremap(2), such as `StorageFull`. File and mapping are then as they were.
    ///
    /// Source: fallocate(2), mremap(2).
    pub fn grow(&mut self, new_len: usize) -> io::Result<()> {
        let file = self.file("growing a mapping")?;
        if new_len < self.len() {
            let what = format!("a mapping of {} bytes cannot grow to {new_len}", self.len());
            return Err(Error::configuration(what).into());
        }
        if new_len == self.len() {
            return Ok(());
        }
        let offset = self.inner.origin().file_offset;
        let end = offset.checked_add(new_len as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        let file_len = file.metadata()?.len();
        if file_len < end {
            sys::make_longer(file, file_len, end)?;
        }
        let grown = self.inner.resize(|map, tied| match tied.file() {
            Some(file) => sys::remap_longer(map, file, offset, new_len),
            None => Ok(()),
        });
        if grown.is_err() && file_len < end {
            self.file("growing a mapping")?.set_len(file_len)?;
        }
        grown
    }

    /// Has what was stored on the disk, as [`flush`](MmapMut::flush), and where stores are
    /// [tracked](MmapMut::track_stores) does not ask the disk when nothing was stored since the last time.
    ///
    /// It starts no tracking itself: that makes the first store to each page after a look a page fault, which
    /// costs more than a flush of nothing saves (40 us). The first call flushes all of it, as does the first one
    /// after tracking began.
    ///
    /// With [`MmapOptions::keep_file`](crate::MmapOptions::keep_file) it is one fdatasync(2) of the whole file,
    /// and before a look at the page table the disk is started, which then works meanwhile
    /// (sync_file_range(2) over the mapping: one call, since the kernel knows its dirty folios). Without, it is
    /// msync(2), from the first page that was stored to up to the last where that is known. In either case it
    /// looks only where that is short beside the last flush, and ever less often when every flush finds
    /// something: [`Flushed::stored`] is `None` otherwise.
    ///
    /// Only stores through this mapping count: whoever also writes the file in other ways calls
    /// [`flush`](MmapMut::flush). Without effect on private and anonymous mappings.
    ///
    /// # Errors
    /// Those of fdatasync(2) and msync(2). What is on the disk is unknown then, and the next call
    /// writes again what the kernel still holds to be unwritten.
    ///
    /// Kernel: any. Source: sync_file_range(2), fdatasync(2), msync(2).
    pub fn flush_dirty(&mut self) -> io::Result<Flushed> {
        if self.inner.origin().backing != Backing::SharedFile || self.is_empty() {
            return Ok(Flushed::default());
        }
        let range = self.file_range();
        let (map, tied) = self.inner.map_and_tied();
        tied.flush_dirty(map, &range)
    }

    /// What the kernel has yet to write of the mapped part of the file.
    ///
    /// Unit: bytes, in whole pages. It is what a flush will write, and more than was stored where the file
    /// system has large folios (ext4, xfs): one byte stored makes all of a folio dirty, up to 2 MiB. Stores by
    /// others, and those before the last flush that failed, count as well.
    ///
    /// # Errors
    /// `Unsupported` without [`MmapOptions::keep_file`](crate::MmapOptions::keep_file); ENOSYS before
    /// Linux 6.5.
    ///
    /// Kernel: 6.5. Source: mm/filemap.c, cachestat.
    pub fn unwritten_bytes(&self) -> io::Result<u64> {
        let file = self.file("asking what is not written yet")?;
        if self.is_empty() {
            return Ok(0);
        }
        let Range { start, end } = self.file_range();
        let view = sys::cache_view(file.as_raw_fd(), start, end - start)?;
        Ok(view.dirty_pages * sys::page_size().bytes())
    }

    /// Has stores to this mapping noticed from now on, by the first [`Mechanism`] that works here.
    ///
    /// [`track_stores_by`](MmapMut::track_stores_by) asks for one: see there which have side effects on the
    /// program. While others track the mapping, it joins them.
    ///
    /// # Errors
    /// `Unsupported` where none works, and in a forked child.
    pub fn track_stores(&mut self) -> io::Result<DirtyTracker> {
        self.track(&Mechanism::ALL)
    }

    /// [`track_stores`](MmapMut::track_stores) by one mechanism.
    ///
    /// # Errors
    /// `Unsupported` where it does not work; `InvalidInput` when the mapping is tracked by another one
    /// already; those of its system calls.
    pub fn track_stores_by(&mut self, mechanism: Mechanism) -> io::Result<DirtyTracker> {
        self.track(&[mechanism])
    }

    fn track(&mut self, wanted: &[Mechanism]) -> io::Result<DirtyTracker> {
        let (map, tied) = self.inner.map_and_tied();
        tied.track((map.as_ptr() as usize, map.len()), wanted)
    }

    fn file(&self, what: &'static str) -> Result<&File, Error> {
        self.inner.tied().file().ok_or(Error::Unsupported { what, needs: GROW_NEEDS })
    }

    /// The bytes of the file that are mapped.
    fn file_range(&self) -> Range<u64> {
        let start = self.inner.origin().file_offset;
        start..start + self.len() as u64
    }
}
