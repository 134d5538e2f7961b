//! What the threads that serve themselves tell the service: pages they have put under the reader.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::page::PageIndex;

/// The most notes at a time. Whoever writes one has a permit for it, and there are no more permits than
/// this until the note has been read.
pub(super) const NOTES_MAX: usize = 128;

/// A queue that many threads write to, inside signal handlers, and one reads.
#[derive(Debug)]
pub(super) struct Notes {
    /// A page's number and 1; 0 where nothing is written.
    cells: [AtomicU64; NOTES_MAX],
    /// How many have been begun, and how many read; both wrap.
    begun: AtomicUsize,
    read: AtomicUsize,
}

impl Notes {
    pub(super) fn new() -> Notes {
        let cells = [const { AtomicU64::new(0) }; NOTES_MAX];
        Notes { cells, begun: AtomicUsize::new(0), read: AtomicUsize::new(0) }
    }

    /// Adds `page`. The caller has a permit. Async-signal-safe.
    pub(super) fn write(&self, PageIndex(page): PageIndex) {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        // Its last note has been read: else there were more permits than cells.
        if let Some(cell) = self.cells.get(number % NOTES_MAX) {
            cell.store(page + 1, Ordering::Release);
        }
    }

    /// The oldest, unless its writer is not done yet. For one reader.
    pub(super) fn read(&self) -> Option<PageIndex> {
        let number = self.read.load(Ordering::Relaxed);
        let cell = self.cells.get(number % NOTES_MAX)?.swap(0, Ordering::Acquire);
        let page = cell.checked_sub(1)?;
        self.read.store(number.wrapping_add(1), Ordering::Release);
        Some(PageIndex(page))
    }

    /// How many wait to be read, more or less.
    pub(super) fn len(&self) -> usize {
        let read = self.read.load(Ordering::Relaxed);
        self.begun.load(Ordering::Relaxed).wrapping_sub(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_lost_between_threads() {
        const WRITERS: usize = 4;
        const EACH: usize = 20_000;
        let (notes, permits) = (Notes::new(), AtomicUsize::new(NOTES_MAX));
        let take = |permits: &AtomicUsize| {
            let left = |left: usize| left.checked_sub(1);
            permits.fetch_update(Ordering::AcqRel, Ordering::Relaxed, left).is_ok()
        };
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (notes, permits) = (&notes, &permits);
                scope.spawn(move || {
                    for number in 0..EACH {
                        while !take(permits) {
                            std::thread::yield_now();
                        }
                        notes.write(PageIndex((number * WRITERS + writer) as u64));
                    }
                });
            }
            let mut next = [0; WRITERS];
            while next.iter().sum::<usize>() < WRITERS * EACH {
                let Some(PageIndex(page)) = notes.read() else {
                    std::thread::yield_now();
                    continue;
                };
                permits.fetch_add(1, Ordering::AcqRel);
                let (number, writer) = (page as usize / WRITERS, page as usize % WRITERS);
                assert_eq!(next[writer], number, "in order, each once");
                next[writer] += 1;
            }
        });
        assert_eq!((notes.len(), notes.read()), (0, None));
    }
}
