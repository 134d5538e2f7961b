//! The kernel's own read-ahead, made to run further ahead than the reader would have it.
//!
//! A window that the kernel has read ahead carries a flag on one page (PG_readahead): whoever reads that
//! page has the next window started, which is then flagged on its first page. A read of one byte with
//! RWF_NOWAIT does so too, and does not wait for the page to come. So a window after the other is
//! started without waiting for any.
//!
//! What it is good for: these windows come in large folios, which double from window to window. MADV_WILLNEED
//! and readahead(2) read single pages, however far they read: more work for every one of them, and up to
//! 254 pieces a request where memory is scattered. Measured, cold ext4, `read_ahead_kb` 128, 2 GiB: plain
//! mmap 1.25 to 1.54 GB/s, WILLNEED ahead of it 1.1 to 1.9, this 2.2 to 2.5.
//!
//! Source: KERNEL.md 1.3 to 1.5; mm/readahead.c, page_cache_async_ra; mm/filemap.c, filemap_readahead.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

use crate::sys::{self, Now};

/// What is skipped in one go where it is in memory already.
const CACHED_STEP: u64 = 64 << 10;
/// How many pages are read alone before a window is.
const BEGIN_PAGES: usize = 4;

/// An open file of our own, and how far it was read ahead.
#[derive(Debug)]
pub(super) struct Walk {
    file: File,
    len: u64,
    /// What the kernel reads at once through `file`.
    window: u64,
    /// Where the flagged page lies, as far as the kernel's rules tell.
    flag: u64,
    /// Up to where reading was started.
    end: u64,
}

impl Walk {
    /// For `file`, through which the kernel reads `window` bytes ahead by itself: twice that from now on.
    ///
    /// # Errors
    /// Those of cachestat(2): who may not see what is cached cannot follow the flags.
    pub(super) fn new(file: File, window: u64) -> io::Result<Walk> {
        let len = file.metadata()?.len();
        sys::cache_view(file.as_raw_fd(), 0, 1)?;
        sys::read_twice_as_far_ahead(&file);
        let window = window * 2;
        Ok(Walk { file, len, window, flag: 0, end: 0 })
    }

    /// Up to where reading was started.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Has reading started up to the end of `range`, and up to a window further. What lies before it
    /// and was not asked for is left alone.
    ///
    /// # Errors
    /// Those of reading; EOPNOTSUPP where the kernel does not read ahead like that.
    pub(super) fn read(&mut self, range: &Range<u64>) -> io::Result<()> {
        let end = range.end.min(self.len);
        let is_elsewhere = range.start > self.end || (end <= self.end && !self.is_cached(range)?);
        if is_elsewhere {
            self.begin(range.start)?;
        }
        while self.end < end {
            if !self.go_on()? {
                self.begin(self.end)?;
            }
        }
        Ok(())
    }

    /// Reads the flagged page. Returns whether the next window was started by that.
    fn go_on(&mut self) -> io::Result<bool> {
        self.poke(self.flag)?;
        let started = self.cached(&(self.end..self.end + self.window))?;
        if started > 0 {
            self.flag = self.end;
            self.end += started;
        }
        Ok(started > 0)
    }

    /// Starts the first window from `at` on, or from where it is not cached.
    fn begin(&mut self, at: u64) -> io::Result<()> {
        let page = sys::page_size().bytes();
        let mut at = at;
        while at < self.len {
            let cached = self.cached(&(at..at + CACHED_STEP))?;
            at += cached;
            if cached < CACHED_STEP {
                break;
            }
        }
        self.end = at.min(self.len.next_multiple_of(page));
        if at >= self.len {
            return Ok(());
        }
        // Page by page, until the kernel sees a run in what is cached before: three at most.
        for at in (at..self.len).step_by(page as usize).take(BEGIN_PAGES) {
            self.poke(at)?;
            let started = self.cached(&(at..at + self.window))?;
            if started == 0 {
                break;
            }
            self.end = at + started;
            // What follows what is asked for at the start of a file is flagged, else the last page.
            self.flag = if at == 0 { page } else { self.end - page };
            if started > page {
                return Ok(());
            }
        }
        if self.end < self.len {
            Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))
        } else {
            Ok(())
        }
    }

    fn poke(&self, at: u64) -> io::Result<()> {
        match sys::read_now(&self.file, &mut [0], at) {
            Ok(Now::Read(_) | Now::Wait) => Ok(()),
            Ok(Now::Unknown) => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
            Err(error) => Err(error),
        }
    }

    fn is_cached(&self, range: &Range<u64>) -> io::Result<bool> {
        Ok(self.cached(range)? >= range.end.min(self.len) - range.start.min(self.len))
    }

    /// Bytes of `range` that are in the page cache, or on their way there.
    fn cached(&self, range: &Range<u64>) -> io::Result<u64> {
        let view = sys::cache_view(self.file.as_raw_fd(), range.start, range.end - range.start)?;
        Ok(view.cached_pages * sys::page_size().bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::fetch::device;

    const LEN: u64 = 64 << 20;

    /// A cold file; `None`, aloud, where files are always in memory, or nobody says what is.
    fn cold() -> Option<(File, Walk)> {
        let cold = try_cold();
        if cold.is_none() {
            println!("SKIPPED: /var/tmp is no disk whose cache can be looked at");
        }
        cold
    }

    fn try_cold() -> Option<(File, Walk)> {
        let file = tempfile::tempfile_in("/var/tmp").ok()?;
        file.write_all_at(&vec![7; LEN as usize], 0).ok()?;
        let facts = sys::file_facts(file.as_raw_fd()).ok()?;
        drop_cache(&file);
        let window = device::read_ahead(facts.device).window as u64;
        let walk = Walk::new(file.try_clone().ok()?, window).ok()?;
        let is_cold = walk.cached(&(0..LEN)).ok()? == 0 && facts.device.0 > 0 && window > 0;
        is_cold.then_some((file, walk))
    }

    fn drop_cache(file: &File) {
        file.sync_all().unwrap();
        rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }

    #[test]
    fn what_is_asked_for_is_read_and_at_most_a_window_more() {
        let Some((_file, mut walk)) = cold() else { return };
        for range in [0..1 << 20, 1 << 20..3 << 20, 3 << 20..4 << 20] {
            walk.read(&range).unwrap();
            assert!(walk.is_cached(&range).unwrap(), "{range:?}");
            assert!(walk.end < range.end + walk.window, "read up to {}", walk.end);
        }
    }

    #[test]
    fn one_window_starts_the_next_without_a_new_beginning() {
        let Some((_file, mut walk)) = cold() else { return };
        walk.begin(0).unwrap();
        while walk.end < LEN {
            let before = walk.end;
            assert!(walk.go_on().unwrap(), "the chain broke at {before}");
            assert!(walk.end > before && walk.flag == before);
        }
    }

    #[test]
    fn what_was_jumped_over_is_left_alone_and_what_is_gone_is_read_again() {
        let Some((file, mut walk)) = cold() else { return };
        walk.read(&(0..1 << 20)).unwrap();
        let (end, far) = (walk.end, LEN - (4 << 20)..LEN);
        walk.read(&far).unwrap();
        assert!(walk.is_cached(&far).unwrap());
        assert_eq!(walk.cached(&(end..far.start)).unwrap(), 0);
        drop_cache(&file);
        walk.read(&far).unwrap();
        assert!(walk.is_cached(&far).unwrap(), "read again");
        let all = LEN - (1 << 20)..LEN + (8 << 20);
        walk.read(&all).unwrap();
        assert_eq!(walk.end, LEN, "nothing lies behind the end");
    }
}
