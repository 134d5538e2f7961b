//! Whether the bytes of a mapping are still there: a vanished page as an error, not a signal.

mod whose;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::origin::{Backing, Origin};
use crate::error::{Error, Loss};
use crate::runtime::Access;
use crate::sys::{self, Broken, SigbusGuard, Span, Zeros};
use whose::Whose;

/// Where a mapping is, and what of its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// The first byte of the slice (not rounded to a page), and its length in bytes.
    pub(super) addr: usize,
    pub(super) len: usize,
    /// The file offset of the first byte.
    pub(super) file_offset: u64,
}

/// What is known of the presence of a mapping's bytes.
#[derive(Debug)]
pub(super) struct Presence {
    guard: OnceLock<SigbusGuard>,
    /// Two guards of one mapping would share its losses.
    guarding: Mutex<()>,
    /// Whether the guard has to come back after a change of the mapping.
    is_suspended: bool,
    /// What guards before a change of the mapping lost: bytes from its first page on.
    lost_before: Option<Range<usize>>,
    whose: Arc<Whose>,
    is_of_file: bool,
    /// How far the file reached when it was mapped, at most to the end of the slice: bytes of the
    /// slice.
    present_len: usize,
}

impl Presence {
    pub(super) fn new(file: Option<RawFd>, extent: Extent, origin: &Origin) -> Presence {
        let kept = file.filter(|_| origin.ahead.keep_file).and_then(|file| sys::keep(file).ok());
        // Once every page is replaced, nobody knows any more whose they were.
        let whose = Whose::new(kept.map(|kept| Arc::new(File::from(kept))));
        if let Some(file) = file.filter(|_| origin.ahead.guard_sigbus) {
            whose.ask_descriptor(file);
        }
        // Without a length of its own the slice ends with the file.
        let file_len = file.filter(|_| origin.has_own_len).and_then(sys::regular_len);
        Presence {
            guard: OnceLock::new(),
            guarding: Mutex::new(()),
            is_suspended: false,
            lost_before: None,
            whose: Arc::new(whose),
            is_of_file: origin.backing != Backing::Anonymous,
            present_len: extent.part_within(file_len),
        }
    }

    /// That of another mapping of the same bytes: nothing of it was lost yet.
    pub(super) fn beside(&self) -> Presence {
        Presence {
            guard: OnceLock::new(),
            guarding: Mutex::new(()),
            is_suspended: false,
            lost_before: None,
            whose: Arc::clone(&self.whose),
            is_of_file: self.is_of_file,
            present_len: self.present_len,
        }
    }

    pub(super) fn is_guarded(&self) -> bool {
        self.guard.get().is_some()
    }

    /// The descriptor that is kept, if one is.
    pub(super) fn kept(&self) -> Option<Arc<File>> {
        self.whose.kept()
    }

    /// Takes the mapping under the SIGBUS guard, unless it is already.
    pub(super) fn guard(&self, extent: Extent, access: Access) -> io::Result<()> {
        let _one = self.guarding.lock().unwrap_or_else(PoisonError::into_inner);
        if self.guard.get().is_none() && self.is_of_file {
            let guard = SigbusGuard::watch(extent.pages(0..extent.len), zeros(access))?;
            let _ = self.guard.set(guard);
        }
        Ok(())
    }

    /// Before the mapping changes or goes away: nothing is replaced any more from the return on.
    pub(super) fn suspend(&mut self) {
        let guard = self.guard.take();
        self.is_suspended = guard.is_some();
        self.lost_before = join(self.lost_before.take(), guard.and_then(SigbusGuard::end));
    }

    /// Undoes [`suspend`](Presence::suspend) for the mapping as it is now.
    pub(super) fn resume(&mut self, extent: Extent, access: Access) {
        if extent.len > self.present_len
            && let Ok(file_len) = self.file_len(extent)
        {
            // Bytes that were there once count, also when they are gone by now.
            self.present_len = self.present_len.max(extent.part_within(file_len));
        }
        self.present_len = self.present_len.min(extent.len);
        if std::mem::take(&mut self.is_suspended)
            && let Err(error) = self.guard(extent, access)
        {
            tracing::warn!(%error, "mmap-ahead: a changed mapping has lost its SIGBUS guard");
        }
    }

    /// What is wrong with the mapping as a whole, as far as can be told.
    pub(super) fn error(&self, extent: Extent) -> Option<Error> {
        let lost = self.lost().map(|lost| extent.of_pages(lost)).filter(|lost| !lost.is_empty());
        // A cut is known to the byte, a replaced page lies at or behind it, or is another story.
        let before = lost.as_ref().map_or(self.present_len, |lost| lost.start);
        if let Err(error) = self.check_len(extent, 0..before.min(self.present_len)) {
            return Some(error);
        }
        lost.map(|lost| self.vanished(extent, lost.start))
    }

    /// Whether `range` was not replaced by zeros and still lies within the file.
    pub(super) fn check(&self, extent: Extent, range: Range<usize>) -> Result<(), Error> {
        if range.is_empty() {
            return Ok(());
        }
        let lost = self.lost().map(|lost| extent.of_pages(lost)).unwrap_or_default();
        let first = range.start.max(lost.start);
        if first < range.end.min(lost.end) {
            return Err(self.vanished(extent, first));
        }
        self.check_len(extent, range)
    }

    fn check_len(&self, extent: Extent, range: Range<usize>) -> Result<(), Error> {
        if range.is_empty() {
            return Ok(());
        }
        let asked = self.file_len(extent);
        let asked =
            asked.map_err(|source| Error::Syscall { call: "open(/proc/self/maps)", source });
        let Some(file_len) = asked? else { return Ok(()) };
        if extent.file_offset + range.end as u64 <= file_len {
            return Ok(());
        }
        let first = file_len.saturating_sub(extent.file_offset) as usize;
        Err(self.vanished(extent, first.max(range.start)))
    }

    /// Copies `range` into `buf`, which is as long, without touching it.
    pub(super) fn copy_out(
        &self,
        extent: Extent,
        range: Range<usize>,
        buf: &mut [u8],
    ) -> Result<(), Error> {
        match sys::copy_out(buf, extent.addr + range.start) {
            Ok(()) => self.check(extent, range),
            Err(Broken { error: source, .. }) if is_forbidden(&source) => {
                Err(Error::Syscall { call: "process_vm_readv", source })
            }
            Err(Broken { done, .. }) => {
                // The first missing byte may lie before the page that could not be copied.
                self.check(extent, range.start..range.start + done)?;
                Err(self.vanished(extent, range.start + done))
            }
        }
    }

    /// Has the pages of `range` in the page table.
    pub(super) fn populate(&self, extent: Extent, range: Range<usize>) -> Result<(), Error> {
        if range.is_empty() {
            return Ok(());
        }
        if !sys::has_populate() {
            let needs = "Linux 5.14 (MADV_POPULATE_READ)";
            return Err(Error::Unsupported { what: "a slice that is checked first", needs });
        }
        match sys::populate(extent.pages(range.clone())) {
            Ok(()) => self.check(extent, range),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EFAULT | libc::EHWPOISON)) => {
                // As in `copy_out`; all of it, where nobody may ask which page it is.
                let at = extent.first_missing(range.clone());
                self.check(extent, range.start..at.unwrap_or(range.end))?;
                Err(self.vanished(extent, at.unwrap_or(range.start)))
            }
            Err(source) => Err(Error::Syscall { call: "madvise(MADV_POPULATE_READ)", source }),
        }
    }

    /// The error for byte `at` of the slice, which is not there.
    fn vanished(&self, extent: Extent, at: usize) -> Error {
        let offset = extent.file_offset + at as u64;
        let loss = match self.file_len(extent).ok().flatten() {
            Some(len) if len <= offset => Loss::PastEnd { len },
            // The page was cut off, and the file has grown again.
            Some(_) if self.is_replaced(extent, at) => Loss::Replaced,
            Some(_) => Loss::NotRead,
            None => Loss::Unknown,
        };
        Error::Vanished { file: self.whose.name(&extent.addresses()), offset, loss }
    }

    /// Whether zeros stand in the place of byte `at`.
    fn is_replaced(&self, extent: Extent, at: usize) -> bool {
        self.lost().is_some_and(|lost| extent.of_pages(lost).contains(&at))
    }

    fn lost(&self) -> Option<Range<usize>> {
        join(self.lost_before.clone(), self.guard.get().and_then(SigbusGuard::lost))
    }

    /// The length of the file now; `None` where nobody can tell. An error may pass.
    fn file_len(&self, extent: Extent) -> io::Result<Option<u64>> {
        if self.is_of_file { self.whose.len(&extent.addresses()) } else { Ok(None) }
    }
}

impl Extent {
    /// How far the slice starts behind the start of its page.
    fn lead(self) -> usize {
        self.addr % sys::page_size().bytes() as usize
    }

    /// The whole pages that hold `range`.
    pub(super) fn pages(self, range: Range<usize>) -> Span {
        let page = sys::page_size().bytes() as usize;
        let start = (self.addr + range.start) / page * page;
        let end = (self.addr + range.end).next_multiple_of(page);
        Span { addr: start, len: end - start }
    }

    /// All addresses, whole pages.
    fn addresses(self) -> Range<usize> {
        let Span { addr, len } = self.pages(0..self.len.max(1));
        addr..addr + len
    }

    /// The part of the slice in bytes counted from its first page on.
    fn of_pages(self, range: Range<usize>) -> Range<usize> {
        let lead = self.lead();
        range.start.saturating_sub(lead)..range.end.saturating_sub(lead).min(self.len)
    }

    /// How much of the slice lies in the first `file_len` bytes of the file; all, if that is not known.
    fn part_within(self, file_len: Option<u64>) -> usize {
        let len = file_len.map(|len| len.saturating_sub(self.file_offset));
        len.and_then(|len| usize::try_from(len).ok()).map_or(self.len, |len| len.min(self.len))
    }

    /// The first byte of `range` whose page cannot be read, if that can be told.
    fn first_missing(self, range: Range<usize>) -> Option<usize> {
        let page = sys::page_size().bytes() as usize;
        let mut at = range.start;
        while at < range.end {
            match sys::copy_out(&mut [0], self.addr + at) {
                Ok(()) => at = (self.addr + at + 1).next_multiple_of(page) - self.addr,
                Err(Broken { error, .. }) if is_forbidden(&error) => break,
                Err(_) => return Some(at),
            }
        }
        None
    }
}

/// The guard that was asked for is not to be had.
pub(super) fn no_guard(source: io::Error) -> Error {
    Error::Syscall { call: "the SIGBUS guard", source }
}

/// The system call itself is refused, whatever the page.
fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS | libc::EACCES))
}

fn zeros(access: Access) -> Zeros {
    match access {
        Access::ReadShared | Access::ExecShared | Access::ReadPrivate => Zeros::ReadOnly,
        Access::WriteShared | Access::Other => Zeros::Writable,
    }
}

/// The least range that holds both.
fn join(one: Option<Range<usize>>, other: Option<Range<usize>>) -> Option<Range<usize>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.start.min(other.start)..one.end.max(other.end)),
        (one, other) => one.or(other),
    }
}
