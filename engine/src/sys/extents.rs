//! In how many pieces a file lies on its disk.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::check;

/// `_IOWR('f', 11, struct fiemap)`.
const FS_IOC_FIEMAP: libc::c_ulong = 0xC020_660B;

/// `struct fiemap` without room for extents: the kernel only counts them.
#[repr(C)]
#[derive(Default)]
struct Fiemap {
    start: u64,
    length: u64,
    flags: u32,
    mapped_extents: u32,
    extent_count: u32,
    reserved: u32,
}

/// How many extents `file` has. Source: Documentation/filesystems/fiemap.rst.
///
/// # Errors
/// EOPNOTSUPP or ENOTTY on file systems that do not tell, such as tmpfs.
pub fn extents(file: &File) -> io::Result<u64> {
    let mut map = Fiemap { length: u64::MAX, ..Fiemap::default() };
    // SAFETY: the request reads and writes one fiemap header; extent_count is 0, so nothing behind it.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FIEMAP as _, &raw mut map) };
    check(libc::c_long::from(result))?;
    Ok(u64::from(map.mapped_extents))
}
