//! A prefetch is a future that needs no runtime, and can be waited for by a thread: it ends when the
//! pages are there, when it is cancelled, and when its mapping goes away, and never else.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use common::stuck::{PATIENCE, Stuck};
use common::{MIB, Place, becomes, in_child, make_cold, mapped_bytes, role, skip};
use mmap_ahead::{Mmap, Prefetch, PrefetchState};

/// Wakes one thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The smallest executor there is. `None` when the future is not ready in time.
fn block_on<F: Future>(future: F) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        // Polled again by a wake only: a lost one is seen.
        let polled = Instant::now();
        thread::park_timeout(PATIENCE);
        if polled.elapsed() >= PATIENCE {
            return None;
        }
    }
    None
}

/// Counts how often it was woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn woken(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll(prefetch: &mut Prefetch, count: &Arc<Count>) -> Poll<PrefetchState> {
    let waker = Waker::from(Arc::clone(count));
    Pin::new(prefetch).poll(&mut Context::from_waker(&waker))
}

fn map(file: &File) -> Mmap {
    // SAFETY: the file is the test's own; nobody changes it while it is mapped.
    unsafe { Mmap::map(file) }.unwrap()
}

/// A worker hangs in its mapping, and a second prefetch waits behind the first.
macro_rules! stuck {
    ($name:literal) => {
        match Stuck::new($name) {
            Ok(stuck) => stuck,
            Err(reason) => skip!("{reason}"),
        }
    };
}

#[test]
fn awaiting_it_ends_when_the_range_is_there() {
    let Some(file) = Place::Disk.numbered(32 * MIB) else { skip!("/var/tmp is no disk") };
    if let Err(reason) = make_cold(&file) {
        skip!("{reason}");
    }
    let map = map(&file);
    let awaited = block_on(async { map.prefetch(4 * MIB..28 * MIB).await });
    assert_eq!(awaited, Some(PrefetchState::Done));
    assert_eq!(mapped_bytes(&map[4 * MIB..28 * MIB]), 24 * MIB);
}

#[test]
fn waiting_for_it_ends_when_the_range_is_there() {
    let Some(file) = Place::Tmpfs.numbered(32 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let map = map(&file);
    assert_eq!(map.prefetch(..).wait(), PrefetchState::Done);
    assert_eq!(mapped_bytes(&map), 32 * MIB);
}

#[test]
fn a_cancelled_one_resolves_at_once_though_its_worker_is_stuck() {
    let Stuck { map, prefetch, uffd } = stuck!("stuck-cancel");
    let canceller = prefetch.clone();
    let cancels = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        canceller.cancel();
    });
    assert_eq!(block_on(prefetch.clone()), Some(PrefetchState::Cancelled));
    assert_eq!(prefetch.wait(), PrefetchState::Cancelled);
    cancels.join().unwrap();
    drop((uffd, map));
}

#[test]
fn dropping_the_mapping_resolves_it_though_its_worker_is_stuck() {
    let Stuck { map, prefetch, uffd } = stuck!("stuck-drop");
    let waiting = map.prefetch(..MIB);
    let drops = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        drop(map);
    });
    assert_eq!(block_on(waiting), Some(PrefetchState::Cancelled), "one in the queue");
    assert_eq!(prefetch.wait_timeout(PATIENCE), PrefetchState::Cancelled, "the stuck one");
    drops.join().unwrap();
    drop(uffd);
}

#[test]
fn clones_polled_by_two_wakers_both_wake_once() {
    let Stuck { map, mut prefetch, uffd } = stuck!("stuck-wakers");
    let mut clone = prefetch.clone();
    let [one, two] = [Arc::<Count>::default(), Arc::default()];
    // Polled again and again: still one waker each.
    for _ in 0..3 {
        assert!(poll(&mut prefetch, &one).is_pending());
        assert!(poll(&mut clone, &two).is_pending());
    }
    assert_eq!((one.woken(), two.woken()), (0, 0));
    drop(uffd);
    assert!(becomes(PATIENCE, || one.woken() == 1 && two.woken() == 1));
    assert_eq!(poll(&mut prefetch, &one), Poll::Ready(PrefetchState::Done));
    assert_eq!(poll(&mut clone, &two), Poll::Ready(PrefetchState::Done));
    drop(map);
    assert_eq!((one.woken(), two.woken()), (1, 1));
}

#[test]
fn dropping_the_future_lets_it_run() {
    let Stuck { map, mut prefetch, uffd } = stuck!("stuck-detach");
    let watcher = prefetch.clone();
    let count = Arc::<Count>::default();
    assert!(poll(&mut prefetch, &count).is_pending());
    drop(prefetch);
    drop(uffd);
    assert_eq!(watcher.wait_timeout(PATIENCE), PrefetchState::Done);
    assert_eq!((count.woken(), mapped_bytes(&map)), (0, map.len()));
}

#[test]
fn a_wait_that_times_out_says_pending_in_time() {
    const TIMEOUT: Duration = Duration::from_millis(50);
    let Stuck { map, prefetch, uffd } = stuck!("stuck-timeout");
    let begun = Instant::now();
    assert_eq!(prefetch.wait_timeout(TIMEOUT), PrefetchState::Pending);
    let took = begun.elapsed();
    assert!((TIMEOUT..TIMEOUT * 10).contains(&took), "it took {took:?}");
    assert_eq!(prefetch.wait_timeout(Duration::ZERO), PrefetchState::Pending);
    drop(uffd);
    assert_eq!(prefetch.wait_timeout(Duration::MAX), PrefetchState::Done);
    drop(map);
}

/// In the child nobody fetches: what would hang for ever says how it stood at the fork.
#[test]
fn a_forked_child_does_not_hang_in_a_wait() {
    if role().is_none() {
        return in_child("fork");
    }
    let Stuck { map, mut prefetch, uffd } = stuck!("stuck-fork");
    // SAFETY: the child calls nothing that takes a lock, and ends without running destructors.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let waited = prefetch.wait();
        let polled = poll(&mut prefetch, &Arc::default());
        let is_right =
            (waited, polled) == (PrefetchState::Pending, Poll::Ready(PrefetchState::Pending));
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(if is_right { 0 } else { 1 }) };
    }
    let mut status = -1;
    let reaped = || {
        // SAFETY: `status` is writable; `child` is a child of this process.
        unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) == child }
    };
    let ended = becomes(PATIENCE, reaped);
    if !ended {
        // SAFETY: a child of this process, which was not reaped.
        unsafe { libc::kill(child, libc::SIGKILL) };
    }
    assert_eq!((ended, status), (true, 0), "the child hangs, or saw something else");
    drop((uffd, map));
}
