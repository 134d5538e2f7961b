//! A thread that is told of each first store to a page, remembers it, and lets the store through.

use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use super::protector::{
    FEATURE_PAGEFAULT_FLAG_WP, FEATURE_WP_HUGETLBFS_SHMEM, FEATURE_WP_UNPOPULATED, Protector,
};
use crate::dirty::PageSet;
use crate::sys::{Span, Wake, block_all_signals, in_forked_child, page_size, wait_readable};

/// On anonymous memory, tmpfs and hugetlbfs: the kernel has it for no other.
#[derive(Debug)]
pub(crate) struct Served {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    protector: Protector,
    stop: Wake,
    is_stopped: AtomicBool,
    /// Set when the thread could not go on: from then on everything counts as stored to, since
    /// too much is better than too little.
    is_lost: AtomicBool,
    /// Held while the protection of pages and what is said of them change together.
    stored: Mutex<PageSet>,
}

impl Served {
    pub(super) fn start(span: Span) -> io::Result<Served> {
        let features =
            FEATURE_PAGEFAULT_FLAG_WP | FEATURE_WP_UNPOPULATED | FEATURE_WP_HUGETLBFS_SHMEM;
        let pages = span.len / page_len();
        let shared = Arc::new(Shared {
            stop: Wake::new()?,
            is_stopped: AtomicBool::new(false),
            is_lost: AtomicBool::new(false),
            stored: Mutex::new(PageSet::empty(pages)),
            // Last: from now on a store waits for the thread.
            protector: Protector::new(span, features)?,
        });
        let served = Arc::clone(&shared);
        let name = "mmap-ahead".to_owned();
        let thread = Builder::new().name(name).spawn(move || served.serve())?;
        Ok(Served { shared, thread: Some(thread) })
    }

    pub(super) fn take(&self, mut found: impl FnMut(Range<usize>)) -> io::Result<()> {
        let mut stored = self.shared.lock();
        let (page, span) = (page_len(), self.shared.protector.span());
        if self.shared.is_lost.load(Ordering::Relaxed) {
            found(0..span.len);
            return Ok(());
        }
        for run in stored.runs() {
            let bytes = run.start * page..run.end * page;
            self.shared.protector.protect(span.slice(bytes.start, bytes.end))?;
            found(bytes);
        }
        stored.clear();
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, PageSet> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        block_all_signals();
        loop {
            let is_readable = wait_readable(&[self.protector.as_fd(), self.stop.as_fd()], None);
            if self.is_stopped.load(Ordering::Acquire) {
                return;
            }
            if is_readable.and_then(|()| self.let_through()).is_err() {
                return self.give_up();
            }
        }
    }

    fn give_up(&self) {
        let _locked = self.lock();
        self.is_lost.store(true, Ordering::Relaxed);
        let _ = self.protector.release(self.protector.span());
    }

    fn let_through(&self) -> io::Result<()> {
        let mut stored = self.lock();
        let (page, span) = (page_len(), self.protector.span());
        let mut result = Ok(());
        self.protector.take_waiting(|offset| {
            let index = offset / page;
            stored.insert(index..index + 1);
            let released = self.protector.release(span.slice(index * page, (index + 1) * page));
            result = std::mem::replace(&mut result, Ok(())).and(released);
        })?;
        result
    }
}

fn page_len() -> usize {
    page_size().bytes() as usize
}

impl Drop for Served {
    fn drop(&mut self) {
        // A child has no such thread: nothing to wait for, nor to let go of.
        if in_forked_child() {
            return std::mem::forget(self.thread.take());
        }
        self.shared.is_stopped.store(true, Ordering::Release);
        self.shared.stop.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_the_thread_gives_up_stores_go_through_and_all_counts_as_stored_to() {
        let len = 4 * page_len();
        let mut map = memmap2::MmapMut::map_anon(len).unwrap();
        let span = Span { addr: map.as_ptr() as usize, len };
        let Ok(mut served) = Served::start(span) else {
            return println!("skipped: no userfaultfd here");
        };
        // As if it had ended by itself: nobody lets a store through any more.
        served.shared.is_stopped.store(true, Ordering::Release);
        served.shared.stop.ring();
        served.thread.take().unwrap().join().unwrap();
        served.shared.give_up();
        map[page_len()] = 1;
        for _ in 0..2 {
            let mut found = Vec::new();
            served.take(|bytes| found.push(bytes)).unwrap();
            assert_eq!(found, vec![0..len]);
            map[2 * page_len()] = 1;
        }
    }
}
