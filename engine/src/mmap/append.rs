use std::fs::File;
use std::io;
use std::ops::Range;

use super::{Advice, MmapMut, MmapOptions};
use crate::page::ByteLen;
use crate::{Error, Stats};

/// How far the file is made longer at once. A guess: long enough that mapping anew does not show (16
/// times a second at 1 GB/s), short enough that a crash leaves no absurd file. It has no blocks until
/// it is stored to.
const SEGMENT_BYTES: u64 = 64 << 20;
/// What an append makes ready at least and at most: the largest window, which is what a writer waits
/// for at worst. It doubles from append to append.
const READY_BYTES_FIRST: u64 = 64 << 10;
const READY_BYTES_MAX: u64 = 2 << 20;

/// A file that grows at its end, by stores to a mapping: a log.
///
/// Made by [`MmapOptions::for_append`]. The file is made longer in steps of 64 MiB, of which the current
/// one is mapped and [written ahead](MmapOptions::write_ahead); closing or dropping it cuts the file back
/// to what was appended, so that nothing made ready for nothing stays behind. The pages of the next 2 MiB
/// at most are made ready by [`append`](AppendMap::append) itself, also with
/// [`Mode::Off`](crate::Mode::Off).
///
/// A full disk is an error of [`append`](AppendMap::append), not SIGBUS: no byte is stored before its page
/// is there. (On file systems that copy on write, such as btrfs, a page that was flushed and is stored to
/// again may still find no space.)
///
/// **After a crash** the file is as long as it was made, with zeros behind what was appended: a log's
/// records must tell where they end.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("log");
/// use std::fs::OpenOptions;
/// use mmap_ahead::MmapOptions;
///
/// let file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
/// // SAFETY: nobody else changes the length of the file meanwhile.
/// let mut log = unsafe { MmapOptions::new().for_append(file)? };
/// assert_eq!(log.append(b"first, ")?, 0);
/// assert_eq!(log.append(b"second")?, 7);
/// log.flush()?;
/// log.close()?;
/// assert_eq!(std::fs::read(&path)?, b"first, second");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct AppendMap {
    file: File,
    options: MmapOptions,
    segment: Option<Segment>,
    /// What was appended, and what was there before.
    len: u64,
    /// Up to where the file is known to be on the disk.
    flushed: u64,
    /// How much is made ready next.
    ready_step: u64,
    /// The process that trims the file: a forked child must not cut what its parent appends.
    owner: u32,
    /// Whether the file was made longer than what was appended, and has to be cut back.
    is_longer: bool,
}

/// The part of the file that is mapped.
#[derive(Debug)]
struct Segment {
    map: MmapMut,
    /// Bytes of the file.
    range: Range<u64>,
    /// Up to where its pages are there, in bytes of the file.
    ready: u64,
}

impl AppendMap {
    pub(super) fn open(options: MmapOptions, file: File) -> io::Result<AppendMap> {
        let len = file.metadata()?.len();
        Ok(AppendMap {
            file,
            options,
            segment: None,
            len,
            flushed: len,
            ready_step: READY_BYTES_FIRST,
            owner: std::process::id(),
            is_longer: false,
        })
    }

    /// Puts `bytes` behind the last ones; all of them or none. Returns the offset of the first.
    ///
    /// They are visible to every reader of the file at once, and on the disk after
    /// [`flush`](AppendMap::flush).
    ///
    /// # Errors
    /// The file system's own, such as `StorageFull`; those of ftruncate(2) and mmap(2), such as EFBIG;
    /// [`Error::Unsupported`] before Linux 5.14. Nothing was appended then, and it may be tried again.
    ///
    /// Kernel: 5.14 for MADV_POPULATE_WRITE.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let start = self.len;
        let mut at = start;
        let mut rest = bytes;
        while !rest.is_empty() {
            let stored = self.store_at(at, rest)?;
            rest = &rest[stored..];
            at += stored as u64;
        }
        self.len = at;
        Ok(start)
    }

    /// Has all that was appended on the disk, before anything that is appended later.
    ///
    /// What is ahead of it is not written.
    ///
    /// # Errors
    /// Those of msync(2) and fdatasync(2).
    ///
    /// Source: msync(2), MS_SYNC.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.flushed == self.len {
            return Ok(());
        }
        match &self.segment {
            Some(Segment { map, range, .. })
                if range.start <= self.flushed && self.len <= range.end =>
            {
                let offset = self.flushed - range.start;
                map.flush_range(offset as usize, (self.len - self.flushed) as usize)?;
            }
            // Some of it lies in a segment that is not mapped any more.
            _ => self.file.sync_data()?,
        }
        self.flushed = self.len;
        Ok(())
    }

    /// The length of the file without what is ahead: where the next bytes go.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no bytes in the file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What was written ahead in the part of the file that is mapped now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.segment.as_ref().map(|segment| segment.map.stats()).unwrap_or_default()
    }

    /// Cuts the file back to what was appended. Does not [`flush`](AppendMap::flush) it.
    ///
    /// Dropping it does the same and passes over errors.
    ///
    /// # Errors
    /// Those of ftruncate(2); the file then ends in zeros.
    ///
    /// Source: ftruncate(2).
    pub fn close(mut self) -> io::Result<()> {
        self.trim()
    }

    fn trim(&mut self) -> io::Result<()> {
        // Unmapped before it is cut.
        self.segment = None;
        let is_longer = std::mem::replace(&mut self.is_longer, false);
        if is_longer && self.owner == std::process::id() {
            self.file.set_len(self.len)
        } else {
            Ok(())
        }
    }

    /// Stores the first of `bytes` at offset `at` of the file, as many as its segment holds.
    fn store_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<usize> {
        self.reach(at)?;
        let Some(segment) = &mut self.segment else { return Ok(0) };
        let count = (bytes.len() as u64).min(segment.range.end - at);
        segment.make_ready(&self.file, at + count, self.ready_step)?;
        self.ready_step = (self.ready_step * 2).min(READY_BYTES_MAX);
        let start = (at - segment.range.start) as usize;
        let (count, end) = (count as usize, start + count as usize);
        segment.map[start..end].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    /// Has the segment mapped that holds the byte at `at`.
    fn reach(&mut self, at: u64) -> io::Result<()> {
        if self.segment.as_ref().is_some_and(|segment| segment.range.contains(&at)) {
            return Ok(());
        }
        let page = crate::sys::page_size();
        let start = page.offset_of(page.index_of(at));
        let range = start..start + SEGMENT_BYTES;
        // Never shorter: an append that failed may have come this far already.
        if self.file.metadata()?.len() < range.end {
            self.file.set_len(range.end)?;
            self.is_longer = true;
        }
        let mut options = self.options.clone();
        options.offset(start).len(SEGMENT_BYTES as usize).write_ahead();
        // SAFETY: whoever made this promised that nobody else changes the file's length.
        let map = unsafe { options.map_mut(&self.file) }?;
        self.segment = Some(Segment { map, range, ready: start });
        Ok(())
    }
}

impl Segment {
    /// Has the pages up to `end` there, and up to `step` more where there is space.
    fn make_ready(&mut self, file: &File, end: u64, step: u64) -> io::Result<()> {
        if end <= self.ready {
            return Ok(());
        }
        let page = crate::sys::page_size();
        let needed = page.len_of(page.pages_for(ByteLen(end))).0;
        let wanted = needed.max(self.ready + step).min(self.range.end);
        let needed = needed.min(wanted);
        let enough = self.populate(wanted).or_else(|_| self.populate(needed));
        // The worker may have taken the last of the space for what comes later.
        let enough =
            enough.or_else(|error| match crate::sys::punch_hole(file, needed..self.range.end) {
                Ok(()) => self.populate(needed),
                Err(_) => Err(error),
            });
        enough.map_err(|error| match error.raw_os_error() {
            Some(EFAULT) => why(file, end).unwrap_or(error),
            Some(EINVAL) => UNSUPPORTED.into(),
            _ => error,
        })
    }

    fn populate(&mut self, to: u64) -> io::Result<()> {
        let offset = (self.ready - self.range.start) as usize;
        self.map.advise_range(Advice::PopulateWrite, offset, (to - self.ready) as usize)?;
        self.ready = to;
        Ok(())
    }
}

const EFAULT: i32 = libc::EFAULT;
const EINVAL: i32 = libc::EINVAL;
const UNSUPPORTED: Error =
    Error::Unsupported { what: "appending by stores", needs: "MADV_POPULATE_WRITE, Linux 5.14" };

/// What the file system has against a store before `end`: the kernel says EFAULT for all of it. Asked
/// with a zero behind everything that was appended.
fn why(file: &File, end: u64) -> Option<io::Error> {
    std::os::unix::fs::FileExt::write_at(file, &[0], end - 1).err()
}

impl Drop for AppendMap {
    fn drop(&mut self) {
        if let Err(error) = self.trim() {
            tracing::warn!(%error, "mmap-ahead: a file keeps what was written ahead");
        }
    }
}
