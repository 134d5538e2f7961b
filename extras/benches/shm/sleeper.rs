//! A thread that sleeps until it is woken, and tells how long that took.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel as results};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mmap_ahead::lab::{FutexScope, SharedMemory, futex_wait, futex_wake_all};

use crate::Pipe;
use crate::cores::{Cores, Kept};

/// How long the waker waits before each wake-up: the sleeper is asleep then.
const ASLEEP: Duration = Duration::from_micros(150);

/// It is woken with the time of waking.
pub(crate) struct Sleeper {
    begun: Instant,
    wake: Box<dyn FnMut(u64)>,
    latencies: Receiver<u64>,
    thread: JoinHandle<()>,
}

impl Sleeper {
    /// At one end of a pipe; the message is the time.
    pub(crate) fn at(pipe: Pipe, cores: Cores) -> Sleeper {
        let (mut sender, mut receiver) = pipe;
        let (tell, latencies) = results();
        let begun = Instant::now();
        let thread = thread::spawn(move || {
            let _kept = Kept::to(cores.sleepers);
            let mut sent = [0; 8];
            // Zero, or the sender's end.
            while receiver.read_exact(&mut sent).is_ok() && sent != [0; 8] {
                tell_latency(begun, u64::from_ne_bytes(sent), &tell);
            }
        });
        let wake = Box::new(move |now: u64| sender.write_all(&now.to_ne_bytes()).unwrap());
        Sleeper { begun, wake, latencies, thread }
    }

    /// At nothing but the time in a word, a word that changes, and futex(2).
    pub(crate) fn at_bare_futex(cores: Cores) -> Sleeper {
        let file = tempfile::tempfile_in("/dev/shm").or_else(|_| tempfile::tempfile()).unwrap();
        file.set_len(4096).unwrap();
        let ours = SharedMemory::map(&file, 4096).unwrap();
        let theirs = SharedMemory::map(&file, 4096).unwrap();
        let (tell, latencies) = results();
        let begun = Instant::now();
        let thread = thread::spawn(move || {
            let _kept = Kept::to(cores.sleepers);
            let (word, time): (&AtomicU32, &AtomicU64) = (theirs.word32(0), theirs.word64(64));
            for seen in 0.. {
                while word.load(Ordering::Acquire) == seen {
                    futex_wait(word, seen, None, FutexScope::Shared);
                }
                match time.load(Ordering::Relaxed) {
                    0 => break,
                    sent => tell_latency(begun, sent, &tell),
                }
            }
        });
        let wake = Box::new(move |now: u64| {
            ours.word64(64).store(now, Ordering::Relaxed);
            ours.word32(0).fetch_add(1, Ordering::Release);
            futex_wake_all(ours.word32(0), FutexScope::Shared);
        });
        Sleeper { begun, wake, latencies, thread }
    }

    /// Lets it fall asleep and wakes it: how many nanoseconds until it ran.
    pub(crate) fn wake_once(&mut self) -> u64 {
        thread::sleep(ASLEEP);
        (self.wake)(nanos_since(self.begun));
        self.latencies.recv().unwrap()
    }

    pub(crate) fn end(mut self) {
        (self.wake)(0);
        self.thread.join().unwrap();
    }
}

fn tell_latency(begun: Instant, sent: u64, tell: &Sender<u64>) {
    let _ = tell.send(nanos_since(begun) - sent);
}

fn nanos_since(begun: Instant) -> u64 {
    begun.elapsed().as_nanos() as u64
}
