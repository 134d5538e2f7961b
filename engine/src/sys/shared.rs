//! A mapping that other processes may store to at any moment: nothing of it is ever a `&[u8]`.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::{LineFlush, SigbusGuard, Span, Zeros, check, page_size};

/// How the mapping came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    /// MAP_SYNC: a cache line that was flushed is durable.
    Sync,
    /// MAP_SHARED: what is durable passes through the page cache. The error with which MAP_SYNC was
    /// refused, where it was asked for.
    Cached { refused: Option<i32> },
}

/// A writable MAP_SHARED mapping of the first bytes of a file. Bytes go in and out by copies, through
/// atomics, so that a store of another process is never a data race of safe code; whoever copies out
/// validates the copy (TRAPS 24).
///
/// A file that is cut short while it is mapped is SIGBUS at the next touch: the process dies, unless
/// [`guard_sigbus`](SharedMemory::guard_sigbus) is on. A memfd sealed against shrinking cannot be cut
/// short.
///
/// Kernel: any. MAP_SYNC: Linux 4.15. Source: mmap(2).
#[derive(Debug)]
pub struct SharedMemory {
    span: Span,
    made: Made,
    guard: Option<SigbusGuard>,
}

impl SharedMemory {
    /// Maps the first `len` bytes of `file`, which is open for reading and writing.
    ///
    /// # Errors
    /// `InvalidInput` when `len` is 0 or more than the file has; those of mmap(2).
    pub fn map(file: &File, len: usize) -> io::Result<SharedMemory> {
        check_len(file, len)?;
        SharedMemory::map_cached(file, len, None)
    }

    /// The same with MAP_SYNC where the file lies on persistent memory (DAX), and as
    /// [`map`](SharedMemory::map) elsewhere. [`is_sync`](SharedMemory::is_sync) says which.
    ///
    /// # Errors
    /// As [`map`](SharedMemory::map).
    pub fn map_sync(file: &File, len: usize) -> io::Result<SharedMemory> {
        check_len(file, len)?;
        match map_file(file, len, libc::MAP_SHARED_VALIDATE | libc::MAP_SYNC) {
            Ok(addr) => {
                Ok(SharedMemory { span: Span { addr, len }, made: Made::Sync, guard: None })
            }
            // Whatever else is wrong is wrong with an ordinary mapping too, which then says so.
            Err(error) => SharedMemory::map_cached(file, len, error.raw_os_error()),
        }
    }

    fn map_cached(file: &File, len: usize, refused: Option<i32>) -> io::Result<SharedMemory> {
        let addr = map_file(file, len, libc::MAP_SHARED)?;
        let made = Made::Cached { refused };
        Ok(SharedMemory { span: Span { addr, len }, made, guard: None })
    }

    /// How many bytes are mapped.
    #[allow(clippy::len_without_is_empty, reason = "it is never empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.span.len
    }

    /// Whether the kernel granted MAP_SYNC.
    #[must_use]
    pub fn is_sync(&self) -> bool {
        self.made == Made::Sync
    }

    /// With what the kernel refused MAP_SYNC: EOPNOTSUPP where the file does not lie on persistent
    /// memory, or the device cannot promise that a flushed line is durable; EINVAL before Linux 4.15,
    /// which does not know the flag. None when it was granted or not asked for.
    #[must_use]
    pub fn sync_refused(&self) -> Option<io::Error> {
        match self.made {
            Made::Cached { refused } => refused.map(io::Error::from_raw_os_error),
            Made::Sync => None,
        }
    }

    /// From here on a page that vanishes is zeros in place of SIGBUS, and
    /// [`is_whole`](SharedMemory::is_whole) tells. Installs the process-wide handler.
    ///
    /// # Errors
    /// As `MmapOptions::guard_sigbus`.
    pub fn guard_sigbus(&mut self) -> io::Result<()> {
        let page = page_size().bytes() as usize;
        let pages = Span { addr: self.span.addr, len: self.span.len.next_multiple_of(page) };
        self.guard = Some(SigbusGuard::watch(pages, Zeros::Writable)?);
        Ok(())
    }

    /// False when a page had vanished before it was last touched: what was copied out since may be
    /// zeros, and what was copied in is lost. Always true without a guard.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.guard.as_ref().is_none_or(|guard| guard.lost().is_none())
    }

    /// The 4 bytes at `offset`.
    ///
    /// # Panics
    /// When `offset` is no multiple of 4, or they are not all mapped.
    #[must_use]
    pub fn word32(&self, offset: usize) -> &AtomicU32 {
        let cells = self.cells(offset, 4);
        // SAFETY: any 4 bytes are a valid AtomicU32, and what does not fit is left to the ends.
        let (head, words, _) = unsafe { cells.align_to::<AtomicU32>() };
        assert!(head.is_empty() && words.len() == 1, "{offset} is no multiple of 4");
        &words[0]
    }

    /// The 8 bytes at `offset`.
    ///
    /// # Panics
    /// When `offset` is no multiple of 8, or they are not all mapped.
    #[must_use]
    pub fn word64(&self, offset: usize) -> &AtomicU64 {
        let (head, words, _) = words_of(self.cells(offset, 8));
        assert!(head.is_empty() && words.len() == 1, "{offset} is no multiple of 8");
        &words[0]
    }

    /// Stores `bytes` at `offset`.
    ///
    /// # Panics
    /// When they do not all fit.
    pub fn copy_in(&self, offset: usize, bytes: &[u8]) {
        let (head, words, tail) = words_of(self.cells(offset, bytes.len()));
        let (first, rest) = bytes.split_at(head.len());
        let (middle, last) = rest.split_at(words.len() * 8);
        store_bytes(head, first);
        for (word, bytes) in words.iter().zip(middle.as_chunks::<8>().0) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        store_bytes(tail, last);
    }

    /// Loads `bytes.len()` bytes from `offset`.
    ///
    /// # Panics
    /// When they are not all mapped.
    pub fn copy_out(&self, offset: usize, bytes: &mut [u8]) {
        let (head, words, tail) = words_of(self.cells(offset, bytes.len()));
        let (first, rest) = bytes.split_at_mut(head.len());
        let (middle, last) = rest.split_at_mut(words.len() * 8);
        load_bytes(head, first);
        for (word, bytes) in words.iter().zip(middle.as_chunks_mut::<8>().0) {
            *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        load_bytes(tail, last);
    }

    /// Stores `bytes` at `offset` past the caches and returns when they have left this core, as after
    /// [`flush_lines`](SharedMemory::flush_lines) and [`LineFlush::fence`]; the lines at the two ends
    /// that are not wholly written go through the cache and are flushed.
    ///
    /// Where the machine has no such stores (all but x86-64) every line is.
    ///
    /// # Panics
    /// When they do not all fit.
    pub fn stream_in(&self, offset: usize, bytes: &[u8], flush: LineFlush) {
        let cells = self.cells(offset, bytes.len());
        let past = super::lines::stream(cells, bytes);
        let (before, after) = (past.start, past.end);
        self.copy_in(offset, &bytes[..before]);
        self.copy_in(offset + after, &bytes[after..]);
        self.flush_lines(offset, before, flush);
        self.flush_lines(offset + after, bytes.len() - after, flush);
        flush.fence();
    }

    /// Writes the cache lines of `len` bytes from `offset` back to memory. Ordered only by
    /// [`LineFlush::fence`].
    ///
    /// # Panics
    /// When they are not all mapped.
    pub fn flush_lines(&self, offset: usize, len: usize, flush: LineFlush) {
        flush.write_back(self.cells(offset, len));
    }

    /// Waits until the pages of `len` bytes from `offset` are on the disk.
    ///
    /// # Errors
    /// EIO: the disk failed.
    ///
    /// # Panics
    /// When they are not all mapped.
    ///
    /// Source: msync(2), MS_SYNC.
    pub fn sync_pages(&self, offset: usize, len: usize) -> io::Result<()> {
        let cells = self.cells(offset, len);
        let page = page_size().bytes() as usize;
        let addr = cells.as_ptr() as usize;
        let start = addr / page * page;
        let len = addr + cells.len() - start;
        // SAFETY: the pages are part of this mapping, and writing them back changes no byte.
        let result = unsafe { libc::msync(start as *mut _, len, libc::MS_SYNC) };
        check(libc::c_long::from(result)).map(|_| ())
    }

    /// `len` bytes from `offset`.
    fn cells(&self, offset: usize, len: usize) -> &[AtomicU8] {
        // SAFETY: the mapping is readable, writable and lives as long as `self`; any byte is a valid
        // AtomicU8, and everybody in this process goes through atomics.
        let all =
            unsafe { std::slice::from_raw_parts(self.span.addr as *const AtomicU8, self.span.len) };
        &all[offset..][..len]
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // Before its pages are somebody else's.
        self.guard = None;
        // SAFETY: the mapping is ours alone, and no borrow of it outlives `self`.
        unsafe { libc::munmap(self.span.addr as *mut _, self.span.len) };
    }
}

/// Words of 8 bytes and what does not fill one at either end.
fn words_of(cells: &[AtomicU8]) -> (&[AtomicU8], &[AtomicU64], &[AtomicU8]) {
    // SAFETY: any 8 bytes are a valid AtomicU64.
    unsafe { cells.align_to::<AtomicU64>() }
}

fn store_bytes(cells: &[AtomicU8], bytes: &[u8]) {
    cells.iter().zip(bytes).for_each(|(cell, byte)| cell.store(*byte, Ordering::Relaxed));
}

fn load_bytes(cells: &[AtomicU8], bytes: &mut [u8]) {
    cells.iter().zip(bytes).for_each(|(cell, byte)| *byte = cell.load(Ordering::Relaxed));
}

fn check_len(file: &File, len: usize) -> io::Result<()> {
    let has = file.metadata()?.len();
    if len == 0 || len as u64 > has {
        let words = format!("{len} bytes cannot be mapped of a file that has {has}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
    }
    Ok(())
}

fn map_file(file: &File, len: usize, flags: libc::c_int) -> io::Result<usize> {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice disturbs nothing.
    let addr = unsafe { libc::mmap(ptr::null_mut(), len, prot, flags, file.as_raw_fd(), 0) };
    if addr == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(addr as usize) }
}

#[cfg(test)]
mod tests;
