//! A table of file descriptors for one thread alone.

use std::io;

/// Ends the calling thread's part in the program's table of file descriptors: what it opens from now on
/// is seen by nobody, counts towards nobody's RLIMIT_NOFILE, is inherited by no child, and closing it
/// releases none of the program's record locks (which any close in the program's own table does).
///
/// The thread has nothing open then, standard output and error included: a pipe that the program closes is
/// closed. It must not write there, so it must not log.
///
/// # Errors
/// ENOSYS before Linux 5.9, and what a seccomp filter says.
///
/// Kernel: 5.9. Source: close_range(2); fs/file.c, sys_close_range; fs/locks.c,
/// locks_remove_posix.
pub(crate) fn leave_descriptor_table() -> io::Result<()> {
    let (first, last) = (0, libc::c_uint::MAX);
    let flags = libc::CLOSE_RANGE_UNSHARE;
    // SAFETY: with this flag it closes descriptors of this thread's own copy only.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    super::check(result).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn what_the_program_closes_is_closed_while_such_a_thread_lives() {
        let (ours, mut others) = UnixStream::pair().unwrap();
        let (left, has_left) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            let open = leave_descriptor_table().map(|()| {
                let open = std::fs::read_dir("/proc/thread-self/fd").unwrap().count();
                open - 1 // The folder that is being read.
            });
            left.send(open).unwrap();
            let _ = ends.recv();
        });
        match has_left.recv().unwrap() {
            Ok(open) => assert_eq!(open, 0, "standard input, output and error too"),
            Err(error) => return println!("SKIPPED: close_range: {error}"),
        }
        drop(ours);
        assert_eq!(others.read(&mut [0]).unwrap(), 0, "the end of what was closed");
        drop(end);
        thread.join().unwrap();
    }
}
