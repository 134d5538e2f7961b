//! Mappings that memmap2 does not make: at a given address, with flags of their own.

use std::io;
use std::os::fd::RawFd;

use super::{Span, check};

/// What is mapped, and how, as mmap(2) wants it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) len: usize,
    pub(crate) prot: i32,
    pub(crate) flags: i32,
    /// -1 for anonymous memory.
    pub(crate) file: RawFd,
    /// On a page.
    pub(crate) offset: u64,
}

/// Addresses of a mapping of our own, unmapped when this is dropped.
#[derive(Debug)]
pub(crate) struct Area {
    span: Span,
}

impl Area {
    /// Maps at `addr` exactly, where nothing is mapped yet, or wherever the kernel likes.
    ///
    /// # Errors
    /// EEXIST where something is mapped there already: nothing is ever replaced. Those of mmap(2).
    ///
    /// Kernel: 4.17 for MAP_FIXED_NOREPLACE; before, the address is only a hint, and another one is
    /// EEXIST too.
    pub(crate) fn map(request: Request, addr: Option<usize>) -> io::Result<Area> {
        let Request { len, prot, mut flags, file, offset } = request;
        if addr.is_some() {
            flags |= libc::MAP_FIXED_NOREPLACE;
        }
        let offset = libc::off64_t::try_from(offset)
            .map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))?;
        let hint = std::ptr::without_provenance_mut(addr.unwrap_or(0));
        // SAFETY: without MAP_FIXED nothing that is mapped is touched; the kernel checks the rest.
        let mapped = unsafe { mmap(hint, len, prot, flags, file, offset) };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let area = Area { span: Span { addr: mapped.expose_provenance(), len } };
        match addr {
            Some(addr) if addr != area.span.addr => Err(io::Error::from_raw_os_error(libc::EEXIST)),
            _ => Ok(area),
        }
    }

    pub(crate) fn addr(&self) -> usize {
        self.span.addr
    }

    /// Has what was stored to `bytes` of it on the disk. (MS_SYNC)
    ///
    /// # Errors
    /// Those of msync(2).
    pub(crate) fn flush(&self, bytes: std::ops::Range<usize>) -> io::Result<()> {
        let page = super::page_size().bytes() as usize;
        let part = self.span.slice(bytes.start / page * page, bytes.end);
        let addr = std::ptr::without_provenance_mut(part.addr);
        // SAFETY: the range lies in this mapping; its bytes stay as they are.
        let result = unsafe { libc::msync(addr, part.len, libc::MS_SYNC) };
        check(libc::c_long::from(result)).map(|_| ())
    }
}

/// Puts `area` in the place of `target`, which is as long: a live mapping that the caller has just made
/// and that nobody has seen yet.
///
/// # Errors
/// Those of mremap(2).
pub(crate) fn replace_fresh(area: Area, target: Span) -> io::Result<()> {
    let from = std::ptr::without_provenance_mut(area.span.addr);
    let to = std::ptr::without_provenance_mut::<libc::c_void>(target.addr);
    let (len, flags) = (area.span.len, libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED);
    // SAFETY: the source is this mapping, which nobody else knows; of the target nobody has a slice yet,
    // and its owner unmaps what is there then.
    let moved = unsafe { libc::mremap(from, len, len, flags, to) };
    if moved == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    std::mem::forget(area);
    Ok(())
}

impl Drop for Area {
    fn drop(&mut self) {
        let addr = std::ptr::without_provenance_mut(self.span.addr);
        // SAFETY: the mapping is this value's own, and nobody uses it any more.
        unsafe { libc::munmap(addr, self.span.len) };
    }
}

/// Locks `span` into memory: mlock(2), which says so when it fails, as MAP_LOCKED does not.
///
/// # Errors
/// ENOMEM and EAGAIN beyond RLIMIT_MEMLOCK, EPERM when that is 0.
pub(crate) fn lock(span: Span) -> io::Result<()> {
    let addr = std::ptr::without_provenance(span.addr);
    // SAFETY: it changes no bytes; addresses that are not mapped are refused.
    check(libc::c_long::from(unsafe { libc::mlock(addr, span.len) })).map(|_| ())
}

// musl's off_t has 64 bits everywhere, glibc's has not.
#[cfg(target_env = "musl")]
use libc::mmap;
#[cfg(not(target_env = "musl"))]
use libc::mmap64 as mmap;
