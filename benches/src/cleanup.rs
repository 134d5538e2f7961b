//! Puts things back on every exit: the end of a scope, a panic that unwinds, SIGINT, SIGTERM and
//! SIGHUP. SIGKILL cannot be caught by anybody.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

type Action = Box<dyn FnOnce() + Send>;

/// What is still to be put back, oldest first.
static ACTIONS: Mutex<BTreeMap<u64, Action>> = Mutex::new(BTreeMap::new());

/// Runs its action when it is dropped or the process is told to end, whichever comes first.
#[must_use = "the action runs as soon as this is dropped"]
#[derive(Debug)]
pub struct OnExit(u64);

/// Runs `action` when the answer is dropped, or before the process dies of SIGINT, SIGTERM or
/// SIGHUP (unless that one is ignored, as under nohup). It runs once, on whichever thread is first.
pub fn on_exit(action: impl FnOnce() + Send + 'static) -> OnExit {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    watch_signals();
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    actions().insert(id, Box::new(action));
    OnExit(id)
}

impl Drop for OnExit {
    fn drop(&mut self) {
        // Held while the action runs: a signal that comes now waits until it is done.
        let mut actions = actions();
        if let Some(action) = actions.remove(&self.0) {
            action();
        }
    }
}

fn actions() -> MutexGuard<'static, BTreeMap<u64, Action>> {
    ACTIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the one thread that waits for signals. Where that fails the scopes still put back.
fn watch_signals() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let ignored = ignored_signals();
        let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|s| ignored >> (s - 1) & 1 == 0);
        let Ok(mut signals) = Signals::new(wanted) else {
            return;
        };
        let _ = thread::Builder::new().name("cleanup".into()).spawn(move || {
            if let Some(signal) = signals.forever().next() {
                put_everything_back();
                // Dies of the same signal, as if it had never been caught.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        });
    });
}

/// Latest first. The lock is kept, so that nothing new is set up while the process dies.
fn put_everything_back() {
    let mut actions = actions();
    while let Some((_, action)) = actions.pop_last() {
        action();
    }
    std::mem::forget(actions);
}

/// The set of ignored signals; bit 0 is signal 1. Source: proc_pid_status(5).
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    field.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_action_runs_once_when_dropped_and_when_unwinding() {
        let runs = Arc::new(AtomicU64::new(0));
        let count = |runs: &Arc<AtomicU64>| {
            let runs = runs.clone();
            on_exit(move || {
                runs.fetch_add(1, Ordering::Relaxed);
            })
        };
        drop(count(&runs));
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        let guard = count(&runs);
        let died = thread::spawn(move || {
            let _guard = guard;
            panic!("on purpose");
        });
        assert!(died.join().is_err());
        assert_eq!(runs.load(Ordering::Relaxed), 2);
    }
}
