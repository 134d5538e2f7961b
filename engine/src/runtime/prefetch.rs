use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::sys;

/// Where an explicit prefetch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PrefetchState {
    /// Waiting or under way.
    Pending,
    /// Carried out, as far as the budget and the kernel allowed: see [`Prefetch::bytes`].
    Done,
    /// Stopped by [`Prefetch::cancel`] or because the mapping went away.
    Cancelled,
    /// Turned away: the mapping is [`Mode::Off`](crate::Mode::Off) or is being recorded, or too many
    /// were waiting.
    Refused,
}

/// A prefetch that was asked for. Dropping it lets the prefetch run on.
///
/// It can be waited for, by a thread ([`wait`](Prefetch::wait)) or by a task: it is a `Future` whose
/// output is the state it ended in, and which belongs to no async runtime. Each clone may be awaited
/// by another task; a future that is dropped leaves the prefetch running, and its waker is forgotten.
/// Wakers are called on the engine's helper thread, or on the thread that cancels.
///
/// In a forked child nobody fetches: there the future is ready at once with the state as it was at
/// the fork, perhaps [`PrefetchState::Pending`].
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("data");
/// # std::fs::write(&path, vec![1; 4 << 20]).unwrap();
/// use mmap_ahead::{Mmap, PrefetchState};
///
/// async fn sum(map: &Mmap) -> u64 {
///     map.prefetch(..).await;
///     map.iter().map(|&byte| u64::from(byte)).sum()
/// }
///
/// let file = std::fs::File::open(path)?;
/// // SAFETY: nobody changes the file while it is mapped.
/// let map = unsafe { Mmap::map(&file)? };
/// let state = map.prefetch(..).wait();
/// assert_ne!(state, PrefetchState::Pending);
/// # let _ = sum(&map);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Prefetch {
    shared: Arc<Shared>,
    /// Which of the wakers is this handle's; `None` until it is polled.
    key: Option<u64>,
}

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    bytes: AtomicU64,
    wakers: Mutex<Wakers>,
    ended: Condvar,
}

/// Who is to be woken when the state is no longer Pending: one waker for each handle that was polled.
#[derive(Debug, Default)]
struct Wakers {
    keys: u64,
    waiting: Vec<(u64, Waker)>,
}

impl Prefetch {
    pub(crate) fn new(state: PrefetchState) -> Prefetch {
        let shared = Shared {
            state: AtomicU8::new(state as u8),
            bytes: AtomicU64::new(0),
            wakers: Mutex::default(),
            ended: Condvar::new(),
        };
        Prefetch { shared: Arc::new(shared), key: None }
    }

    /// Where it stands now.
    #[must_use]
    pub fn state(&self) -> PrefetchState {
        match self.shared.state.load(Ordering::Acquire) {
            0 => PrefetchState::Pending,
            1 => PrefetchState::Done,
            2 => PrefetchState::Cancelled,
            _ => PrefetchState::Refused,
        }
    }

    /// How many bytes were fetched so far, in whole pages.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Blocks the calling thread until it has ended, and says how.
    ///
    /// It may take as long as the file takes to be read: for ever, where nobody serves it. Dropping
    /// the mapping or cancelling, from another thread, ends the wait. In a forked child nobody
    /// fetches: it returns the state as it was at the fork, perhaps [`PrefetchState::Pending`].
    pub fn wait(&self) -> PrefetchState {
        self.wait_until(None)
    }

    /// [`wait`](Prefetch::wait), but for at most `timeout`: then it is [`PrefetchState::Pending`].
    pub fn wait_timeout(&self, timeout: Duration) -> PrefetchState {
        // A time that no clock can show is for ever.
        self.wait_until(Instant::now().checked_add(timeout))
    }

    /// Stops it: nothing more is started. The call that is in flight (at most 2 MiB) ends by itself.
    pub fn cancel(&self) {
        self.finish(PrefetchState::Cancelled);
    }

    /// Moves from Pending to `state`, and wakes whoever waits for that; the first to do so decides.
    pub(crate) fn finish(&self, state: PrefetchState) {
        let (from, to) = (PrefetchState::Pending as u8, state as u8);
        let moved =
            self.shared.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        // The lock may have been taken at the fork, and nobody waits in the child.
        if moved.is_err() || sys::in_forked_child() {
            return;
        }
        // Whoever looked at the state before has left its waker, or sleeps, when the lock is free.
        let waiting = std::mem::take(&mut self.shared.lock().waiting);
        self.shared.ended.notify_all();
        for (_, waker) in waiting {
            // One that panics (it is the program's code) does not keep the others asleep.
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }

    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn wait_until(&self, deadline: Option<Instant>) -> PrefetchState {
        if self.state() != PrefetchState::Pending || sys::in_forked_child() {
            return self.state();
        }
        let mut wakers = self.shared.lock();
        while self.state() == PrefetchState::Pending {
            let ended = &self.shared.ended;
            wakers = match deadline {
                None => ended.wait(wakers).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    let waited = ended.wait_timeout(wakers, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        drop(wakers);
        self.state()
    }
}

impl Future for Prefetch {
    type Output = PrefetchState;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<PrefetchState> {
        let this = self.get_mut();
        if this.state() != PrefetchState::Pending || sys::in_forked_child() {
            return Poll::Ready(this.state());
        }
        // The program's code, like the drop of the waker before: not under the lock.
        let waker = context.waker().clone();
        let before = {
            let mut wakers = this.shared.lock();
            if this.state() != PrefetchState::Pending {
                drop(wakers);
                return Poll::Ready(this.state());
            }
            wakers.put(&mut this.key, waker)
        };
        drop(before);
        Poll::Pending
    }
}

impl Clone for Prefetch {
    /// Another handle of the same prefetch, with a waker of its own.
    fn clone(&self) -> Prefetch {
        Prefetch { shared: Arc::clone(&self.shared), key: None }
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        let Some(key) = self.key.filter(|_| !sys::in_forked_child()) else { return };
        let own = self.shared.lock().take(key);
        drop(own);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Wakers> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wakers {
    /// Puts `waker` in the place of the one under `key`, which it returns; gives out a key if there
    /// is none yet.
    fn put(&mut self, key: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        let key = *key.get_or_insert_with(|| {
            self.keys += 1;
            self.keys
        });
        let before = self.take(key);
        self.waiting.push((key, waker));
        before
    }

    fn take(&mut self, key: u64) -> Option<Waker> {
        let at = self.waiting.iter().position(|&(other, _)| other == key)?;
        Some(self.waiting.swap_remove(at).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll(prefetch: &mut Prefetch, waker: &Arc<Count>) -> Poll<PrefetchState> {
        let waker = Waker::from(Arc::clone(waker));
        Pin::new(prefetch).poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn a_waker_replaces_the_one_before_and_goes_with_its_handle() {
        let [first, second, other, dropped] = std::array::from_fn(|_| Arc::<Count>::default());
        let mut handle = Prefetch::new(PrefetchState::Pending);
        let (mut clone, mut gone) = (handle.clone(), handle.clone());
        for (prefetch, waker) in
            [(&mut handle, &first), (&mut clone, &other), (&mut gone, &dropped)]
        {
            assert!(poll(prefetch, waker).is_pending());
        }
        assert!(poll(&mut handle, &second).is_pending());
        assert_eq!(Arc::strong_count(&first), 1, "the first waker is kept");
        drop(gone);
        assert_eq!(Arc::strong_count(&dropped), 1, "the waker of a dropped handle is kept");
        clone.finish(PrefetchState::Done);
        handle.cancel();
        let woken = [&first, &second, &other, &dropped].map(|waker| waker.0.load(Ordering::SeqCst));
        assert_eq!(woken, [0, 1, 1, 0]);
        assert_eq!(poll(&mut handle, &first), Poll::Ready(PrefetchState::Done));
        assert_eq!(poll(&mut handle, &first), Poll::Ready(PrefetchState::Done), "again");
    }

    #[test]
    fn a_waker_may_poll_and_drop_handles_itself_and_one_that_panics_keeps_nobody_asleep() {
        struct Awkward(Mutex<Option<Prefetch>>);
        impl Wake for Awkward {
            fn wake(self: Arc<Self>) {
                let mut handle = self.0.lock().unwrap().take().unwrap();
                assert!(poll(&mut handle, &Arc::default()).is_ready());
                drop(handle);
                panic!("a waker's own panic: this is part of the test");
            }
        }
        let mut handle = Prefetch::new(PrefetchState::Pending);
        let mut clone = handle.clone();
        let awkward = Waker::from(Arc::new(Awkward(Mutex::new(Some(handle.clone())))));
        assert!(Pin::new(&mut handle).poll(&mut Context::from_waker(&awkward)).is_pending());
        let count = Arc::<Count>::default();
        assert!(poll(&mut clone, &count).is_pending());
        handle.finish(PrefetchState::Done);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn waiting_never_misses_the_end() {
        for _ in 0..500 {
            let handle = Prefetch::new(PrefetchState::Pending);
            let other = handle.clone();
            let waits = std::thread::spawn(move || other.wait());
            handle.finish(PrefetchState::Done);
            assert_eq!(waits.join().unwrap(), PrefetchState::Done);
        }
    }
}
