//! A reader: takes its items one after the other, and pays for everything on the way.

use mmap_ahead::page::{Nanos, PageIndex, PageRange, PageSize};

use super::breakdown::{Clock, Kind};
use super::events::{Event, ThreadId};
use super::follow::Work;
use super::opening::{Mappings, Opening};
use super::price;
use super::tlb::Tlb;
use super::world::World;
use super::Pause;
use crate::Error;
use crate::costs::Costs;
use crate::kernel::{
    Access, Fault, FaultEnd, FaultKind, FileId, PopulateEnd, Populate, Populating, ReadEnd,
    Reading, Signal, Waiting,
};
use crate::strategy::{Carrier, Method, Strategy};
use crate::workload::{Item, Touch};

const PAGE: u64 = 4096;

/// A thread that reads.
pub(crate) struct Reader {
    pub(crate) id: ThreadId,
    pub(crate) clock: Clock,
    /// Since when it has its core.
    pub(crate) since: Nanos,
    /// What it sleeps for.
    pub(crate) stalled_by: Kind,
    method: Method,
    doing: Doing,
    tlb: Tlb,
    file: FileId,
    /// The page that it is about to access was just faulted in.
    is_disturbed: bool,
    /// Since when it waits for a page that is late.
    late_since: Option<Nanos>,
}

/// What a reader is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doing {
    Opening(Opening),
    Next,
    Touching(Bytes),
    Faulting(Bytes, Waiting),
    /// Inside a fault, mapping what a plan says.
    Carrying(Bytes, Populating),
    Copying(Bytes, Reading),
    Ended,
}

/// Bytes yet to be touched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes {
    at: u64,
    end: u64,
    think: Nanos,
    access: Access,
}

impl Bytes {
    fn page(&self) -> PageIndex {
        PageSize::FOUR_KIB.index_of(self.at)
    }
}

impl Reader {
    pub(crate) fn new(id: ThreadId, strategy: &Strategy, doing: Doing) -> Reader {
        Reader {
            id,
            clock: Clock::default(),
            since: Nanos(0),
            stalled_by: Kind::LockWait,
            method: strategy.method,
            doing,
            tlb: Tlb::new(),
            file: FileId::MAPPED,
            is_disturbed: false,
            late_since: None,
        }
    }

    pub(crate) fn set_file(&mut self, file: FileId) {
        self.file = file;
    }

    /// Goes on until it has to stop, or something else happens first.
    pub(crate) fn advance(
        &mut self,
        world: &mut World<'_>,
        mappings: &mut Mappings,
        next: &mut dyn FnMut() -> Result<Option<Item>, Error>,
    ) -> Result<Pause, Error> {
        loop {
            let pause = match self.doing {
                Doing::Next => match next()? {
                    None => Some(self.ended()),
                    Some(item) => {
                        self.begin(item, world, mappings)?;
                        None
                    }
                },
                Doing::Touching(bytes) if self.method == Method::Oracle => self.foresee(world, bytes),
                Doing::Touching(bytes) => self.touch(world, bytes)?,
                Doing::Faulting(bytes, waiting) => {
                    let fault = world.kernel.resume(waiting);
                    self.went(world, bytes, fault)?
                }
                Doing::Carrying(bytes, populating) => self.carry(world, bytes, populating),
                Doing::Copying(bytes, reading) => self.copy(world, bytes, reading),
                Doing::Opening(opening) => self.open(world, mappings, opening),
                Doing::Ended => Some(Pause::Ended),
            };
            if let Some(pause) = pause {
                return Ok(pause);
            }
        }
    }

    fn ended(&mut self) -> Pause {
        self.doing = Doing::Ended;
        Pause::Ended
    }

    fn begin(
        &mut self,
        item: Item,
        world: &mut World<'_>,
        mappings: &mut Mappings,
    ) -> Result<(), Error> {
        match item {
            Item::Touch(touch) => self.begin_touch(touch, world)?,
            Item::Map { offset, len, .. } => {
                let range = PageSize::FOUR_KIB.cover(offset..offset + len);
                self.doing = Doing::Opening(Opening::of(range.intersect(world.ledger.all())));
            }
            Item::Unmap { offset, len, .. } => {
                let range = PageSize::FOUR_KIB.cover(offset..offset + len);
                let range = range.intersect(world.ledger.all());
                mappings.unmap(range, world, self.id, &mut self.clock);
                self.tlb.flush();
            }
        }
        Ok(())
    }

    fn begin_touch(&mut self, touch: Touch, world: &mut World<'_>) -> Result<(), Error> {
        let Touch { offset, len, think, access, .. } = touch;
        let end = offset.checked_add(len).filter(|end| *end <= world.file_len && len > 0);
        let Some(end) = end else {
            return Err(Error::Setup { what: "a touch lies beyond the end of the file" });
        };
        let bytes = Bytes { at: offset, end, think, access };
        self.doing = match self.method {
            Method::Read => {
                self.clock.pay(&price::call(&world.costs, Nanos(0)));
                world.counts.mode_switches += 1;
                if !world.has_cache {
                    // DAX: straight from the medium.
                    self.clock.spend(Kind::Copy, copying(&world.costs, len));
                    self.read_copied(world, bytes);
                    return Ok(());
                }
                Doing::Copying(bytes, world.kernel.read(self.file, offset..end))
            }
            Method::Mapped | Method::Oracle => Doing::Touching(bytes),
        };
        Ok(())
    }

    /// Whether something else happens before this moment.
    fn is_due(&self, world: &World<'_>) -> bool {
        self.clock.now() > world.horizon(self.since)
    }

    fn pause(&mut self, doing: Doing) -> Option<Pause> {
        self.doing = doing;
        Some(Pause::Until(self.clock.now()))
    }

    fn wait(&mut self, doing: Doing) -> Option<Pause> {
        self.doing = doing;
        self.stalled_by = Kind::IoStall;
        Some(Pause::Blocked)
    }

    /// Accesses page after page, until one is not mapped.
    fn touch(&mut self, world: &mut World<'_>, mut bytes: Bytes) -> Result<Option<Pause>, Error> {
        let horizon = world.horizon(self.since);
        while bytes.at < bytes.end {
            if self.clock.now() > horizon {
                return Ok(self.pause(Doing::Touching(bytes)));
            }
            let page = bytes.page();
            let is_mapped = match bytes.access {
                Access::Load => world.kernel.is_mapped(page),
                Access::Store => world.kernel.is_writable(page),
            };
            if !is_mapped {
                return self.fault(world, bytes);
            }
            let end = bytes.end.min((page.0 + 1) * PAGE);
            self.access(world, page, end - bytes.at, bytes.access);
            bytes.at = end;
        }
        self.clock.spend(Kind::Think, bytes.think);
        self.doing = Doing::Next;
        Ok(None)
    }

    #[inline]
    fn access(&mut self, world: &mut World<'_>, page: PageIndex, len: u64, access: Access) {
        world.counts.touches += 1;
        world.counts.hits += u64::from(!self.is_disturbed);
        world.ledger.touch(page);
        if world.is_limited {
            world.kernel.touched(PageRange::at(page, mmap_ahead::page::PageCount(1)), access);
        }
        let costs = &world.costs;
        let mut span = access_ns(costs, len);
        let is_huge = world.may_be_huge && world.kernel.is_mapped_huge(page);
        if self.tlb.misses(page, is_huge) {
            span += costs.tlb_miss.0;
        }
        if self.is_disturbed {
            span += costs.access_disturbed.0 * len.min(PAGE) / PAGE;
            self.is_disturbed = false;
        }
        self.clock.spend(Kind::FileAccess, Nanos(span));
    }

    fn fault(&mut self, world: &mut World<'_>, bytes: Bytes) -> Result<Option<Pause>, Error> {
        let page = bytes.page();
        if world.is_on_its_way(page) {
            world.counts.late += 1;
            self.late_since = Some(self.clock.now());
        }
        // Counts from its beginning: while it waits, the budget is measured from here.
        world.ledger.touch(page);
        self.clock.pay(&price::entry(&world.costs));
        world.counts.mode_switches += 1;
        world.share_lock(self.id, &mut self.clock);
        let fault = world.kernel.fault(page, bytes.access, world.entry);
        self.went(world, bytes, fault)
    }

    /// One go at a fault is over.
    fn went(
        &mut self,
        world: &mut World<'_>,
        bytes: Bytes,
        fault: Fault,
    ) -> Result<Option<Pause>, Error> {
        self.clock.pay(&price::fault(&world.costs, &fault.work));
        world.counts.add(&fault.work);
        world.submit(&mut self.clock);
        world.lock.shared_until(self.clock.now());
        match fault.end {
            FaultEnd::Waits(io, waiting) => {
                world.wait_for(&io, self.id);
                Ok(self.wait(Doing::Faulting(bytes, waiting)))
            }
            FaultEnd::Mapped(kind) => {
                match kind {
                    FaultKind::Minor => world.counts.minor_faults += 1,
                    FaultKind::Major => world.counts.major_faults += 1,
                }
                if let Some(since) = self.late_since.take() {
                    world.counts.late_ns += self.clock.now().since(since).0;
                }
                self.is_disturbed = true;
                world.faulted(bytes.page(), self.clock.now());
                self.doing = Doing::Touching(bytes);
                self.carry_next(world, bytes);
                Ok(None)
            }
            FaultEnd::Failed(Signal::Access) => {
                Err(Error::Setup { what: "a store to a mapping that may only be read" })
            }
            FaultEnd::Failed(_) => {
                Err(Error::Setup { what: "a touch that ends in a signal nobody handles" })
            }
        }
    }

    /// Takes up the next part of a plan that is to be carried out inside this fault, if any.
    fn carry_next(&mut self, world: &mut World<'_>, bytes: Bytes) {
        let Some(follow) = world.follow.as_mut().filter(|f| f.carrier == Carrier::Fault) else {
            return;
        };
        self.doing = Doing::Touching(bytes);
        while let Some(work) = follow.work.pop_front() {
            // What is not in memory is not waited for in a fault that does not need it.
            if let Work::Map(window) = work {
                let range = world.clip(window.range, super::world::Want::Mapped);
                world.fetch(range, super::world::Want::Mapped);
                let populating = world.kernel.populate(range, Populate::Map);
                self.doing = Doing::Carrying(bytes, populating);
                return;
            }
        }
    }

    fn carry(
        &mut self,
        world: &mut World<'_>,
        bytes: Bytes,
        mut populating: Populating,
    ) -> Option<Pause> {
        while !self.is_due(world) {
            let step = world.kernel.populate_on(&mut populating);
            self.clock.pay(&price::populate(&world.costs, &step.work));
            world.counts.add(&step.work);
            world.submit(&mut self.clock);
            if !matches!(step.end, PopulateEnd::Faulted(_)) {
                self.carry_next(world, bytes);
                return None;
            }
        }
        self.pause(Doing::Carrying(bytes, populating))
    }

    fn copy(&mut self, world: &mut World<'_>, bytes: Bytes, mut reading: Reading) -> Option<Pause> {
        while !self.is_due(world) {
            let step = world.kernel.read_on(&mut reading);
            self.clock.pay(&price::folios(&world.costs, &step.work));
            world.submit(&mut self.clock);
            match step.end {
                ReadEnd::Copied(count) => {
                    self.clock.spend(Kind::Copy, copying(&world.costs, count));
                }
                ReadEnd::Waits(io) => {
                    world.wait_for(&io, self.id);
                    return self.wait(Doing::Copying(bytes, reading));
                }
                ReadEnd::Done => {
                    self.read_copied(world, bytes);
                    return None;
                }
            }
        }
        self.pause(Doing::Copying(bytes, reading))
    }

    /// All of it is in the buffer: the reader reads it there.
    fn read_copied(&mut self, world: &mut World<'_>, bytes: Bytes) {
        let pages = PageSize::FOUR_KIB.cover(bytes.at..bytes.end);
        (pages.start.0..pages.end.0).for_each(|page| world.ledger.touch(PageIndex(page)));
        world.counts.touches += pages.count().0;
        world.counts.hits += pages.count().0;
        let copied = world.costs.access_copied.0 * (bytes.end - bytes.at) / PAGE;
        self.clock.spend(Kind::FileAccess, Nanos(copied));
        self.clock.spend(Kind::Think, bytes.think);
        self.doing = Doing::Next;
    }

    /// The oracle: every page comes as early as the bare bandwidth allows, and is mapped.
    fn foresee(&mut self, world: &mut World<'_>, mut bytes: Bytes) -> Option<Pause> {
        while bytes.at < bytes.end {
            if self.is_due(world) {
                return self.pause(Doing::Touching(bytes));
            }
            let page = bytes.page();
            let ready = world.foreseen(page);
            world.ledger.touch(page);
            if ready > self.clock.now() {
                world.events.push(ready, Event::Ready(self.id));
                return self.wait(Doing::Touching(bytes));
            }
            let end = bytes.end.min((page.0 + 1) * PAGE);
            world.counts.touches += 1;
            world.counts.hits += 1;
            let access = access_ns(&world.costs, end - bytes.at);
            self.clock.spend(Kind::FileAccess, Nanos(access));
            bytes.at = end;
        }
        self.clock.spend(Kind::Think, bytes.think);
        self.doing = Doing::Next;
        None
    }

    fn open(
        &mut self,
        world: &mut World<'_>,
        mappings: &mut Mappings,
        mut opening: Opening,
    ) -> Option<Pause> {
        loop {
            if self.is_due(world) {
                return self.pause(Doing::Opening(opening));
            }
            match mappings.map_on(&mut opening, world, self.id, &mut self.clock) {
                PopulateEnd::Faulted(_) => {}
                PopulateEnd::Waits(io) => {
                    world.wait_for(&io, self.id);
                    return self.wait(Doing::Opening(opening));
                }
                PopulateEnd::Failed(_) | PopulateEnd::Done => break,
            }
        }
        world.opened(self.clock.now());
        self.doing = Doing::Next;
        None
    }
}

/// Copying `len` bytes, the first of which are in no cache.
fn copying(costs: &Costs, len: u64) -> Nanos {
    costs.copying(len).max(costs.access_line)
}

/// Reading `len` bytes of a mapped page, the TLB apart.
#[inline]
fn access_ns(costs: &Costs, len: u64) -> u64 {
    if len >= PAGE {
        return costs.access_page.0;
    }
    (costs.access_page.0 * len / PAGE).max(costs.access_line.0)
}
