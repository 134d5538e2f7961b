//! Copying out of a mapping without touching it.

use std::io;

use super::check;

/// Where a copy ended, and why.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Bytes that were copied before.
    pub(crate) done: usize,
    pub(crate) error: io::Error,
}

/// Copies `buf.len()` bytes from address `addr` of this process into `buf`, by the kernel: what is not
/// there is an error, and raises no signal.
///
/// # Errors
/// EFAULT for a page that is not there or may not be read; EPERM or ENOSYS where process_vm_readv(2)
/// is forbidden (seccomp) or missing.
///
/// Source: process_vm_readv(2); mm/process_vm_access.c: a process may always read itself.
pub(crate) fn copy_out(buf: &mut [u8], addr: usize) -> Result<(), Broken> {
    let mut done = 0;
    while done < buf.len() {
        let rest = &mut buf[done..];
        let to = libc::iovec { iov_base: rest.as_mut_ptr().cast(), iov_len: rest.len() };
        let from_addr = std::ptr::without_provenance_mut(addr + done);
        let from = libc::iovec { iov_base: from_addr, iov_len: rest.len() };
        // SAFETY: `to` describes `rest`, which is writable; the kernel checks `from` itself.
        let copied =
            unsafe { libc::process_vm_readv(own_id(), &raw const to, 1, &raw const from, 1, 0) };
        match check(copied as libc::c_long) {
            Ok(copied) if copied > 0 => done += copied as usize,
            Ok(_) => {
                return Err(Broken { done, error: io::Error::from_raw_os_error(libc::EFAULT) });
            }
            Err(error) => return Err(Broken { done, error }),
        }
    }
    Ok(())
}

/// Not remembered: it is another one after fork(2).
fn own_id() -> libc::pid_t {
    // SAFETY: no precondition.
    unsafe { libc::getpid() }
}
