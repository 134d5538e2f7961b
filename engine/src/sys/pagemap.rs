//! Which pages are in the page table: PAGEMAP_SCAN, or /proc/self/pagemap before Linux 6.7.
//!
//! Looking changes nothing: no page is faulted in, no access bit is cleared. Only
//! [`take_written`](Pagemap::take_written) does, where stores are watched.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Span, check, page_size};

/// `_IOWR('f', 16, struct pm_scan_arg)`, include/uapi/linux/fs.h.
const PAGEMAP_SCAN: u64 = 0xc060_6610;
const PAGE_IS_WRITTEN: u64 = 1 << 1;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_HUGE: u64 = 1 << 6;
/// Protects the pages that are reported; fails where that is not possible (EPERM).
const TAKE: u64 = 1 << 0 | 1 << 1;
/// Bit 63 of an entry of /proc/self/pagemap: the page is present.
const ENTRY_PRESENT: u64 = 1 << 63;
/// Regions taken from one call.
const REGIONS: usize = 128;

#[repr(C)]
#[derive(Default)]
struct ScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// The page map of this process, opened once; `None` where the kernel or a sandbox hides it.
pub(crate) fn pagemap() -> Option<&'static Pagemap> {
    static PAGEMAP: OnceLock<Option<Pagemap>> = OnceLock::new();
    let opened = PAGEMAP.get_or_init(|| {
        Pagemap::open()
            .inspect_err(|error| tracing::info!(%error, "mmap-ahead: no page map; it is off"))
            .ok()
    });
    opened.as_ref()
}

/// What a scan looks for, and what it does there.
#[derive(Clone, Copy)]
struct Look {
    category: u64,
    flags: u64,
}

impl Look {
    const PRESENT: Look = Look { category: PAGE_IS_PRESENT, flags: 0 };
    const HUGE: Look = Look { category: PAGE_IS_HUGE, flags: 0 };
    const TAKE_WRITTEN: Look = Look { category: PAGE_IS_WRITTEN, flags: TAKE };
}

/// The open page map of this process.
#[derive(Debug)]
pub(crate) struct Pagemap {
    file: File,
    has_scan: AtomicBool,
}

impl Pagemap {
    /// Opens /proc/self/pagemap: one file descriptor (close-on-exec) for the whole process.
    pub(crate) fn open() -> io::Result<Pagemap> {
        let file = File::open("/proc/self/pagemap")?;
        Ok(Pagemap { file, has_scan: AtomicBool::new(true) })
    }

    /// Whether the kernel has PAGEMAP_SCAN, as far as it was tried.
    pub(crate) fn has_scan(&self) -> bool {
        self.has_scan.load(Ordering::Relaxed)
    }

    /// Whether any page of `span` is present.
    pub(crate) fn any_present(&self, span: Span) -> io::Result<bool> {
        if self.has_scan() {
            let mut regions = [Region::default(); 1];
            match self.scan(span, &mut regions, 1, Look::PRESENT) {
                Ok((found, _)) => return Ok(found > 0),
                Err(error) => self.give_up_scan(error)?,
            }
        }
        let mut any = false;
        self.read_entries(span, |_, _| any = true)?;
        Ok(any)
    }

    /// Whether all of `span` is mapped as huge pages; `None` where only PAGEMAP_SCAN could tell.
    pub(crate) fn is_huge(&self, span: Span) -> Option<bool> {
        if !self.has_scan() {
            return None;
        }
        let mut regions = [Region::default(); 1];
        let (found, _) = self.scan(span, &mut regions, 0, Look::HUGE).ok()?;
        let [Region { start, end, .. }] = regions;
        Some(found == 1 && end - start == span.len as u64)
    }

    /// Calls `found(from, to)` for every run of present pages in `span`, as byte offsets from its
    /// start, ascending, until `found` has been told `regions_max` runs. Returns up to where the
    /// span was walked.
    pub(crate) fn present(
        &self,
        span: Span,
        regions_max: usize,
        mut found: impl FnMut(usize, usize),
    ) -> io::Result<usize> {
        if self.has_scan() {
            match self.present_by_scan(span, regions_max, &mut found) {
                Ok(walked) => return Ok(walked),
                Err(error) => self.give_up_scan(error)?,
            }
        }
        self.read_entries(span, &mut found)?;
        Ok(span.len)
    }

    /// Calls `found(from, to)` for every run of pages in `span` that were stored to since the last time,
    /// as byte offsets from its start, ascending, and has the next store to each of them noticed: page by
    /// page one step, so that no store is lost between the two.
    ///
    /// # Errors
    /// EPERM where the span is not watched by userfaultfd with WP_ASYNC; ENOTTY before Linux 6.7. Pages
    /// that were told of until then are told of once.
    pub(crate) fn take_written(
        &self,
        span: Span,
        mut found: impl FnMut(usize, usize),
    ) -> io::Result<()> {
        let mut walked = 0;
        while walked < span.len {
            let mut regions = [Region::default(); REGIONS];
            let rest = span.slice(walked, span.len);
            let (count, end) = self.scan(rest, &mut regions, 0, Look::TAKE_WRITTEN)?;
            for region in &regions[..count] {
                let offset = |address: u64| address as usize - span.addr;
                found(offset(region.start), offset(region.end));
            }
            walked = end - span.addr;
        }
        Ok(())
    }

    fn present_by_scan(
        &self,
        span: Span,
        regions_max: usize,
        found: &mut impl FnMut(usize, usize),
    ) -> io::Result<usize> {
        let mut walked = 0;
        let mut left = regions_max;
        while walked < span.len && left > 0 {
            let mut regions = [Region::default(); REGIONS];
            let wanted = left.min(REGIONS);
            let rest = span.slice(walked, span.len);
            let (count, end) = self.scan(rest, &mut regions[..wanted], 0, Look::PRESENT)?;
            for region in &regions[..count] {
                let offset = |address: u64| address as usize - span.addr;
                found(offset(region.start), offset(region.end));
            }
            left -= count;
            walked = end - span.addr;
        }
        Ok(walked)
    }

    /// One PAGEMAP_SCAN. Returns how many regions were filled and the address the walk ended at.
    fn scan(
        &self,
        span: Span,
        regions: &mut [Region],
        pages_max: u64,
        look: Look,
    ) -> io::Result<(usize, usize)> {
        let mut arg = ScanArg {
            size: size_of::<ScanArg>() as u64,
            flags: look.flags,
            start: span.addr as u64,
            end: (span.addr + span.len) as u64,
            vec: regions.as_mut_ptr() as u64,
            vec_len: regions.len() as u64,
            max_pages: pages_max,
            category_mask: look.category,
            return_mask: look.category,
            ..ScanArg::default()
        };
        let fd = self.file.as_raw_fd();
        let arg_ptr: *mut ScanArg = &raw mut arg;
        // SAFETY: the argument has the kernel's layout and outlives the call; `vec` points to
        // `vec_len` writable regions; the walk reads page tables, and protects pages only where
        // userfaultfd was told that stores to them are to be noticed, which they then are.
        let filled = unsafe { libc::ioctl(fd, PAGEMAP_SCAN as _, arg_ptr) };
        let filled = check(libc::c_long::from(filled))? as usize;
        Ok((filled.min(regions.len()), arg.walk_end as usize))
    }

    /// Without the ioctl (ENOTTY before 6.7, EINVAL from filters) the plain file serves from now on.
    fn give_up_scan(&self, error: io::Error) -> io::Result<()> {
        match error.raw_os_error() {
            Some(libc::ENOTTY | libc::EINVAL | libc::EPERM | libc::ENOSYS) => {
                self.has_scan.store(false, Ordering::Relaxed);
                Ok(())
            }
            _ => Err(error),
        }
    }

    fn read_entries(&self, span: Span, mut found: impl FnMut(usize, usize)) -> io::Result<()> {
        let page = page_size().bytes() as usize;
        let mut entries = [0u8; 8 * 512];
        let pages = span.len.div_ceil(page);
        let mut run_start = None;
        for first in (0..pages).step_by(512) {
            let count = (pages - first).min(512);
            let buffer = &mut entries[..count * 8];
            self.file.read_exact_at(buffer, ((span.addr / page + first) * 8) as u64)?;
            for (index, entry) in buffer.as_chunks::<8>().0.iter().enumerate() {
                let at = (first + index) * page;
                let present = u64::from_ne_bytes(*entry) & ENTRY_PRESENT != 0;
                match (present, run_start) {
                    (true, None) => run_start = Some(at),
                    (false, Some(start)) => {
                        found(start, at);
                        run_start = None;
                    }
                    _ => {}
                }
            }
        }
        if let Some(start) = run_start {
            found(start, span.len);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::os::fd::FromRawFd;

    /// Six blocks of 64 KiB on tmpfs, aligned as faults are, the second and third of them mapped.
    fn observe(pagemap: &Pagemap) -> (bool, bool, Vec<(usize, usize)>) {
        let file = memfd();
        file.set_len(8 << 16).unwrap();
        file.write_all_at(&[1; 8 << 16], 0).unwrap();
        // SAFETY: the memfd is private to this test and not changed while it is mapped.
        let map = unsafe { memmap2::Mmap::map(&file) }.unwrap();
        let base = map.as_ptr() as usize;
        let lead = base.next_multiple_of(1 << 16) - base;
        map.advise_range(memmap2::Advice::PopulateRead, lead + (1 << 16), 2 << 16).unwrap();
        let span = Span { addr: base + lead, len: 6 << 16 };
        let mut runs = Vec::new();
        let walked = pagemap.present(span, 16, |from, to| runs.push((from, to))).unwrap();
        assert_eq!(walked, span.len);
        let first = pagemap.any_present(span.slice(0, 1 << 16)).unwrap();
        let second = pagemap.any_present(span.slice(1 << 16, 2 << 16)).unwrap();
        (first, second, runs)
    }

    fn memfd() -> File {
        // SAFETY: the name is a C string; the call makes a new descriptor.
        let fd = unsafe { libc::memfd_create(c"pagemap-test".as_ptr(), libc::MFD_CLOEXEC) };
        assert!(fd >= 0);
        // SAFETY: the descriptor was just made and belongs to nobody else.
        unsafe { File::from_raw_fd(fd) }
    }

    #[test]
    fn both_ways_to_look_see_the_same_pages() {
        let pagemap = Pagemap::open().unwrap();
        let by_scan = observe(&pagemap);
        assert_eq!(by_scan, (false, true, vec![(1 << 16, 3 << 16)]));
        pagemap.has_scan.store(false, Ordering::Relaxed);
        assert_eq!(observe(&pagemap), by_scan);
    }

    #[test]
    fn a_file_that_is_no_pagemap_is_an_error_not_a_guess() {
        let file = OpenOptions::new().read(true).open("/dev/null").unwrap();
        let pagemap = Pagemap { file, has_scan: AtomicBool::new(true) };
        let here = Span { addr: 0x10000, len: 4096 };
        assert!(pagemap.any_present(here).is_err());
        assert!(!pagemap.has_scan());
    }
}
