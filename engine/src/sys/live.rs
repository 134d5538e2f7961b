//! What `lab` lends: a mapping that is looked at while it is touched, page by page, so that the running
//! kernel can be compared with a model of it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

use super::advise::{LiveAdvice, advise_live};
use super::arena::{FRAME_LEN, reserve, unmap};
use super::{Pagemap, Span, page_size, populate, populate_for_stores, which_cached};

/// A shared mapping of the start of a file, at a chosen place inside the 2 MiB that one page table
/// covers. It is never turned into a slice: whoever changes the file disturbs nobody.
///
/// Pages are counted from the start of the file. Every call panics beyond the last page.
#[derive(Debug)]
pub struct LiveMap {
    whole: Span,
    span: Span,
    pagemap: Pagemap,
}

impl LiveMap {
    /// Maps `pages` of `file` for loads and stores, its first page being entry `entry` of a page table
    /// (0: file and memory are aligned alike).
    ///
    /// # Errors
    /// Those of mmap(2), and of opening /proc/self/pagemap.
    ///
    /// # Panics
    /// When the file has fewer pages.
    pub fn new(file: &File, pages: usize, entry: usize) -> io::Result<LiveMap> {
        let page = page_size().bytes() as usize;
        let len = pages * page;
        assert!(len as u64 <= file.metadata()?.len(), "the file has {pages} pages");
        let pagemap = Pagemap::open()?;
        let reserved = reserve(len + FRAME_LEN)?;
        let at = entry * page % FRAME_LEN;
        let live =
            LiveMap { whole: reserved.whole, span: reserved.aligned.slice(at, at + len), pagemap };
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        let addr = live.span.addr as *mut libc::c_void;
        // SAFETY: it replaces a part of what was just reserved, and nothing refers to that.
        let mapped = unsafe { libc::mmap(addr, len, prot, flags, file.as_raw_fd(), 0) };
        if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(live) }
    }

    /// Loads a byte of a page.
    pub fn load(&self, page: usize) -> u8 {
        let byte = self.pages(page, page + 1).addr as *const u8;
        // SAFETY: the page is mapped readable as long as `self` lives; `page` is inside the mapping,
        // and the file is as long as it. Other writers make the value unknown, not the load unsound.
        unsafe { ptr::read_volatile(byte) }
    }

    /// Stores a byte to a page: 0 to its first.
    pub fn store(&mut self, page: usize) {
        let byte = self.pages(page, page + 1).addr as *mut u8;
        // SAFETY: as in `load`; the page is mapped writable, and no slice of it exists.
        unsafe { ptr::write_volatile(byte, 0) }
    }

    /// madvise(2) of the pages `from..to`.
    ///
    /// # Errors
    /// Those of madvise(2).
    pub fn advise(&self, from: usize, to: usize, advice: LiveAdvice) -> io::Result<()> {
        advise_live(self.pages(from, to), advice)
    }

    /// MADV_POPULATE_READ of the pages `from..to`.
    ///
    /// # Errors
    /// Those of madvise(2).
    pub fn populate(&self, from: usize, to: usize) -> io::Result<()> {
        populate(self.pages(from, to))
    }

    /// MADV_POPULATE_WRITE of the pages `from..to`.
    ///
    /// # Errors
    /// Those of madvise(2).
    pub fn populate_for_stores(&self, from: usize, to: usize) -> io::Result<()> {
        populate_for_stores(self.pages(from, to))
    }

    /// Says for each page whether it is in the page cache and has arrived (mincore(2)): bit 0.
    ///
    /// # Errors
    /// Those of mincore(2).
    pub fn resident(&self) -> io::Result<Vec<u8>> {
        let mut bits = vec![0; self.span.len / page_size().bytes() as usize];
        which_cached(self.span, &mut bits)?;
        Ok(bits)
    }

    /// The runs of pages that are in the page table, half-open.
    ///
    /// # Errors
    /// Those of PAGEMAP_SCAN or of reading /proc/self/pagemap.
    pub fn mapped(&self) -> io::Result<Vec<(usize, usize)>> {
        let page = page_size().bytes() as usize;
        let mut runs: Vec<(usize, usize)> = Vec::new();
        self.pagemap.present(self.span, usize::MAX, |from, to| match runs.last_mut() {
            Some(last) if last.1 == from / page => last.1 = to / page,
            _ => runs.push((from / page, to / page)),
        })?;
        Ok(runs)
    }

    fn pages(&self, from: usize, to: usize) -> Span {
        let page = page_size().bytes() as usize;
        assert!(from <= to && to * page <= self.span.len, "pages {from}..{to} of {:?}", self.span);
        self.span.slice(from * page, to * page)
    }
}

impl Drop for LiveMap {
    fn drop(&mut self) {
        unmap(self.whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_mapped_where_it_was_asked_for_and_shows_what_was_touched() {
        let file = tempfile::tempfile_in("/dev/shm").unwrap();
        file.set_len(64 << 12).unwrap();
        let mut live = LiveMap::new(&file, 64, 5).unwrap();
        assert_eq!(live.span.addr / page_size().bytes() as usize % 512, 5);
        assert_eq!(live.mapped().unwrap(), []);
        live.store(7);
        assert_eq!((live.load(7), live.mapped().unwrap()), (0, vec![(7, 8)]));
        assert_eq!(live.resident().unwrap().iter().position(|&bits| bits == 1), Some(7));
        live.advise(0, 64, LiveAdvice::DropMapped).unwrap();
        assert_eq!(live.mapped().unwrap(), []);
    }

    #[test]
    #[should_panic(expected = "pages 64..65")]
    fn no_page_beyond_the_last_is_touched() {
        let file = tempfile::tempfile_in("/dev/shm").unwrap();
        file.set_len(64 << 12).unwrap();
        LiveMap::new(&file, 64, 0).unwrap().load(64);
    }
}
