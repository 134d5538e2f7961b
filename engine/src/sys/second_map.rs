//! A second mapping of what is mapped already, with advice of its own.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::{Span, check, page_size};

/// A read-only mapping of our own making; unmapped when it is dropped.
#[derive(Debug)]
pub(crate) struct SecondMap {
    /// All its pages.
    pages: Span,
    /// Where in them the bytes begin, and how many there are.
    lead: usize,
    len: usize,
}

impl SecondMap {
    /// Maps the pages of a shared mapping of a file once more, at other addresses, without the file:
    /// mremap(2) with an old size of 0. Advice, protection and locks of the old one are not taken over.
    ///
    /// # Errors
    /// EINVAL for a private mapping; ENOMEM.
    pub(crate) fn duplicate(of: &memmap2::Mmap) -> io::Result<SecondMap> {
        let addr = of.as_ptr() as usize;
        let lead = addr % page_size().bytes() as usize;
        SecondMap::duplicate_pages(addr - lead, lead, of.len())
    }

    /// Maps the pages of a shared mapping of a file once more, as [`duplicate`](SecondMap::duplicate) does,
    /// for faults that read 2 MiB each: that block of the file and no more (MADV_HUGEPAGE, MADV_RANDOM).
    /// Children do not inherit it, core dumps leave it out.
    ///
    /// # Errors
    /// EINVAL for a private mapping, and from a kernel without huge pages; ENOMEM.
    ///
    /// Source: madvise(2); mm/filemap.c, do_sync_mmap_readahead.
    pub(crate) fn in_blocks(pages: Span) -> io::Result<SecondMap> {
        let area = SecondMap::duplicate_pages(pages.addr, 0, pages.len)?;
        for advice in [
            memmap2::Advice::HugePage,
            memmap2::Advice::Random,
            memmap2::Advice::DontFork,
            memmap2::Advice::DontDump,
        ] {
            area.advise(advice)?;
        }
        Ok(area)
    }

    fn duplicate_pages(addr: usize, lead: usize, len: usize) -> io::Result<SecondMap> {
        let pages_len = whole_pages(lead + len);
        let old = addr as *mut libc::c_void;
        // SAFETY: with an old size of 0 the old mapping stays as it is, and without MREMAP_FIXED the new
        // one takes addresses that nobody uses.
        let new = unsafe { libc::mremap(old, 0, pages_len, libc::MREMAP_MAYMOVE) };
        let area = SecondMap::at(new, pages_len, lead, len)?;
        area.forget_the_old_one()?;
        Ok(area)
    }

    /// Maps `len` bytes of `file` from `offset` on, MAP_PRIVATE.
    pub(crate) fn map_private(
        file: BorrowedFd<'_>,
        offset: u64,
        len: usize,
    ) -> io::Result<SecondMap> {
        let lead = (offset % page_size().bytes()) as usize;
        let pages_len = whole_pages(lead + len);
        let offset = (offset - lead as u64) as libc::off_t;
        let (flags, fd) = (libc::MAP_PRIVATE, file.as_raw_fd());
        // SAFETY: without an address the kernel takes one that nobody uses; the file is open.
        let new = unsafe {
            libc::mmap(std::ptr::null_mut(), pages_len, libc::PROT_READ, flags, fd, offset)
        };
        SecondMap::at(new, pages_len, lead, len)
    }

    fn at(
        new: *mut libc::c_void,
        pages_len: usize,
        lead: usize,
        len: usize,
    ) -> io::Result<SecondMap> {
        if new == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(SecondMap { pages: Span { addr: new as usize, len: pages_len }, lead, len })
    }

    /// A duplicate begins with the flags of the area that it was made of.
    fn forget_the_old_one(&self) -> io::Result<()> {
        let (addr, len) = (self.pages.addr as *mut libc::c_void, self.pages.len);
        // SAFETY: the pages are ours and stay readable, which is all that anybody was promised.
        let result = unsafe { libc::mprotect(addr, len, libc::PROT_READ) };
        check(libc::c_long::from(result))?;
        // SAFETY: it changes no bytes and no protection.
        let result = unsafe { libc::munlock(addr, len) };
        check(libc::c_long::from(result))?;
        // Refused where nobody said otherwise.
        let _ = self.advise(memmap2::Advice::DoFork);
        let _ = self.advise(memmap2::Advice::DoDump);
        self.advise(memmap2::Advice::Normal)
    }

    /// Tells the kernel how all of it will be used: every value of this type is harmless.
    pub(crate) fn advise(&self, advice: memmap2::Advice) -> io::Result<()> {
        let addr = self.pages.addr as *mut libc::c_void;
        // SAFETY: memmap2 keeps the values that change what memory holds in another type.
        let result = unsafe { libc::madvise(addr, self.pages.len, advice as libc::c_int) };
        check(libc::c_long::from(result)).map(|_| ())
    }

    /// What is mapped. That the bytes stay as they are is the promise that the first mapping was made
    /// under.
    pub(crate) fn bytes(&self) -> &[u8] {
        let first = (self.pages.addr + self.lead) as *const u8;
        // SAFETY: so many bytes are mapped readable there until `self` is dropped.
        unsafe { std::slice::from_raw_parts(first, self.len) }
    }

    /// Its pages, mapped until `self` is dropped.
    pub(crate) fn pages(&self) -> Span {
        self.pages
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for SecondMap {
    fn drop(&mut self) {
        // SAFETY: the pages are ours, and every slice of them borrows from `self`.
        let result = unsafe { libc::munmap(self.pages.addr as *mut libc::c_void, self.pages.len) };
        debug_assert_eq!(result, 0, "munmap: {}", io::Error::last_os_error());
    }
}

/// The fewest whole pages that hold `len` bytes, at least one, in bytes.
fn whole_pages(len: usize) -> usize {
    len.max(1).next_multiple_of(page_size().bytes() as usize)
}
