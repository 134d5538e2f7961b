//! Persistent memory: making a store durable without a system call, where the machine can, and by
//! msync(2) where it cannot.
//!
//! # The rule of 8 bytes
//!
//! When the power fails, of all that was stored and not yet persisted, any part may be there and any
//! part missing, in any order: a cache line goes to memory when the cache likes. Only this holds:
//!
//! - **An aligned store of 8 bytes is there whole or not at all** ([`Pmem::store`]). Nothing larger
//!   is: a [`write`](Pmem::write) may be torn at any byte.
//! - **What [`persist`](Pmem::persist) returned for is there**, whatever else is.
//!
//! So whatever must appear at once is written where nobody looks yet, persisted, and then made
//! visible by one store of 8 bytes, which is persisted too. [`AppendLog`] is exactly that.
//!
//! # Where it holds
//!
//! [`Pmem::is_pmem`] says whether the file lies on persistent memory: the kernel grants MAP_SYNC only
//! on a DAX file system (ext4, xfs, virtiofs with DAX) on such memory. There a flushed cache line is
//! durable. On every other file `persist` is msync(2), which is as durable as the file system and the
//! disk make it, and 8 bytes never straddle a sector. On tmpfs nothing is durable.
//!
//! Kernel: MAP_SYNC Linux 4.15; before that, msync. Source: mmap(2); Intel SDM volume 1, 12.5 and
//! volume 2, CLWB; Arm ARM, DC CVAP; PMDK, pmem_persist(3).

mod log;
mod medium;
mod ways;
mod why_not;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;

use mmap_ahead::lab::{LineFlush, SharedMemory};

use crate::space::take_space;

pub use log::{AppendLog, LogError, Records};
pub use medium::Medium;
pub use ways::{BLOCK_LEN, STORE_LEN, StoreWay};
pub use why_not::WhyNot;

/// From this many bytes on a durable write goes past the caches. As in PMDK
/// (PMEM_MOVNT_THRESHOLD), not measured here: no machine of ours has persistent memory.
pub const STREAMED_LEN_MIN: usize = 256;

/// A file mapped to be stored to durably.
///
/// Its bytes are copied in and out: another process may store to the same file, so no `&[u8]` is
/// lent. A file that is cut short while it is mapped is SIGBUS at the next touch.
///
/// ```
/// # let file = tempfile::tempfile()?;
/// # file.set_len(4096)?;
/// use mmap_ahead_extras::pmem::Pmem;
///
/// let pmem = Pmem::map(&file)?;
/// pmem.write(64, b"all of this");
/// pmem.persist(64..64 + 11)?;
/// pmem.store(0, 1); // from here on the 11 bytes count
/// pmem.persist(0..8)?;
/// println!("made durable by {}", pmem.way());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Pmem {
    memory: SharedMemory,
    way: Way,
    why_not: Option<WhyNot>,
}

/// How stores are made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Lines(LineFlush),
    Pages,
}

impl Pmem {
    /// Maps all of `file`, which is open for reading and writing. Holes of it are given space, where the
    /// file system can: a full disk is an error now, and no SIGBUS at some store.
    ///
    /// # Errors
    /// `InvalidInput` for an empty file; those of fallocate(2) (no space) and mmap(2).
    pub fn map(file: &File) -> io::Result<Pmem> {
        let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if len > 0 {
            take_space(file, len as u64)?;
        }
        let memory = SharedMemory::map_sync(file, len)?;
        let why_not = WhyNot::of(file, &memory);
        let way = match LineFlush::best() {
            Some(flush) if why_not.is_none() => Way::Lines(flush),
            _ => Way::Pages,
        };
        Ok(Pmem { memory, way, why_not })
    }

    /// How many bytes are mapped.
    #[allow(clippy::len_without_is_empty, reason = "it is never empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Whether the file lies on persistent memory, so that `persist` is no system call.
    #[must_use]
    pub fn is_pmem(&self) -> bool {
        self.way != Way::Pages
    }

    /// Why `persist` is msync(2) here. None on persistent memory.
    #[must_use]
    pub fn why_not(&self) -> Option<WhyNot> {
        self.why_not
    }

    /// What makes stores durable here, in words: `CLWB`, `CLFLUSHOPT`, `CLFLUSH`, `DC CVAP`, `msync`.
    #[must_use]
    pub fn way(&self) -> &'static str {
        match self.way {
            Way::Lines(flush) => flush.name(),
            Way::Pages => "msync",
        }
    }

    /// Copies `bytes.len()` bytes out from `offset`.
    ///
    /// # Panics
    /// When they are not all mapped.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) {
        self.memory.copy_out(offset, bytes);
    }

    /// Copies `bytes` in at `offset`. Not durable, and not all at once.
    ///
    /// # Panics
    /// When they do not all fit.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        self.memory.copy_in(offset, bytes);
    }

    /// The 8 bytes at `offset`, in this machine's order.
    ///
    /// # Panics
    /// When `offset` is no multiple of 8, or they are not all mapped.
    #[must_use]
    pub fn load(&self, offset: usize) -> u64 {
        self.memory.word64(offset).load(Ordering::Acquire)
    }

    /// Stores 8 bytes at `offset`: after a loss of power they are all there or none is. Not durable
    /// before they are persisted.
    ///
    /// # Panics
    /// When `offset` is no multiple of 8, or they are not all mapped.
    pub fn store(&self, offset: usize, value: u64) {
        self.memory.word64(offset).store(value, Ordering::Release);
    }

    /// Starts making `range` durable; several flushes share one [`drain`](Pmem::drain). On anything
    /// but persistent memory it is msync(2) and is done when it returns.
    ///
    /// # Errors
    /// EIO from msync(2): the disk failed, and what is durable is unknown.
    ///
    /// # Panics
    /// When `range` is not all mapped.
    pub fn flush(&self, range: Range<usize>) -> io::Result<()> {
        let len = range.end.saturating_sub(range.start);
        match self.way {
            Way::Lines(flush) => self.memory.flush_lines(range.start, len, flush),
            Way::Pages if len == 0 => {}
            Way::Pages => self.memory.sync_pages(range.start, len)?,
        }
        Ok(())
    }

    /// Returns when everything that this thread flushed is durable.
    pub fn drain(&self) {
        if let Way::Lines(flush) = self.way {
            flush.fence();
        }
    }

    /// Makes `range` durable: `flush` and `drain`.
    ///
    /// # Errors
    /// As [`flush`](Pmem::flush).
    ///
    /// # Panics
    /// When `range` is not all mapped.
    pub fn persist(&self, range: Range<usize>) -> io::Result<()> {
        self.flush(range)?;
        self.drain();
        Ok(())
    }

    /// Copies `bytes` in at `offset` and makes them durable; [`STREAMED_LEN_MIN`] bytes and more go
    /// past the caches on persistent memory.
    ///
    /// # Errors
    /// As [`flush`](Pmem::flush).
    ///
    /// # Panics
    /// When they do not all fit.
    pub fn write_durably(&self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        match self.way {
            Way::Lines(flush) if bytes.len() >= STREAMED_LEN_MIN => {
                self.memory.stream_in(offset, bytes, flush);
                Ok(())
            }
            _ => {
                self.write(offset, bytes);
                self.persist(offset..offset + bytes.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(len: u64) -> Pmem {
        let file = tempfile::tempfile().unwrap();
        file.set_len(len).unwrap();
        Pmem::map(&file).unwrap()
    }

    #[test]
    fn an_ordinary_file_is_no_persistent_memory_and_says_msync() {
        let pmem = mapped(4096);
        if pmem.is_pmem() {
            eprintln!("SKIPPED: the temporary directory is persistent memory");
            return;
        }
        assert_eq!((pmem.way(), pmem.why_not()), ("msync", Some(WhyNot::NoDax)));
    }

    #[test]
    fn both_ways_take_any_range() {
        let mut ways = vec![Way::Pages];
        ways.extend(LineFlush::all().into_iter().map(Way::Lines));
        for way in ways {
            let pmem = Pmem { way, ..mapped(8192) };
            for (offset, len) in [(0, 0), (8192, 0), (3, 1), (60, 300), (4095, 2), (0, 8192)] {
                let bytes = vec![7; len];
                pmem.write_durably(offset, &bytes).unwrap();
                pmem.persist(offset..offset + len).unwrap();
                let mut back = vec![0; len];
                pmem.read(offset, &mut back);
                assert_eq!(back, bytes, "{way:?} {offset} {len}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn nothing_is_stored_past_the_end() {
        mapped(4096).write(4090, b"sevenxx");
    }
}
