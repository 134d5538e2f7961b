//! The thread that serves the faults of one `Paged`.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::pager::{Pager, Watch};
use crate::page::PageRange;
use crate::sys::{self, Wake};

/// How long it looks out for the next fault after it has served a small page, and how long for a small
/// read that a reader waits for: waking this thread takes 30 to 60 us here, about as long as the read.
/// With nothing but frames in flight it sleeps, since the disk takes ten times as long.
const LOOK_OUT: Duration = Duration::from_micros(50);
const URGENT: Duration = Duration::from_micros(200);
/// A pause that takes longer has let somebody else run: the processor is wanted.
const PAUSE_MAX: Duration = Duration::from_micros(20);
/// Turns of a pause without a system call: about 3 us.
const PAUSE_TURNS: u32 = 100;
const STACK_BYTES: usize = 512 << 10;

/// The running thread.
#[derive(Debug)]
pub(super) struct Service {
    mailbox: Arc<Mailbox>,
    thread: Option<JoinHandle<()>>,
}

/// What the service is asked for by other threads.
#[derive(Debug)]
struct Mailbox {
    wake: Wake,
    letters: Mutex<Letters>,
}

#[derive(Debug, Default)]
struct Letters {
    prefetches: Vec<PageRange>,
    stops: bool,
}

impl Service {
    pub(super) fn start(pager: Pager) -> std::io::Result<Service> {
        let mailbox = Arc::new(Mailbox { wake: Wake::new()?, letters: Mutex::default() });
        let letters = Arc::clone(&mailbox);
        let builder = thread::Builder::new().name("mmap-ahead-page".into()).stack_size(STACK_BYTES);
        let thread = builder.spawn(move || {
            sys::block_all_signals();
            sys::sleep_precisely();
            let _never_quietly = AbortOnPanic;
            serve(pager, &letters);
        })?;
        Ok(Service { mailbox, thread: Some(thread) })
    }

    pub(super) fn prefetch(&self, ranges: impl Iterator<Item = PageRange>) {
        self.mailbox.lock().prefetches.extend(ranges);
        self.mailbox.wake.ring();
    }
}

impl Drop for Service {
    /// In a forked child there is no such thread.
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if sys::in_forked_child() {
            return std::mem::forget(thread);
        }
        self.mailbox.lock().stops = true;
        self.mailbox.wake.ring();
        // A panic there has ended the process.
        let _ = thread.join();
    }
}

impl Mailbox {
    fn lock(&self) -> std::sync::MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Readers would wait for ever, or see zeros once the descriptor is closed (TRAPS 20).
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

/// Lets a moment pass. One reader waits on the other processor; several share this one.
fn pause(readers: usize) {
    if readers > 1 {
        return thread::yield_now();
    }
    (0..PAUSE_TURNS).for_each(|_| std::hint::spin_loop());
}

fn serve(mut pager: Pager, mailbox: &Mailbox) {
    let mut faults = Vec::new();
    // Until when it looks out without sleeping.
    let mut awake_until = Instant::now();
    loop {
        let mut is_idle = true;
        if let Err(error) = pager.uffd.take_faults(&mut faults) {
            pager.report.give_up("read(userfaultfd)", &error);
        }
        // Many threads may wait for one page.
        faults.sort_unstable();
        faults.dedup();
        for offset in faults.drain(..) {
            is_idle = false;
            pager.fault(offset);
        }
        while let Some(landed) = pager.disk.land() {
            is_idle = false;
            pager.landed(landed);
        }
        pager.pump();
        if let Err(error) = pager.disk.submit() {
            pager.report.give_up("io_uring_enter", &error);
        }
        if !is_idle {
            let watch = pager.watch().map_or(Duration::ZERO, |watch| match watch {
                Watch::Read => URGENT,
                Watch::Fault => LOOK_OUT,
            });
            awake_until = Instant::now() + watch;
            continue;
        }
        let looks = Instant::now();
        if looks < awake_until {
            pause(pager.urgent);
            if looks.elapsed() > PAUSE_MAX {
                awake_until = looks;
            }
            continue;
        }
        let fds = [pager.uffd.as_fd(), pager.disk.as_fd(), mailbox.wake.as_fd()];
        if let Err(error) = sys::wait_readable(&fds, None) {
            pager.report.give_up("poll", &error);
        }
        mailbox.wake.clear();
        let mut letters = mailbox.lock();
        if letters.stops {
            return;
        }
        let prefetches = std::mem::take(&mut letters.prefetches);
        drop(letters);
        prefetches.into_iter().for_each(|range| pager.prefetch(range));
    }
}
