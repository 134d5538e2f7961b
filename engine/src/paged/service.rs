//! The thread that serves the faults of one `Paged`.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
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
/// While somebody waits for memory that others hold: nothing tells when they let go.
const STALLED: Duration = Duration::from_millis(1);
/// Explicit prefetches that have not been taken in; who asks for more is not heard.
const PREFETCHES_MAX: usize = 65536;
const STACK_BYTES: usize = 512 << 10;

/// The running thread.
#[derive(Debug)]
pub(super) struct Service {
    mailbox: Arc<Mailbox>,
    thread: Option<JoinHandle<()>>,
    /// The process that it runs in: a child has no such thread.
    process: u32,
}

/// What the service is asked for by other threads.
#[derive(Debug)]
struct Mailbox {
    wake: Arc<Wake>,
    /// Asked each turn: a lock and a system call less.
    has_mail: AtomicBool,
    letters: Mutex<Letters>,
}

#[derive(Debug, Default)]
struct Letters {
    prefetches: Vec<PageRange>,
    stops: bool,
}

impl Service {
    /// `wake`: what it is woken with, by the threads that serve themselves too.
    pub(super) fn start(pager: Pager, wake: Arc<Wake>) -> std::io::Result<Service> {
        let mailbox =
            Arc::new(Mailbox { wake, has_mail: AtomicBool::new(false), letters: Mutex::default() });
        let letters = Arc::clone(&mailbox);
        let builder = thread::Builder::new().name("mmap-ahead-page".into()).stack_size(STACK_BYTES);
        let thread = builder.spawn(move || {
            sys::block_all_signals();
            sys::sleep_precisely();
            let _never_quietly = AbortOnPanic;
            serve(pager, &letters);
        })?;
        Ok(Service { mailbox, thread: Some(thread), process: std::process::id() })
    }

    pub(super) fn prefetch(&self, ranges: impl Iterator<Item = PageRange>) {
        let mut letters = self.mailbox.lock();
        let room = PREFETCHES_MAX.saturating_sub(letters.prefetches.len());
        letters.prefetches.extend(ranges.take(room));
        drop(letters);
        self.mailbox.ring();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if self.process != std::process::id() {
            return std::mem::forget(thread);
        }
        self.mailbox.lock().stops = true;
        self.mailbox.ring();
        // A panic there has ended the process.
        let _ = thread.join();
    }
}

impl Mailbox {
    fn ring(&self) {
        self.has_mail.store(true, Ordering::Release);
        self.wake.ring();
    }

    /// What has come since the last time.
    fn open(&self) -> Letters {
        if !self.has_mail.swap(false, Ordering::Acquire) {
            return Letters::default();
        }
        std::mem::take(&mut *self.lock())
    }

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

fn submit(pager: &mut Pager) {
    if let Err(error) = pager.disk.submit() {
        pager.report.give_up("io_uring_enter", &error);
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
        let letters = mailbox.open();
        if letters.stops {
            return;
        }
        pager.prefetch(&letters.prefetches);
        let mut is_idle = !pager.attend();
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
        if !is_idle {
            // The disk works while what has landed is mapped.
            submit(&mut pager);
        }
        while let Some(landed) = pager.disk.land() {
            is_idle = false;
            pager.landed(landed);
        }
        pager.pump();
        submit(&mut pager);
        if !is_idle {
            let watch = pager.watch().map_or(Duration::ZERO, |watch| match watch {
                Watch::Read => URGENT,
                Watch::Fault => LOOK_OUT,
            });
            awake_until = Instant::now() + watch;
            continue;
        }
        pager.make_headroom();
        let looks = Instant::now();
        if looks < awake_until {
            pause(pager.urgent);
            if looks.elapsed() > PAUSE_MAX {
                awake_until = looks;
            }
            continue;
        }
        if !pager.desk.as_ref().is_none_or(|desk| desk.may_sleep()) {
            continue;
        }
        let timeout = pager.is_stalled().then_some(STALLED);
        let fds = [pager.uffd.as_fd(), pager.disk.as_fd(), mailbox.wake.as_fd()];
        if let Err(error) = sys::wait_readable(&fds, timeout) {
            pager.report.give_up("poll", &error);
        }
        // Before the mail is looked at: a ring that comes after this is not lost.
        mailbox.wake.clear();
        if let Some(desk) = &pager.desk {
            desk.wakes_up();
        }
    }
}
