//! Where there is no Linux: what `Reader` asks of the kernel is not to be had.

use std::fs::File;
use std::io;
use std::os::fd::RawFd;
use std::sync::OnceLock;

use crate::page::PageSize;

/// As in `read`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)]
pub(crate) enum Now {
    Read(usize),
    Wait,
    Unknown,
}

/// As in `cache`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)]
pub(crate) struct CacheView {
    pub(crate) cached_pages: u64,
    pub(crate) dirty_pages: u64,
}

pub(crate) fn read_now(_file: &File, _buf: &mut [u8], _offset: u64) -> io::Result<Now> {
    Ok(Now::Unknown)
}

pub(crate) fn read_ahead(_file: &File, _offset: u64, _len: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn cache_view(_file: RawFd, _offset: u64, _len: u64) -> io::Result<CacheView> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn page_size() -> PageSize {
    static SIZE: OnceLock<PageSize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        // SAFETY: sysconf reads a constant and has no precondition.
        let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        PageSize::new(usize::try_from(bytes).unwrap_or(4096))
    })
}

/// Nothing runs here that a child could miss.
pub(crate) fn in_forked_child() -> bool {
    false
}

/// Not portable: the space stays taken.
pub(crate) fn punch_hole(_: &std::fs::File, _: std::ops::Range<u64>) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
