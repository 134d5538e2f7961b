//! What all threads share: the kernel, the device, the cores, the lock, and what is to happen.

use mmap_ahead::page::{Nanos, PageCount, PageIndex, PageRange, PageSize};
use mmap_ahead::policy::{Event as Told, Source};

use super::Watch;
use super::block_reader::Blocks;
use super::breakdown::{Clock, Kind};
use super::cores::Cores;
use super::events::{Event, Events, ThreadId};
use super::follow::{Done, Follow};
use super::guard::Guard;
use super::ledger::Ledger;
use super::lock::{Lock, Taken};
use super::paged::Mail;
use super::report::Counts;
use super::setup::{CacheState, Setup};
use crate::costs::Costs;
use crate::device::Device;
use crate::kernel::{
    DaxExtents, Entry, FaultKind, FileKind, Io, Kernel, KernelOptions, ORDER_MAX, Userfault,
};
use crate::observer::block_of;
use crate::strategy::{Carrier, Sees, Strategy};
use crate::workload::Workload;

pub(crate) struct World<'a> {
    pub(crate) costs: Costs,
    pub(crate) kernel: Kernel,
    pub(crate) device: Device,
    pub(crate) cores: Cores,
    pub(crate) events: Events,
    pub(crate) lock: Lock,
    pub(crate) ledger: Ledger,
    pub(crate) counts: Counts,
    pub(crate) follow: Option<Follow>,
    /// What waits for the thread that fills memory.
    pub(crate) mail: Mail,
    /// Whether memory is filled by a thread.
    pub(crate) is_paged: bool,
    /// Whether what is read past the page cache lies in memory.
    pub(crate) is_in_memory: bool,
    /// Where touches of closed windows tell of the reader.
    pub(crate) guard: Option<Guard>,
    /// Helpers that sleep.
    pub(crate) idle: Vec<ThreadId>,
    /// Windows that helpers are mapping.
    pub(crate) mapping: Vec<PageRange>,
    /// The file's length in bytes.
    pub(crate) file_len: u64,
    /// Whether memory is limited, so that the kernel wants to know of every access.
    pub(crate) is_limited: bool,
    /// Whether 2 MiB entries can occur.
    pub(crate) may_be_huge: bool,
    /// What is to be read in blocks of 2 MiB.
    pub(crate) blocks: Blocks,
    /// Whether the device was started for the last thing that was to be read: what is absent may be on its
    /// way.
    pub(crate) is_cold: bool,
    /// Since when the next window waits for the device.
    pub(crate) waits_since: Option<Nanos>,
    /// Readers that wait until the file is opened.
    pub(crate) unopened: Vec<ThreadId>,
    /// How user faults run.
    pub(crate) entry: Entry,
    /// Whether there is a page cache.
    pub(crate) has_cache: bool,
    /// Whether pages come from the device.
    is_read: bool,
    /// How many different pages the oracle was asked for.
    foreseen: u64,
    around: PageCount,
    /// Threads that wait for the read that begins at this page.
    waiting: Vec<(PageIndex, ThreadId)>,
    /// A planned read whose end is looked out for, to learn how long the device takes.
    arriving: Option<(PageRange, Nanos)>,
    pub(super) watch: &'a mut Watch<'a>,
}

impl<'a> World<'a> {
    pub(crate) fn new(
        workload: &Workload,
        strategy: &Strategy,
        setup: &Setup,
        watch: &'a mut Watch<'a>,
    ) -> World<'a> {
        let around = strategy.fault_around.unwrap_or(setup.kernel.fault_around);
        let setup =
            &Setup { kernel: KernelOptions { fault_around: around, ..setup.kernel }, ..*setup };
        let geometry = setup.geometry(workload.file());
        let sees = strategy.ahead.as_ref().map(|ahead| ahead.sees);
        let is_in_memory = setup.kernel.file_kind != FileKind::Disk;
        let is_paged = World::pages_by_hand(sees);
        let setup = &if is_paged { filled_by_hand(setup) } else { *setup };
        let mut kernel = setup.kernel;
        kernel.file_pages = geometry.pages;
        let mut kernel = Kernel::new(kernel);
        if is_paged {
            kernel.register(Userfault::Missing);
        }
        let ledger = Ledger::new(geometry.pages);
        let has_cache = matches!(setup.kernel.file_kind, FileKind::Disk | FileKind::Tmpfs);
        if setup.cache == CacheState::Warm && has_cache && geometry.pages.0 > 0 {
            kernel.warm(ledger.all(), setup.order_when_warm());
        }
        let guard = (sees == Some(Sees::Trips)).then(|| Guard::new(geometry.pages));
        let follow = |ahead| Follow::new(ahead, geometry, setup.costs.look_period);
        let may_be_huge = match setup.kernel.file_kind {
            FileKind::Dax(extents) => extents == DaxExtents::Huge,
            _ => is_paged || setup.kernel.folio_order_max >= ORDER_MAX,
        };
        World {
            costs: setup.costs,
            kernel,
            device: Device::new(setup.device, setup.seed),
            cores: Cores::new(setup.cores),
            events: Events::default(),
            lock: Lock::default(),
            ledger,
            counts: Counts::default(),
            follow: strategy.ahead.as_ref().filter(|_| !is_paged).map(follow),
            mail: Mail::default(),
            is_paged,
            is_in_memory,
            guard,
            idle: Vec::new(),
            mapping: Vec::new(),
            file_len: workload.file().0,
            is_limited: setup.kernel.memory_max.is_some(),
            may_be_huge,
            blocks: Blocks::default(),
            is_cold: false,
            waits_since: None,
            unopened: Vec::new(),
            entry: setup.fault_entry,
            has_cache,
            is_read: setup.kernel.file_kind == FileKind::Disk && setup.cache == CacheState::Cold,
            foreseen: 0,
            around: setup.around(),
            waiting: Vec::new(),
            arriving: None,
            watch,
        }
    }

    /// How far a thread that has its core since `since` may run on before something else happens.
    #[inline]
    pub(crate) fn horizon(&self, since: Nanos) -> Nanos {
        self.events.next_at().min(self.cores.limit(since))
    }

    /// Whether a plan has begun to bring `page`, and it is not there yet.
    pub(crate) fn is_on_its_way(&self, page: PageIndex) -> bool {
        self.ledger.is_fetched(page)
            && (self.mapping.iter().any(|range| range.contains(page))
                || self.kernel.flight_of(page).is_some())
    }

    /// When the oracle has `page` at hand: as early as the bare device could bring it.
    pub(crate) fn foreseen(&mut self, page: PageIndex) -> Nanos {
        if !self.is_read || self.ledger.is_touched(page) {
            return Nanos(0);
        }
        self.foreseen += 1;
        let device = self.device.model();
        let len = PageSize::FOUR_KIB.len_of(PageCount(self.foreseen));
        Nanos(device.latency_ns.0.saturating_add(device.transfer(len).0))
    }

    /// Requests and bytes of the device; the oracle asks for each page once.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        let (ios, bytes) = self.device.traffic();
        (ios + self.foreseen, bytes + self.foreseen * PageSize::FOUR_KIB.bytes())
    }

    /// The file is open: readers that waited for that begin.
    pub(crate) fn opened(&mut self, at: Nanos) {
        for thread in self.unopened.drain(..) {
            self.events.push(at, Event::Ready(thread));
        }
    }

    /// Hands to the device what the kernel wants read; `clock` pays for handing it over.
    pub(crate) fn submit(&mut self, clock: &mut Clock) {
        for io in self.kernel.take_ios() {
            let len = PageSize::FOUR_KIB.len_of(io.range.count());
            let requests = self.device.model().requests(len);
            clock.spend(Kind::PageCache, Nanos(self.costs.io_submit.0 * requests));
            let done = self.device.read(clock.now(), len, u64::from(io.folios));
            self.events.push(done, Event::Arrived(io));
        }
    }

    /// `thread` sleeps until `io` arrives.
    pub(crate) fn wait_for(&mut self, io: &Io, thread: ThreadId) {
        self.waiting.push((io.range.start, thread));
    }

    /// The device has brought `io`: who waited for it can go on, when they are told.
    pub(crate) fn arrived(&mut self, io: &Io, at: Nanos) {
        let told = self.device.told_at(at);
        if told > at {
            return self.events.push(told, Event::Arrived(*io));
        }
        self.kernel.arrived(io);
        let events = &mut self.events;
        self.waiting.retain(|(start, thread)| {
            let is_here = io.range.contains(*start);
            if is_here {
                events.push(at, Event::Ready(*thread));
            }
            !is_here
        });
        let looked_out_for = self.arriving.filter(|(range, _)| io.range.contains(range.start));
        if let Some((range, begun)) = looked_out_for {
            self.arriving = None;
            self.tell(&Told::Arrived { range, took: at.since(begun) }, at);
        }
    }

    /// Looks out for the end of this read, unless one is looked out for already.
    pub(crate) fn look_out_for(&mut self, range: PageRange, begun: Nanos) {
        self.arriving.get_or_insert((range, begun));
    }

    /// Takes the lock to share it: what that takes is spent.
    pub(crate) fn share_lock(&mut self, thread: ThreadId, clock: &mut Clock) {
        let taken = self.lock.share(thread, clock.now());
        self.pay_lock(taken, clock);
    }

    /// Takes the lock alone.
    pub(crate) fn take_lock(&mut self, thread: ThreadId, clock: &mut Clock) {
        let taken = self.lock.alone(thread, clock.now());
        self.pay_lock(taken, clock);
    }

    fn pay_lock(&self, taken: Taken, clock: &mut Clock) {
        let bounce = if taken.is_bounced { self.costs.lock_bounce.0 } else { 0 };
        clock.spend(Kind::LockWait, Nanos(taken.wait.0 + bounce));
    }

    /// A reader's fault has mapped `page` and what is around it: whoever is there to see it may.
    pub(crate) fn faulted(&mut self, page: PageIndex, kind: FaultKind, now: Nanos) {
        let Some(follow) = &mut self.follow else { return };
        match follow.sees {
            Sees::Faults => {
                follow.tell(&Told::Touch { page, at: now, source: Source::Userfault });
                self.wake_helper(Nanos(now.0 + self.costs.wake_up.0));
            }
            Sees::Trips | Sees::Userfaults => {}
            Sees::Markers => {
                let block = self.touched(page, kind);
                let Some(follow) = &mut self.follow else { return };
                if let Some(due) = follow.observer.fault(page, block, now) {
                    self.events.push(due, Event::Look);
                }
            }
        }
    }

    /// What a look makes of a fault: the block that was mapped. Where the kernel read around the page,
    /// the edges of what it read tell which page it was (the engine's `observe/pinpoint.rs`).
    fn touched(&self, page: PageIndex, kind: FaultKind) -> PageRange {
        let ra_pages = self.kernel.options().ra_pages;
        let is_told = kind == FaultKind::Major && ra_pages.0 >= 4 && page.0 >= ra_pages.0 / 2;
        if is_told && self.kernel.options().file_kind == FileKind::Disk {
            return PageRange::at(page, PageCount(1));
        }
        let folio = self.kernel.folio_order(page).unwrap_or(0);
        let folio = PageCount(1 << folio.min(9));
        block_of(page, self.around.max(folio)).intersect(self.ledger.all())
    }

    /// The observer looks: what appeared since its last look is the readers' doing.
    pub(crate) fn look(&mut self, at: Nanos) {
        // Who looks is who fetches: it looks again as soon as its call has returned.
        if !self.idle.is_empty() {
            self.look_now(at);
        }
    }

    /// The observer looks, if there is anything that it does not know.
    pub(crate) fn look_now(&mut self, at: Nanos) {
        self.hear_of_trips(at);
        let Some(follow) = self.follow.as_mut().filter(|follow| follow.observer.has_seen()) else {
            return;
        };
        let kernel = &self.kernel;
        let seen = follow.observer.look(at, |range, out| out.extend(kernel.mapped_runs(range)));
        self.counts.looks += 1;
        if !seen.is_empty() {
            self.tell(&Told::Touched { pages: &seen, at }, at);
        }
    }

    /// Tells the policy; a helper that sleeps begins at once with what it plans.
    pub(crate) fn tell(&mut self, event: &Told<'_>, at: Nanos) {
        let Some(follow) = &mut self.follow else { return };
        follow.tell(event);
        self.wake_helper(at);
    }

    /// A call of a helper has returned.
    pub(crate) fn returned(&mut self, done: Done, at: Nanos) {
        let Some(follow) = &mut self.follow else { return };
        follow.returned(done);
        self.wake_helper(at);
    }

    pub(super) fn wake_helper(&mut self, at: Nanos) {
        let Some(follow) = &self.follow else { return };
        if follow.carrier == Carrier::Helper
            && !follow.work.is_empty()
            && let Some(helper) = self.idle.pop()
        {
            self.events.push(at, Event::Ready(helper));
        }
    }
}

/// The machine with memory of the process's own in place of the mapping.
fn filled_by_hand(setup: &Setup) -> Setup {
    let fault_around = setup.kernel.fault_around;
    let kernel = KernelOptions::anonymous(setup.kernel.profile, PageCount(0));
    Setup { kernel: KernelOptions { fault_around, ..kernel }, ..*setup }
}
