//! What it takes to begin to follow a mapping, and how one is followed.

use std::fs::File;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};

use crate::options::{Ahead, FOLLOWED_LEN_MIN, Mode, Stores};
use crate::runtime::pool::Pool;
use crate::runtime::recording::Recording;
use crate::runtime::shared::{Conduct, Fate, Shared};
use crate::runtime::{Access, Region};
use crate::sys::{self, FileFacts, Span, TripSlot};

/// What it takes to begin: for a mapping that is not followed, only an explicit call does.
#[derive(Debug)]
pub(super) struct Tie {
    pub(super) region: Region,
    pub(super) ahead: Ahead,
    pub(super) facts: Option<FileFacts>,
    pub(super) shared: OnceLock<Arc<Shared>>,
}

impl Tie {
    /// The shared part, made when an explicit call needs it first.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        let conduct = match self.region.access {
            Access::WriteShared | Access::Other => Conduct::ReadOnly,
            _ => Conduct::OnRequest,
        };
        self.shared.get_or_init(|| self.share(conduct, None))
    }

    pub(super) fn share(&self, conduct: Conduct, kept: Option<&Arc<File>>) -> Arc<Shared> {
        let may_remap = self.region.access == Access::ReadShared;
        let file = kept.filter(|_| may_remap).cloned();
        let span = self.region.whole();
        let offset = self.region.file_offset - self.region.lead() as u64;
        let guard = self.guard(span, conduct);
        Arc::new(Shared::new(span, offset, &self.ahead, conduct, self.facts, file, guard))
    }

    /// The shared part of a mapping that is recorded; `None` where that cannot be done.
    pub(super) fn shared_to_record(&self) -> Option<Arc<Shared>> {
        let facts = self.facts.filter(|_| self.ahead.record)?;
        let mut shared = self.share(Conduct::Record, None);
        let Shared { span, offset, .. } = *shared;
        let recording = Recording::begin(span, offset, facts)
            .inspect_err(|error| tracing::warn!(%error, "mmap-ahead: nothing is recorded"))
            .ok()?;
        Arc::get_mut(&mut shared)?.recording = Some(Mutex::new(recording));
        Some(shared)
    }

    /// Closes the mapping's windows, where that was asked for and can be done.
    fn guard(&self, span: Span, conduct: Conduct) -> Option<Arc<TripSlot>> {
        let is_plain = matches!(self.region.access, Access::ReadShared | Access::ReadPrivate);
        let is_wanted = self.ahead.mode == Mode::Guard && conduct == Conduct::Follow && is_plain;
        if !is_wanted {
            return None;
        }
        let guard = sys::guard(span, Pool::get().bell());
        guard
            .inspect_err(|error| tracing::warn!(%error, "mmap-ahead: no guard; markers instead"))
            .ok()
            .map(Arc::new)
    }

    /// Only the process that made the mapping has workers to wait for: a forked child must not
    /// touch locks that a worker may have held at the fork.
    pub(super) fn into_shared(self, fate: Fate) -> Option<Arc<Shared>> {
        let shared = self.shared.into_inner()?;
        shared.end_guard(fate);
        Some(shared).filter(|_| !sys::in_forked_child())
    }

    /// The pages of `ranges`, cut where the prefetches that are not done yet reach the budget.
    pub(super) fn spans_within_budget(
        &self,
        ranges: &[Range<usize>],
        shared: &Shared,
    ) -> Vec<Span> {
        let mut spans = Vec::with_capacity(ranges.len());
        for range in ranges.iter().filter(|range| !range.is_empty()) {
            let pages = self.region.pages_of(range.clone());
            let requested = shared.requested.load(Ordering::Relaxed);
            let room = self.ahead.budget().0.saturating_sub(requested);
            let taken = pages.slice(0, usize::try_from(room).unwrap_or(usize::MAX));
            if !taken.is_empty() {
                shared.requested.fetch_add(taken.len as u64, Ordering::Relaxed);
                spans.push(taken);
            }
        }
        spans
    }
}

/// How `region` is followed from the start on, if it is.
pub(super) fn conduct(region: &Region, ahead: &Ahead) -> Option<Conduct> {
    if (region.len as u64) < FOLLOWED_LEN_MIN.0 {
        return None;
    }
    let (conduct, is_possible) = match region.access {
        Access::Other => return None,
        Access::WriteShared if ahead.stores == Stores::Unknown => return None,
        Access::WriteShared => (Conduct::WriteAhead, sys::has_populate_for_stores()),
        Access::ReadShared | Access::ExecShared | Access::ReadPrivate => {
            (Conduct::Follow, sys::has_populate())
        }
    };
    is_possible.then_some(conduct)
}

/// Whether what is touched in `region` is to be recorded.
pub(super) fn is_recorded(region: &Region, ahead: &Ahead) -> bool {
    let is_read_only = !matches!(region.access, Access::WriteShared | Access::Other);
    is_read_only && region.len > 0 && ahead.record
}

/// Whether nothing at all is done.
pub(super) fn is_off(ahead: &Ahead) -> bool {
    ahead.mode == Mode::Off || is_switched_off() || sys::in_forked_child()
}

/// MMAP_AHEAD=off in the environment, read once.
fn is_switched_off() -> bool {
    static OFF: OnceLock<bool> = OnceLock::new();
    *OFF.get_or_init(|| std::env::var_os("MMAP_AHEAD").is_some_and(|value| value == "off"))
}
