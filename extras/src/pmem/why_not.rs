//! What a refused MAP_SYNC tells.

use std::fmt;
use std::fs::File;
use std::io;

use mmap_ahead::lab::{LineFlush, SharedMemory};
use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};
use rustix::io::Errno;

/// Why flushed cache lines are not durable in a file, so that msync(2) is used.
///
/// Its `Display` is one line for people: the reason, and what would change it.
///
/// Source: mmap(2), MAP_SYNC; mm/mmap.c, `do_mmap`; include/linux/dax.h, `daxdev_mapping_supported`;
/// statx(2), STATX_ATTR_DAX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyNot {
    /// EOPNOTSUPP, and the file is no DAX file: its pages lie in the page cache.
    NoDax,
    /// EOPNOTSUPP, though the file is a DAX file: its device does not promise that what left the cache is
    /// durable (virtio-pmem), or its file system does not know the flag.
    NoPromise,
    /// EINVAL: a kernel before Linux 4.15.
    OldKernel,
    /// Another error, as its number.
    Refused(i32),
    /// MAP_SYNC was granted, but there is no instruction that writes cache lines back.
    NoInstruction,
}

impl WhyNot {
    /// Of a mapping of `file` that was to be one of persistent memory. None when it is.
    pub(super) fn of(file: &File, memory: &SharedMemory) -> Option<WhyNot> {
        let Some(refused) = memory.sync_refused() else {
            return LineFlush::best().is_none().then_some(WhyNot::NoInstruction);
        };
        Some(match Errno::from_io_error(&refused) {
            Some(Errno::OPNOTSUPP) if is_dax(file) => WhyNot::NoPromise,
            Some(Errno::OPNOTSUPP) => WhyNot::NoDax,
            Some(Errno::INVAL) => WhyNot::OldKernel,
            _ => WhyNot::Refused(refused.raw_os_error().unwrap_or(0)),
        })
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WhyNot::NoDax => {
                "MAP_SYNC refused, no DAX: it needs a persistent-memory device with ext4 or xfs, mounted \
                 with -o dax"
            }
            WhyNot::NoPromise => {
                "MAP_SYNC refused, though the file is DAX: the device does not promise that a flushed \
                 line is durable"
            }
            WhyNot::OldKernel => "MAP_SYNC unknown: it needs Linux 4.15",
            WhyNot::NoInstruction => "this processor cannot write cache lines back",
            WhyNot::Refused(errno) => {
                return write!(f, "MAP_SYNC refused: {}", io::Error::from_raw_os_error(*errno));
            }
        })
    }
}

/// Kernel: Linux 5.8; before, no file seems to be one.
fn is_dax(file: &File) -> bool {
    let facts = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::empty());
    facts.is_ok_and(|facts| facts.stx_attributes.contains(StatxAttributes::DAX))
}
