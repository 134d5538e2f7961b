//! What a thread that serves itself holds while it does, and gives back whichever way it leaves.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// A gate that only the service may pass.
pub(super) const CLOSED: u32 = 1 << 31;

/// A thread that serves itself, counted until it is dropped.
pub(super) struct Inside<'a>(&'a AtomicUsize);

impl<'a> Inside<'a> {
    /// Counts in.
    pub(super) fn counted(inside: &'a AtomicUsize) -> Inside<'a> {
        inside.fetch_add(1, Ordering::SeqCst);
        Inside(inside)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A thread that is in a slot, where the service makes no frame meanwhile.
pub(super) struct Gate<'a>(&'a AtomicU32);

impl<'a> Gate<'a> {
    pub(super) fn pass(gate: &'a AtomicU32) -> Option<Gate<'a>> {
        let open = |gate: u32| (gate & CLOSED == 0).then_some(gate + 1);
        gate.fetch_update(Ordering::Acquire, Ordering::Relaxed, open).ok().map(|_| Gate(gate))
    }

    /// The reader of the note counts down.
    pub(super) fn leave_open_for_note(self) {
        std::mem::forget(self);
    }
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// The right to add one page.
pub(super) struct Permit<'a>(&'a AtomicUsize);

impl<'a> Permit<'a> {
    pub(super) fn take(permits: &'a AtomicUsize) -> Option<Permit<'a>> {
        let less = |permits: usize| permits.checked_sub(1);
        permits
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, less)
            .ok()
            .map(|_| Permit(permits))
    }

    /// The page is there.
    pub(super) fn spend(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}
