//! How much the kernel maps for one fault.

use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use super::{Pagemap, Span, check, page_size, populate};

/// The kernel's default, and the most that is believed.
const AROUND_BYTES_MAX: usize = 64 << 10;

/// The fault-around of this kernel in bytes, a power of two from one page to 64 KiB: measured once,
/// on a file in memory, by one fault in a place where nothing is mapped yet. Root may change the
/// real value (debugfs, fault_around_bytes); then a restart is needed.
pub(crate) fn fault_around(pagemap: &Pagemap) -> usize {
    static AROUND: OnceLock<usize> = OnceLock::new();
    *AROUND.get_or_init(|| measure(pagemap).unwrap_or(AROUND_BYTES_MAX))
}

fn measure(pagemap: &Pagemap) -> io::Result<usize> {
    // Long enough to hold one whole block wherever it begins.
    let len = 2 * AROUND_BYTES_MAX;
    // SAFETY: the name is a C string; the call makes a new descriptor.
    let fd = unsafe { libc::memfd_create(c"mmap-ahead-probe".as_ptr(), libc::MFD_CLOEXEC) };
    check(libc::c_long::from(fd))?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let file = unsafe { File::from_raw_fd(fd) };
    file.write_all_at(&vec![0; len], 0)?;
    // SAFETY: nobody else knows the file, so its bytes do not change while it is mapped.
    let map = unsafe { memmap2::Mmap::map(&file) }?;
    let base = map.as_ptr() as usize;
    let aligned = base.next_multiple_of(AROUND_BYTES_MAX) - base;
    let whole = Span { addr: base, len };
    populate(whole.slice(aligned, aligned + page_size().bytes() as usize))?;
    let mut present = 0;
    pagemap.present(whole, 16, |from, to| present += to - from)?;
    let page = page_size().bytes() as usize;
    let power = if present.is_power_of_two() { present } else { present.next_power_of_two() / 2 };
    Ok(power.clamp(page, AROUND_BYTES_MAX.max(page)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_maps_at_least_one_page_for_a_fault() {
        let around = fault_around(&Pagemap::open().unwrap());
        println!("fault-around: {around} bytes");
        assert!(around.is_power_of_two());
        assert!(around as u64 >= page_size().bytes());
    }
}
