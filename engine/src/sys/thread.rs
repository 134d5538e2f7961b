//! What a worker thread asks of the kernel before it starts to work.

/// Blocks every signal for the calling thread, so that the program's handlers never run on it.
pub(crate) fn block_all_signals() {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: `all` is writable memory for a signal set.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: sigfillset has initialised the set; the old one is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut()) };
}

/// Lets the calling thread's short sleeps end on time: 1 us of timer slack in place of 50.
pub(crate) fn sleep_precisely() {
    const SLACK_NS: libc::c_ulong = 1000;
    // SAFETY: PR_SET_TIMERSLACK takes a number and changes the calling thread only.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0) };
}

/// Writes to stderr past every lock.
pub(crate) fn say(text: &str) {
    // SAFETY: the bytes are readable for the length of the call. Nobody is left to tell if it fails.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}

/// Ends the process as a bad page of a mapping does.
pub(crate) fn end_by_sigbus() -> ! {
    let this = std::process::id() as libc::pid_t;
    // SAFETY: no memory is involved; the signal goes to this process.
    unsafe { libc::kill(this, libc::SIGBUS) };
    // A handler may be on its way to say more.
    std::thread::sleep(std::time::Duration::from_millis(500));
    std::process::abort()
}
