//! A child process that goes on from here: fork(2).

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;

use super::check;

/// A forked child. Killed and reaped when dropped.
///
/// The condition of `lab`: no other thread of this process holds a lock at the fork that `job` takes.
/// (The C library looks after its own allocator's.)
#[derive(Debug)]
pub struct ForkedChild(libc::pid_t);

impl ForkedChild {
    /// Runs `job` in a child, which ends with the status that it returns, or 101 when it panics.
    ///
    /// # Errors
    /// Those of fork(2).
    pub fn start(job: impl FnOnce() -> u8) -> io::Result<ForkedChild> {
        // SAFETY: what the child may do is the documented condition above.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let status = catch_unwind(AssertUnwindSafe(job)).unwrap_or(101);
            // SAFETY: ends the child at once, without the destructors of what it shares.
            unsafe { libc::_exit(i32::from(status)) };
        }
        check(libc::c_long::from(pid))?;
        // What it owns is the child's now: dropping it here would close what the child goes on with.
        std::mem::forget(job);
        Ok(ForkedChild(pid))
    }

    /// Its process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0 as u32
    }

    /// Ends it by SIGKILL.
    pub fn kill(&self) {
        // SAFETY: it is a child of this process that was not reaped, so the number is still its.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Those of waitpid(2).
    pub fn wait(self) -> io::Result<ExitStatus> {
        let pid = self.0;
        std::mem::forget(self);
        reap(pid)
    }
}

impl Drop for ForkedChild {
    fn drop(&mut self) {
        self.kill();
        let _ = reap(self.0);
    }
}

fn reap(pid: libc::pid_t) -> io::Result<ExitStatus> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is writable, and `pid` is a child of this process.
        let result = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        match check(libc::c_long::from(result)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(_) => return Ok(ExitStatus::from_raw(status)),
        }
    }
}
