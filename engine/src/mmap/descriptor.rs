use std::os::fd::{AsRawFd, RawFd};

/// A file that can be mapped: a descriptor, or a reference to what has one.
///
/// memmap2's trait of the same name keeps the descriptor to itself, and following a file begins
/// with a question to it; so this is a twin with the same implementations, not a re-export.
pub trait MmapAsRawDesc {
    /// The descriptor. It is used while the file is being mapped, not longer, unless
    /// [`MmapOptions::keep_file`](crate::MmapOptions::keep_file) asks for a copy of it.
    fn as_raw_desc(&self) -> MmapRawDescriptor;
}

/// The descriptor of a file that is being mapped.
pub struct MmapRawDescriptor(pub(super) RawFd);

impl MmapAsRawDesc for RawFd {
    fn as_raw_desc(&self) -> MmapRawDescriptor {
        MmapRawDescriptor(*self)
    }
}

impl<T: AsRawFd> MmapAsRawDesc for &T {
    fn as_raw_desc(&self) -> MmapRawDescriptor {
        MmapRawDescriptor(self.as_raw_fd())
    }
}
