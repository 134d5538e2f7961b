use std::io;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{DirtyPages, Mechanism, PageSet};
use crate::Error;
use crate::sys::{Span, StoreWatch, fork_guard_init, in_forked_child, page_size};

/// Where the slice lies in its pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    addr: usize,
    len: usize,
}

impl Shape {
    pub(super) fn new(addr: usize, len: usize) -> Shape {
        Shape { addr, len }
    }

    fn lead(self) -> usize {
        self.addr % page_len()
    }

    fn pages(self) -> usize {
        (self.lead() + self.len).div_ceil(page_len())
    }

    fn span(self) -> Span {
        Span { addr: self.addr - self.lead(), len: self.pages() * page_len() }
    }
}

/// A watched mapping, and everyone who asks about it.
#[derive(Debug)]
pub(super) struct Watch {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    shape: Shape,
    mechanism: Mechanism,
    granule: usize,
    /// `None` while the mapping changes, and when it is gone.
    live: Option<StoreWatch>,
    askers: Vec<Asker>,
    asker_next: u64,
    /// How long it took to look through the mapping, the last time.
    took: Option<Duration>,
}

/// Somebody with an own "since last time".
#[derive(Debug)]
struct Asker {
    id: u64,
    stored: PageSet,
}

impl Watch {
    /// # Errors
    /// The kernel's own where it cannot, or this user may not.
    pub(super) fn start(shape: Shape, mechanism: Mechanism) -> io::Result<Watch> {
        fork_guard_init();
        let live = StoreWatch::start(shape.span(), mechanism)?;
        let granule = live.granule();
        let (askers, asker_next, took) = (Vec::new(), 0, None);
        let live = Some(live);
        let state = State { shape, mechanism, granule, live, askers, asker_next, took };
        Ok(Watch { state: Mutex::new(state) })
    }

    pub(super) fn mechanism(&self) -> Mechanism {
        self.lock().mechanism
    }

    pub(super) fn granule(&self) -> usize {
        self.lock().granule
    }

    /// Somebody new, for whom "since last time" is since now.
    pub(super) fn join(&self) -> io::Result<u64> {
        let mut state = self.lock();
        state.collect()?;
        let id = state.asker_next;
        state.asker_next += 1;
        let stored = PageSet::empty(state.shape.pages());
        state.askers.push(Asker { id, stored });
        Ok(id)
    }

    /// Undoes [`join`](Watch::join). When nobody asks any more, the watch ends.
    pub(super) fn leave(&self, id: u64) {
        let Some(mut state) = self.lock_to_end() else { return };
        state.askers.retain(|asker| asker.id != id);
        if state.askers.is_empty() {
            state.live = None;
        }
    }

    pub(super) fn is_asked_by_one(&self) -> bool {
        self.lock().askers.len() == 1
    }

    pub(super) fn is_over(&self) -> bool {
        self.lock().live.is_none()
    }

    /// What was stored to since this asker last took it.
    pub(super) fn take(&self, id: u64) -> io::Result<DirtyPages> {
        let mut state = self.lock();
        state.collect()?;
        let Shape { len, .. } = state.shape;
        let lead = state.shape.lead();
        let Some(asker) = state.askers.iter_mut().find(|asker| asker.id == id) else {
            return Err(GONE.into());
        };
        let pages = DirtyPages::of(&asker.stored, page_len(), lead, len);
        asker.stored.clear();
        Ok(pages)
    }

    /// Puts back what this asker took: it could not do what it wanted to.
    pub(super) fn give_back(&self, id: u64, pages: &DirtyPages) {
        let mut state = self.lock();
        let lead = state.shape.lead();
        if let Some(asker) = state.askers.iter_mut().find(|asker| asker.id == id) {
            for range in pages.ranges() {
                asker.stored.insert(pages_of(range, lead));
            }
        }
    }

    /// How long a look will take: as long as the last one, else as was measured here (2 ns a page).
    pub(super) fn expected(&self) -> Duration {
        let state = self.lock();
        state.took.unwrap_or_else(|| Duration::from_nanos(2 * state.shape.pages() as u64))
    }

    /// Ends noticing for a while, with nothing lost: the mapping is about to change.
    pub(super) fn settle(&self) {
        let mut state = self.lock();
        if state.live.is_some() && state.collect().is_err() {
            let all = 0..state.shape.pages();
            state.askers.iter_mut().for_each(|asker| asker.stored.insert(all.clone()));
        }
        state.live = None;
    }

    /// Goes on where the mapping lies now, if anybody asks. What is new counts as stored to, also in a page
    /// that was there; all of it, when it cannot go on.
    pub(super) fn resume(&self, shape: Shape) -> io::Result<()> {
        let mut state = self.lock();
        let added = pages_of(&(state.shape.len.min(shape.len)..shape.len), shape.lead());
        state.shape = shape;
        for asker in &mut state.askers {
            asker.stored.resize(shape.pages());
            asker.stored.insert(added.clone());
        }
        if state.askers.is_empty() {
            return Ok(());
        }
        let live = StoreWatch::start(shape.span(), state.mechanism).inspect_err(|_| {
            // Stores go unnoticed until it can be started again, perhaps by the next change.
            state.askers.iter_mut().for_each(|asker| asker.stored.insert(0..shape.pages()));
        })?;
        state.granule = live.granule();
        state.took = None;
        state.live = Some(live);
        Ok(())
    }

    /// Ends noticing: the mapping goes away, or may not be stored to any more.
    pub(super) fn end(&self) {
        if let Some(mut state) = self.lock_to_end() {
            state.live = None;
        }
    }

    /// `None` in a forked child whose parent held the lock just then: nobody will ever let go of it.
    fn lock_to_end(&self) -> Option<MutexGuard<'_, State>> {
        if in_forked_child() { self.state.try_lock().ok() } else { Some(self.lock()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Tells everyone what was stored to since the last time.
    fn collect(&mut self) -> io::Result<()> {
        // A child's page table is its own; what it would ask and change is its parent's.
        let live = self.live.as_ref().filter(|_| !in_forked_child()).ok_or(GONE)?;
        let begun = Instant::now();
        let askers = &mut self.askers;
        live.take(|bytes| {
            let pages = pages_of(&bytes, 0);
            askers.iter_mut().for_each(|asker| asker.stored.insert(pages.clone()));
        })?;
        self.took = Some(begun.elapsed());
        Ok(())
    }
}

/// The pages of some bytes, counted from `lead` bytes into the first page.
fn pages_of(bytes: &Range<usize>, lead: usize) -> Range<usize> {
    if bytes.is_empty() {
        return 0..0;
    }
    (bytes.start + lead) / page_len()..(bytes.end + lead).div_ceil(page_len())
}

fn page_len() -> usize {
    page_size().bytes() as usize
}

const GONE: Error = Error::Unsupported {
    what: "asking where a mapping was stored to",
    needs: "the mapping, writable as it was, in the process that began to track it",
};
