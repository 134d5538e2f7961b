//! The gate of a mapping: a worker may use its addresses only while it holds it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a dropped mapping waits for the call in flight before it leaves the unmapping to it.
const PATIENCE: Duration = Duration::from_millis(10);

type Unmap = Box<dyn FnOnce() + Send>;

/// Open while the mapping lives. Closing waits for whoever is inside.
#[derive(Debug, Default)]
pub(super) struct Gate {
    is_closed: AtomicBool,
    inside: Mutex<Inside>,
    left: Condvar,
}

#[derive(Default)]
struct Inside {
    is_busy: bool,
    /// Left behind by a drop that would not wait for ever.
    unmap: Option<Unmap>,
}

/// Inside the gate: the mapping stays as it is until this is dropped.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    gate: &'a Gate,
}

impl Gate {
    /// Goes inside; `None` when the gate is closed or somebody is inside.
    pub(super) fn enter(&self) -> Option<Pass<'_>> {
        let mut inside = self.lock();
        if self.is_closed() || inside.is_busy {
            return None;
        }
        inside.is_busy = true;
        Some(Pass { gate: self })
    }

    /// Whether the mapping is on its way out: asked between calls, to be quick about leaving.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Closes the gate and waits until nobody is inside, however long that takes.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        let mut inside = self.lock();
        while inside.is_busy {
            inside = self.left.wait(inside).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Closes the gate and runs `unmap` when nobody is inside: here, or, if a call inside takes
    /// longer than 10 ms, on the thread that made the call.
    pub(super) fn close_and(&self, unmap: impl FnOnce() + Send + 'static) {
        self.is_closed.store(true, Ordering::Release);
        let deadline = Instant::now() + PATIENCE;
        let mut inside = self.lock();
        while inside.is_busy {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                inside.unmap = Some(Box::new(unmap));
                return;
            }
            let waited = self.left.wait_timeout(inside, left);
            inside = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(inside);
        unmap();
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut inside = self.gate.lock();
        inside.is_busy = false;
        let unmap = inside.unmap.take();
        drop(inside);
        self.gate.left.notify_all();
        if let Some(unmap) = unmap {
            unmap();
        }
    }
}

impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inside").field("is_busy", &self.is_busy).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, mpsc};
    use std::thread;

    #[test]
    fn a_closed_gate_lets_nobody_in() {
        let gate = Gate::default();
        drop(gate.enter().unwrap());
        gate.close();
        assert!(gate.enter().is_none());
    }

    #[test]
    fn closing_waits_for_a_short_call_and_unmaps_after_it() {
        let gate = Arc::new(Gate::default());
        let (order, seen) = mpsc::channel();
        let inner = Arc::clone(&gate);
        let (entered, wait_entered) = mpsc::channel();
        let left = order.clone();
        let worker = thread::spawn(move || {
            let pass = inner.enter().unwrap();
            entered.send(()).unwrap();
            thread::sleep(Duration::from_millis(2));
            left.send("left").unwrap();
            drop(pass);
        });
        wait_entered.recv().unwrap();
        gate.close_and(move || order.send("unmapped").unwrap());
        worker.join().unwrap();
        assert_eq!(seen.iter().collect::<Vec<_>>(), ["left", "unmapped"]);
    }

    #[test]
    fn a_stuck_call_does_not_hold_up_the_drop_and_unmaps_when_it_returns() {
        let gate = Gate::default();
        let pass = gate.enter().unwrap();
        let unmapped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&unmapped);
        let begun = Instant::now();
        gate.close_and(move || flag.store(true, Ordering::SeqCst));
        assert!(begun.elapsed() >= PATIENCE);
        assert!(!unmapped.load(Ordering::SeqCst), "somebody is inside");
        drop(pass);
        assert!(unmapped.load(Ordering::SeqCst));
    }
}
