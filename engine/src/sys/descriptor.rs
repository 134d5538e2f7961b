//! The file descriptor inside memmap2's `MmapRawDescriptor`, which keeps it to itself.

use std::mem::{align_of, size_of, transmute_copy};
use std::os::fd::RawFd;

use memmap2::{MmapAsRawDesc, MmapRawDescriptor};

/// The descriptor that memmap2 will map, or `None` if a future memmap2 keeps something else there.
///
/// Source: memmap2 0.9.12 `src/lib.rs`: `pub struct MmapRawDescriptor(RawFd)` on Unix.
pub(crate) fn raw_fd_of<T: MmapAsRawDesc>(file: &T) -> Option<RawFd> {
    let same_shape = size_of::<MmapRawDescriptor>() == size_of::<RawFd>()
        && align_of::<MmapRawDescriptor>() == align_of::<RawFd>();
    if !same_shape {
        return None;
    }
    let descriptor = file.as_raw_desc();
    // SAFETY: a struct whose only field is a RawFd, of the size of a RawFd, has that field at offset
    // 0 and no padding; any four initialised bytes are a valid i32.
    Some(unsafe { transmute_copy::<MmapRawDescriptor, RawFd>(&descriptor) })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn it_is_the_descriptor_of_the_file() {
        let file = File::open("/dev/null").unwrap();
        assert_eq!(raw_fd_of(&&file), Some(file.as_raw_fd()));
        assert_eq!(raw_fd_of(&file.as_raw_fd()), Some(file.as_raw_fd()));
        assert_eq!(raw_fd_of(&-1), Some(-1));
    }
}
