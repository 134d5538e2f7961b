//! Misses that are served on the thread that touched, from inside a signal handler: what these threads
//! and the service have in common.
//!
//! ```text
//!   SIGBUS -> gate of the slot -> permit -> pread -> UFFDIO_COPY -> note -> service (streams, eviction)
//!                |  closed, or no permit, or the service has the page, or an error
//!                +-> ask the service, and wait for it
//! ```
//!
//! The service still owns all of the `Pager`. A thread may add lone pages where a slot's gate is open;
//! each one is paid for with a permit, which the service gives out ahead, so that the memory limit
//! holds, and told in a note. Only the service takes anything away.

mod guards;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use self::guards::{CLOSED, Gate, Inside, Permit};
use super::asks::{Answer, Asks};
use super::immutable::Proof;
use super::marks::Marks;
use super::notes::{NOTES_MAX, Notes};
use super::slots::{Shape, SlotIndex};
use super::stats::PagedCounters;
use crate::page::{PageCount, PageIndex, PageRange};
use crate::stats::Counters;
use crate::sys::{Lender, Refused, ServeHere, Uffd, Wake};

/// Notes that wait before the service is woken for them, and permits given at once.
pub(super) const BATCH: usize = 32;
/// A touch so many pages from one of the last ones may be part of a run: the service hears of it now.
const NEAR: u64 = 32;
/// How many of the last touches are remembered: for as many runs side by side.
const RECENT: usize = 16;

/// Shared by the service and by the threads that serve themselves.
pub(super) struct Desk {
    uffd: Arc<Uffd>,
    file: File,
    proof: Arc<Proof>,
    shape: Shape,
    counters: Arc<PagedCounters>,
    /// For each slot: closed, or how many threads are inside or have left a note that was not read.
    gates: Box<[AtomicU32]>,
    /// Pages that the service has or is reading. Only a hint: who misses it reads for nothing.
    pub(super) brought: Arc<Marks>,
    /// Pages that were under a reader once, where somebody asks.
    shown: Option<Arc<Marks>>,
    buffers: Lender,
    permits: AtomicUsize,
    pub(super) notes: Notes,
    pub(super) asks: Asks,
    recent: [AtomicU64; RECENT],
    touches: AtomicUsize,
    /// Threads that serve themselves at this moment, unless that is over for good.
    inside: AtomicUsize,
    is_over: AtomicBool,
    has_news: AtomicBool,
    is_service_asleep: AtomicBool,
    wake: Arc<Wake>,
}

/// What a desk is made of.
pub(super) struct Parts {
    pub(super) uffd: Arc<Uffd>,
    pub(super) file: File,
    pub(super) proof: Arc<Proof>,
    pub(super) shape: Shape,
    pub(super) counters: Arc<PagedCounters>,
    pub(super) shown: Option<Arc<Marks>>,
    pub(super) buffers: Lender,
    pub(super) wake: Arc<Wake>,
}

impl Desk {
    pub(super) fn new(parts: Parts) -> Desk {
        let Parts { uffd, file, proof, shape, counters, shown, buffers, wake } = parts;
        Desk {
            uffd,
            file,
            proof,
            shape,
            counters,
            gates: (0..shape.slots()).map(|_| AtomicU32::new(0)).collect(),
            brought: Arc::new(Marks::new(shape.pages().count())),
            shown,
            buffers,
            permits: AtomicUsize::new(0),
            notes: Notes::new(),
            asks: Asks::new(),
            recent: [const { AtomicU64::new(u64::MAX / 2) }; RECENT],
            touches: AtomicUsize::new(0),
            inside: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            has_news: AtomicBool::new(false),
            is_service_asleep: AtomicBool::new(false),
            wake,
        }
    }

    /// Brings `page` on this thread. `None` when that is the service's affair.
    fn bring(&self, page: PageIndex) -> Option<()> {
        let _inside = self.enter()?;
        let gate = Gate::pass(self.gates.get(self.shape.slot_of(page) as usize)?)?;
        // After the gate: what the service marked before it last opened is seen.
        if self.brought.contains(page) {
            return None;
        }
        let permit = Permit::take(&self.permits)?;
        let mut buffer = self.buffers.lend()?;
        let range = PageRange::at(page, PageCount(1));
        let (offset, len) = (self.shape.offset(page), self.shape.bytes_of(range));
        // An error, or less than there should be: the service reads it again, and says so.
        let read = self.file.read_at(&mut buffer, offset).ok()?;
        if read < len {
            return None;
        }
        buffer.get_mut(len..)?.fill(0);
        Counters::add(&self.counters.reads, 1);
        Counters::add(&self.counters.bytes_read, len as u64);
        // After the read, as TRAPS 21 has it; and marked before anybody can see it.
        if !self.proof.holds() {
            return None;
        }
        if let Some(shown) = &self.shown {
            shown.set(range);
        }
        match self.uffd.copy_page(buffer.span(), offset as usize) {
            Ok(()) => {
                permit.spend();
                gate.leave_open_for_note();
                self.notes.write(page);
                Counters::add(&self.counters.pages_copied, 1);
            }
            // Another thread was quicker: a read for nothing.
            Err(Refused::Raced) => {}
            Err(_) => return None,
        }
        Counters::add(&self.counters.faults, 1);
        Counters::add(&self.counters.faults_here, 1);
        if self.notes.len() >= BATCH || self.is_near(page) {
            self.tell();
        }
        Some(())
    }

    fn enter(&self) -> Option<Inside<'_>> {
        // Sequentially consistent, as the two operations of `end`: either this sees that it is over,
        // or `end` sees this thread.
        let inside = Inside::counted(&self.inside);
        (!self.is_over.load(Ordering::SeqCst)).then_some(inside)
    }

    /// Whether `page` lies close to one of the last ones; it is one of them from now on.
    fn is_near(&self, PageIndex(page): PageIndex) -> bool {
        let is_near = |recent: &AtomicU64| recent.load(Ordering::Relaxed).abs_diff(page) <= NEAR;
        let is_any_near = self.recent.iter().any(is_near);
        let place = self.touches.fetch_add(1, Ordering::Relaxed) % RECENT;
        if let Some(place) = self.recent.get(place) {
            place.store(page, Ordering::Relaxed);
        }
        is_any_near
    }

    /// Has the service look at notes and asks.
    fn tell(&self) {
        // Sequentially consistent, as the two operations of `sleeps`.
        self.has_news.store(true, Ordering::SeqCst);
        if self.is_service_asleep.swap(false, Ordering::SeqCst) {
            self.wake.ring();
        }
    }

    /// Whether there is something to be looked at. Asked by the service.
    pub(super) fn take_news(&self) -> bool {
        self.has_news.swap(false, Ordering::SeqCst)
    }

    /// The service is about to sleep, and may unless there are news.
    pub(super) fn may_sleep(&self) -> bool {
        self.is_service_asleep.store(true, Ordering::SeqCst);
        !self.has_news.load(Ordering::SeqCst)
    }

    pub(super) fn wakes_up(&self) {
        self.is_service_asleep.store(false, Ordering::Relaxed);
    }

    /// Lets that many pages be added; their memory is set aside.
    pub(super) fn permit(&self, pages: usize) {
        self.permits.fetch_add(pages, Ordering::Release);
    }

    /// Takes back the permits that nobody has taken.
    pub(super) fn revoke(&self) -> usize {
        self.permits.swap(0, Ordering::AcqRel)
    }

    /// Has `slot` for the service alone. False while a thread is inside, or its note is unread.
    pub(super) fn close(&self, slot: SlotIndex) -> bool {
        let Some(gate) = self.gates.get(slot as usize) else { return false };
        gate.compare_exchange(0, CLOSED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Whether a thread is inside `slot`, or its note is unread.
    pub(super) fn is_added_to(&self, slot: SlotIndex) -> bool {
        let gate = self.gates.get(slot as usize).map_or(0, |gate| gate.load(Ordering::Acquire));
        gate & !CLOSED != 0
    }

    /// The end of [`close`](Desk::close).
    pub(super) fn open(&self, slot: SlotIndex) {
        if let Some(gate) = self.gates.get(slot as usize) {
            gate.fetch_and(!CLOSED, Ordering::Release);
        }
    }

    /// A note of a page in `slot` has been read and its page taken into account.
    pub(super) fn note_is_read(&self, slot: SlotIndex) {
        if let Some(gate) = self.gates.get(slot as usize) {
            gate.fetch_sub(1, Ordering::Release);
        }
    }

    /// From the return on no thread serves itself: the service is asked for everything.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        while self.inside.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

impl ServeHere for Desk {
    fn serve(&self, offset: usize) -> bool {
        let page = self.shape.page_size.index_of(offset as u64);
        if !self.shape.pages().contains(page) {
            return false;
        }
        let is_brought = || self.asks.ask(page, || self.tell()) == Answer::Brought;
        self.bring(page).is_some() || is_brought()
    }
}

const _: () = assert!(NOTES_MAX.is_multiple_of(BATCH));
