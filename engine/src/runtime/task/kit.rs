//! What a mapping is followed with: chosen once, by what the mapping is and what was asked for.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::Work;
use super::arrival::Arrivals;
use crate::fetch::{Fetch, ForStores, Madvise, Remap, read_ahead_of};
use crate::observe::{Guard, Marker, Observer, Pinpoint, Stores, Touches, View};
use crate::options::Fetcher;
use crate::page::{ByteLen, Nanos, PageCount};
use crate::policy::{Geometry, Plan, Policy, PolicyKind};
use crate::runtime::clock;
use crate::runtime::ledger::Ledger;
use crate::runtime::pace::Pace;
use crate::runtime::pressure;
use crate::runtime::process::{self, Hold};
use crate::runtime::shared::{Conduct, Shared};
use crate::sys;

/// Everything that following a mapping takes.
pub(super) struct Kit {
    pub(super) view: View,
    pub(super) observer: Box<dyn Observer>,
    pub(super) policy: Box<dyn Policy>,
    pub(super) fetch: Box<dyn Fetch>,
    pub(super) pace: Pace,
    pub(super) touches: Touches,
    pub(super) plan: Plan,
    pub(super) pending: VecDeque<Work>,
    pub(super) budget: PageCount,
    /// Reads of this step that found the pages in memory, and those that did not.
    pub(super) resident: u32,
    pub(super) started: u32,
    /// Whether a read had to start the disk, and none was left to the kernel since: what looks as if it
    /// were in memory may be on its way only.
    pub(super) is_cold: bool,
    /// Since when the next window waits for the disk.
    pub(super) waits_since: Option<Nanos>,
    pub(super) arrivals: Arrivals,
    pub(super) ledger: Ledger,
    /// The part of what is in the ledger that the process's budget knows of.
    pub(super) hold: Arc<Hold>,
    /// How often memory was short, as far as the policy was told.
    pub(super) times_short: u64,
}

impl Kit {
    pub(super) fn new(shared: &Shared) -> Option<Kit> {
        match shared.conduct {
            Conduct::Follow => {}
            Conduct::WriteAhead => return Kit::for_stores(shared),
            Conduct::OnRequest | Conduct::ReadOnly | Conduct::Record => return None,
        }
        let pagemap = sys::pagemap()?;
        let around = sys::fault_around(pagemap);
        let page_size = sys::page_size();
        let view = View { span: shared.span, page_size, around, pagemap };
        let len = ByteLen(shared.span.len as u64);
        let mut geometry = Geometry::new(page_size, len, shared.ahead.budget());
        geometry.fault_around = view.block_len();
        let observer: Box<dyn Observer> = match &shared.guard {
            Some(slot) => {
                let guard = Guard::new(&view, Arc::clone(slot));
                geometry.fault_around = guard.granule();
                Box::new(guard)
            }
            None => {
                let ahead = read_ahead_of(shared.facts).map(|bytes| ByteLen(bytes as u64));
                let pinpoint = Pinpoint::new(ahead.map(|bytes| page_size.whole_pages_in(bytes)));
                Box::new(Marker::new(&view, pinpoint, shared.faults))
            }
        };
        let policy = shared.ahead.policy.build(geometry);
        Some(Kit::join(view, observer, policy, fetcher(shared, around), geometry.budget))
    }

    /// For a writer: forward runs alone, seen page by page.
    fn for_stores(shared: &Shared) -> Option<Kit> {
        let pagemap = sys::pagemap()?;
        let page_size = sys::page_size();
        let around = page_size.bytes() as usize;
        let view = View { span: shared.span, page_size, around, pagemap };
        let len = ByteLen(shared.span.len as u64);
        let mut geometry = Geometry::new(page_size, len, shared.ahead.budget_for_stores());
        geometry.fault_around = view.block_len();
        let kind = match shared.ahead.policy {
            PolicyKind::Off => PolicyKind::Off,
            _ => PolicyKind::Ramp,
        };
        let observer = Box::new(Stores::new(&view));
        let policy = kind.build(geometry);
        Some(Kit::join(view, observer, policy, Box::new(ForStores), geometry.budget))
    }

    fn join(
        view: View,
        observer: Box<dyn Observer>,
        policy: Box<dyn Policy>,
        fetch: Box<dyn Fetch>,
        budget: PageCount,
    ) -> Kit {
        Kit {
            view,
            observer,
            policy,
            fetch,
            pace: Pace::new(),
            touches: Touches::default(),
            plan: Plan::new(),
            pending: VecDeque::new(),
            budget,
            resident: 0,
            started: 0,
            is_cold: false,
            waits_since: None,
            arrivals: Arrivals::default(),
            ledger: Ledger::default(),
            hold: process::shared().join(),
            times_short: pressure::times_short(clock::now()),
        }
    }
}

/// The fetcher that was asked for, or madvise where it cannot work.
fn fetcher(shared: &Shared, around: usize) -> Box<dyn Fetch> {
    let madvise = Madvise::new(shared.facts, around, shared.span, shared.offset);
    let file = shared.file.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (shared.ahead.fetcher, file) {
        (Fetcher::Remap, Some(file)) => {
            let is_advised = Arc::clone(&shared.is_advised);
            Box::new(Remap::new(madvise, file, shared.span, shared.offset, is_advised))
        }
        (Fetcher::Remap, None) => {
            shared.counters.refused.fetch_add(1, Ordering::Relaxed);
            Box::new(madvise)
        }
        (Fetcher::Madvise, _) => Box::new(madvise),
    }
}

impl std::fmt::Debug for Kit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let policy = self.policy.name();
        f.debug_struct("Kit").field("policy", &policy).field("pace", &self.pace).finish()
    }
}
