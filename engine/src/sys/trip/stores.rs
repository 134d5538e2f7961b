//! Windows that are closed to stores only, and closed again whenever somebody asks what was stored to.

use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;

use super::windows::{Shape, WORD_BITS, Windows};

impl Shape {
    /// Whether closed means closed to stores.
    pub(super) fn watches_stores(&self) -> bool {
        self.closed == libc::PROT_READ
    }
}

impl Windows {
    /// Answers a store at `offset` into the mapping: first lets it through, then marks the window.
    ///
    /// In this order, and also when the window is marked already: it may be closed again at any time
    /// between the two, and then the mark is too much, which costs nothing, and never too little. False
    /// when the kernel lets nothing be opened.
    pub(super) fn serve_store(&self, offset: usize) -> bool {
        let shape = self.shape();
        let window = offset >> shape.granule_shift;
        let one = window..window + 1;
        // The process is out of VMAs: opening everything needs none, and gives most back.
        if self.protect(&one, shape.prot).is_ok() {
            self.mark_open(one);
        } else if self.open_all().is_err() {
            return false;
        }
        self.trips.fetch_add(1, Ordering::Relaxed);
        self.handled.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// See `TripSlot::take_stored`. `wait_for_handlers` returns when every handler is done that ran when it
    /// was called: one may have let a store through and not marked it yet.
    pub(super) fn take_stored(
        &self,
        wait_for_handlers: impl Fn(),
        found: &mut dyn FnMut(Range<usize>),
    ) -> io::Result<()> {
        wait_for_handlers();
        let stored = self.take_marks();
        if stored.is_empty() {
            return Ok(());
        }
        // All of it: one system call, which leaves one VMA. Whoever is letting a store through just now
        // marks it afterwards.
        if let Err(error) = self.close_all() {
            for run in stored {
                self.mark_open(run);
            }
            return Err(error);
        }
        let shape = self.shape();
        stored.iter().for_each(|run| found(shape.bytes(run)));
        Ok(())
    }

    /// Takes the marks, as runs of windows.
    fn take_marks(&self) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        let mut taken = 0;
        for (index, word) in self.open.iter().enumerate() {
            let mut bits = word.swap(0, Ordering::AcqRel);
            taken += bits.count_ones() as usize;
            while bits != 0 {
                let window = index * WORD_BITS + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                match runs.last_mut() {
                    Some(run) if run.end == window => run.end = window + 1,
                    _ => runs.push(window..window + 1),
                }
            }
        }
        self.open_count.fetch_sub(taken, Ordering::Relaxed);
        runs
    }
}
