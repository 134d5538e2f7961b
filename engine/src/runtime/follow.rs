//! A mapping's tie to the runtime.

mod asked;
mod pages;
mod tie;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use super::pool::{Pool, When};
use super::region::Region;
use super::shared::{Conduct, Fate, Shared};
use crate::options::Ahead;
use crate::stats::Stats;
use crate::sys::{self, FileFacts};

use tie::{Tie, conduct, is_off, is_recorded};

/// A mapping's tie to the runtime. Inert when nothing follows the mapping.
#[derive(Debug)]
pub(crate) struct Follow {
    tie: Option<Tie>,
}

impl Follow {
    /// Starts to follow `region`, or returns an inert handle: never fails. `file` is used during the
    /// call only, `None` when there is no file at hand; `kept` is one of our own.
    pub(crate) fn start(
        region: Region,
        file: Option<RawFd>,
        kept: Option<&Arc<File>>,
        ahead: &Ahead,
    ) -> Follow {
        let conduct = conduct(&region, ahead);
        let is_read = conduct == Some(Conduct::Follow) || is_recorded(&region, ahead);
        let file = file.filter(|_| is_read && !is_off(ahead));
        let facts = file.and_then(|file| sys::file_facts(file).ok());
        Follow::begin(region, facts, kept, ahead)
    }

    /// Starts to follow `region`, another mapping of the same file.
    pub(crate) fn beside(&self, region: Region, kept: Option<&Arc<File>>, ahead: &Ahead) -> Follow {
        Follow::begin(region, self.tie.as_ref().and_then(|tie| tie.facts), kept, ahead)
    }

    fn begin(
        region: Region,
        facts: Option<FileFacts>,
        kept: Option<&Arc<File>>,
        ahead: &Ahead,
    ) -> Follow {
        if is_off(ahead) {
            return Follow::inert();
        }
        let conduct = conduct(&region, ahead);
        let is_recorded = is_recorded(&region, ahead);
        let tie = Tie { region, ahead: ahead.clone(), facts, shared: OnceLock::new() };
        let recorded = tie.shared_to_record().filter(|_| is_recorded);
        if let Some(shared) = recorded {
            Pool::get().follow(&shared);
            let _ = tie.shared.set(shared);
        } else if let Some(conduct) = conduct {
            let shared = tie.share(conduct, kept);
            Pool::get().follow(&shared);
            let _ = tie.shared.set(shared);
        }
        Follow { tie: Some(tie) }
    }

    /// Nothing is followed (anonymous memory).
    pub(crate) fn inert() -> Follow {
        Follow { tie: None }
    }

    /// Ends following, and returns when no call on the mapping is in flight any more. Needed before
    /// the mapping changes its protection, address or length. Idempotent.
    pub(crate) fn settle(&mut self) {
        if let Some(shared) = self.tie.take().and_then(|tie| tie.into_shared(Fate::Reopen)) {
            shared.gate.close();
            Pool::get().forget(&shared);
            shared.cancel_requests();
            shared.end_task();
            if let Some(recording) = shared.recording() {
                recording.end();
            }
        }
    }

    /// Ends following and runs `unmap`: at once, or, when a call on this mapping has been stuck for
    /// 10 ms, as soon as that call returns, on the worker that made it.
    pub(crate) fn release(self, unmap: impl FnOnce() + Send + 'static) {
        match self.tie.and_then(|tie| tie.into_shared(Fate::Unmap)) {
            Some(shared) => {
                shared.gate.close_and(unmap);
                Pool::get().forget(&shared);
                shared.cancel_requests();
                shared.end_task();
            }
            None => unmap(),
        }
    }

    /// The caller's own advice for the whole mapping: MADV_RANDOM stops following, others resume it.
    pub(crate) fn advised_random(&self, random: bool) {
        if let Some(shared) = self.followed() {
            shared.is_random.store(random, Ordering::Relaxed);
            self.look_now(shared);
        }
    }

    /// The caller gave advice of his own, or locked pages, before or after: from now on nothing is
    /// done that would lose it.
    pub(crate) fn advised(&self) {
        if let Some(shared) = self.followed() {
            shared.is_advised.store(true, Ordering::Release);
        }
    }

    pub(crate) fn pause(&self) {
        if let Some(shared) = self.followed() {
            shared.is_paused.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn resume(&self) {
        if let Some(shared) = self.followed() {
            shared.is_paused.store(false, Ordering::Relaxed);
            self.look_now(shared);
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.followed().map(|shared| shared.stats()).unwrap_or_default()
    }

    /// Opens what Mode::Guard closed of `range` (bytes of the slice), so that the kernel may read it.
    pub(crate) fn open(&self, range: Range<usize>) -> io::Result<()> {
        match (&self.tie, self.followed()) {
            (Some(tie), Some(shared)) => shared.open(tie.region.pages_of(range)),
            _ => Ok(()),
        }
    }

    fn followed(&self) -> Option<&Arc<Shared>> {
        self.tie.as_ref()?.shared.get()
    }

    fn look_now(&self, shared: &Arc<Shared>) {
        if !sys::in_forked_child() {
            Pool::get().schedule(shared, When::Now);
        }
    }
}
