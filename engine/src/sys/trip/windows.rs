//! The windows of one guarded mapping: which are open, opening them, counting.

mod shape;

pub(super) use shape::{Shape, WINDOWS_MAX, WORD_BITS};

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

use super::TripCounts;
use super::ring::Ring;
use crate::sys::check;
use shape::mask;

/// Trips that wait for the worker, per mapping. A guess: with the cheapest trip at 3 us it has
/// half a millisecond to wake up before reports are dropped.
const RING_CAPACITY: usize = 256;

/// How many (thread, window) pairs are remembered at a time to tell a late trip from an endless
/// one. A guess: more threads than that would have to fault for ever at the same time.
const REPEATS_CAPACITY: usize = 16;

/// How a trip ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// The window is open now.
    Opened(usize),
    /// Another thread opened it between the fault and the handler.
    FoundOpen,
    /// The fault is not the guard's doing, or the kernel let nothing be opened.
    Refused,
}

/// Whether somebody empties the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worker {
    Alive,
    /// In a forked child, which has no such thread.
    Gone,
}

/// One place of the table. All-zero memory is a valid value that no fault matches.
///
/// Every method is async-signal-safe. Memory protection is changed only by whoever holds the slot
/// (`ranges::Hold`): its range is then a live guarded mapping.
#[derive(Debug)]
pub(super) struct Windows {
    base: AtomicUsize,
    len: AtomicUsize,
    granule_shift: AtomicU32,
    prot: AtomicI32,
    closed: AtomicI32,
    pub(super) open: [AtomicUsize; WINDOWS_MAX / WORD_BITS],
    pub(super) open_count: AtomicUsize,
    pub(super) trips: AtomicUsize,
    pub(super) handled: AtomicUsize,
    dropped: AtomicUsize,
    repeats: AtomicUsize,
    repeats_seen: [AtomicUsize; REPEATS_CAPACITY],
    repeats_next: AtomicUsize,
    ring: Ring<AtomicUsize, RING_CAPACITY>,
}

impl Windows {
    pub(super) const fn new() -> Windows {
        Windows {
            base: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
            granule_shift: AtomicU32::new(0),
            prot: AtomicI32::new(0),
            closed: AtomicI32::new(0),
            open: [const { AtomicUsize::new(0) }; WINDOWS_MAX / WORD_BITS],
            open_count: AtomicUsize::new(0),
            trips: AtomicUsize::new(0),
            handled: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
            repeats: AtomicUsize::new(0),
            repeats_seen: [const { AtomicUsize::new(0) }; REPEATS_CAPACITY],
            repeats_next: AtomicUsize::new(0),
            ring: Ring::of(
                AtomicUsize::new(0),
                AtomicUsize::new(0),
                [const { AtomicUsize::new(0) }; RING_CAPACITY],
            ),
        }
    }

    /// Starts anew, all closed. Only while nobody can hold the slot.
    pub(super) fn reset(&self, shape: Shape) {
        let Windows {
            base,
            len,
            granule_shift,
            prot,
            closed,
            open,
            open_count,
            trips,
            handled,
            dropped,
            repeats,
            repeats_seen,
            repeats_next,
            ring,
        } = self;
        base.store(shape.base, Ordering::Relaxed);
        len.store(shape.len, Ordering::Relaxed);
        granule_shift.store(shape.granule_shift, Ordering::Relaxed);
        prot.store(shape.prot, Ordering::Relaxed);
        closed.store(shape.closed, Ordering::Relaxed);
        let counters = [open_count, trips, handled, dropped, repeats, repeats_next];
        for word in open.iter().chain(repeats_seen).chain(counters) {
            word.store(0, Ordering::Relaxed);
        }
        ring.clear();
    }

    pub(super) fn shape(&self) -> Shape {
        Shape {
            base: self.base.load(Ordering::Relaxed),
            len: self.len.load(Ordering::Relaxed),
            granule_shift: self.granule_shift.load(Ordering::Relaxed),
            prot: self.prot.load(Ordering::Relaxed),
            closed: self.closed.load(Ordering::Relaxed),
        }
    }

    pub(super) fn counts(&self) -> TripCounts {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed) as u64;
        TripCounts {
            trips: count(&self.trips),
            handled: count(&self.handled),
            dropped: count(&self.dropped),
            repeats: count(&self.repeats),
            open_windows: count(&self.open_count),
        }
    }

    pub(super) fn is_open(&self, window: usize) -> bool {
        // Acquire: whoever sees the bit comes after the mprotect that it reports.
        let word = self.open.get(window / WORD_BITS).map(|word| word.load(Ordering::Acquire));
        word.is_some_and(|word| word >> (window % WORD_BITS) & 1 == 1)
    }

    /// Opens the closed ones among `windows`, one system call for each run of them.
    pub(super) fn open(&self, windows: Range<usize>) -> io::Result<()> {
        let end = windows.end.min(self.shape().windows());
        let mut at = windows.start;
        while at < end {
            let run_end = (at..end).find(|&window| self.is_open(window)).unwrap_or(end);
            if at < run_end {
                self.protect(&(at..run_end), self.shape().prot)?;
                self.mark_open(at..run_end);
            }
            at = run_end + 1;
        }
        Ok(())
    }

    /// Opens everything in one system call, which leaves a single VMA behind.
    pub(super) fn open_all(&self) -> io::Result<()> {
        let all = 0..self.shape().windows();
        self.protect(&all, self.shape().prot)?;
        self.mark_open(all);
        Ok(())
    }

    pub(super) fn close_all(&self) -> io::Result<()> {
        let shape = self.shape();
        self.protect(&(0..shape.windows()), shape.closed)
    }

    /// Answers a trip at `offset` into the mapping by the calling thread.
    ///
    /// A window that is marked open was opened before it was marked, so an access that *starts*
    /// later cannot trip: a trip there is either late (the fault came first, the mark during the
    /// delivery of the signal) or somebody else took the protection away. Late can happen once to
    /// a thread and a window, since after the retry the mark is older than the fault. So the first
    /// such trip is retried and the second refused: no endless loop, and the page that its owner
    /// closed on purpose still kills as it would have without the guard.
    pub(super) fn serve(&self, offset: usize) -> Served {
        let window = offset >> self.shape().granule_shift;
        if self.is_open(window) {
            return if self.is_first_repeat(window) { Served::FoundOpen } else { Served::Refused };
        }
        let one = window..window + 1;
        if self.protect(&one, self.shape().prot).is_ok() {
            return if self.mark_open(one) == 1 {
                Served::Opened(window)
            } else {
                Served::FoundOpen
            };
        }
        // The process is out of VMAs: opening everything needs none, and gives most back.
        if self.open_all().is_ok() { Served::Opened(window) } else { Served::Refused }
    }

    /// Counts a trip that was answered, and leaves its window in the ring for the worker.
    pub(super) fn record(&self, served: Served, worker: Worker) {
        let counter = match served {
            Served::Refused => return,
            Served::FoundOpen => {
                self.repeats.fetch_add(1, Ordering::Relaxed);
                &self.handled
            }
            Served::Opened(window) if worker == Worker::Alive && self.ring.push(window) => {
                &self.handled
            }
            Served::Opened(_) => &self.dropped,
        };
        self.trips.fetch_add(1, Ordering::Relaxed);
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes what the ring holds, at most one ring full, so that it ends while trips go on.
    pub(super) fn drain(&self, mut each: impl FnMut(usize)) {
        for _ in 0..RING_CAPACITY {
            match self.ring.pop() {
                Some(window) => each(window),
                None => return,
            }
        }
    }

    /// Whether the calling thread has not tripped on this open window before.
    fn is_first_repeat(&self, window: usize) -> bool {
        // SAFETY: asks for this thread's id and has no precondition.
        let thread = unsafe { libc::syscall(libc::SYS_gettid) } as usize;
        // Thread ids have 22 bits; 1 more than the pair, since 0 means unused.
        let key = thread.wrapping_mul(WINDOWS_MAX).wrapping_add(window + 1);
        if self.repeats_seen.iter().any(|seen| seen.load(Ordering::Relaxed) == key) {
            return false;
        }
        let place = self.repeats_next.fetch_add(1, Ordering::Relaxed) % REPEATS_CAPACITY;
        if let Some(seen) = self.repeats_seen.get(place) {
            seen.store(key, Ordering::Relaxed);
        }
        true
    }

    /// Marks windows as open, and answers how many of them were not yet.
    pub(super) fn mark_open(&self, windows: Range<usize>) -> usize {
        let mut newly = 0;
        let words = windows.start / WORD_BITS..windows.end.div_ceil(WORD_BITS);
        for (index, word) in self.open.iter().enumerate().take(words.end).skip(words.start) {
            let mask = mask(&windows, index * WORD_BITS);
            // Release: see `is_open`.
            newly += (mask & !word.fetch_or(mask, Ordering::Release)).count_ones() as usize;
        }
        self.open_count.fetch_add(newly, Ordering::Relaxed);
        newly
    }

    /// One mprotect(2) over some windows, by the bare system call: a replaced `mprotect` of some
    /// library may do what a signal handler must not.
    pub(super) fn protect(&self, windows: &Range<usize>, prot: i32) -> io::Result<()> {
        let shape = self.shape();
        let bytes = shape.bytes(windows);
        let (addr, len) = (shape.base.wrapping_add(bytes.start), bytes.len());
        // SAFETY: only a holder of the slot gets here, so the range is inside a mapping that the
        // unsafe `TripSlot::arm` was given and that its owner keeps until the slot is
        // retired, which waits for holders. Pages of a guard only ever go from closed to readable, but
        // for `close_all`, which comes first; those of a watch stay readable. A touch that the
        // protection forbids is answered by the handler.
        check(unsafe { libc::syscall(libc::SYS_mprotect, addr, len, prot) }).map(|_| ())
    }
}
