//! A reader: takes its items one after the other, and pays for everything on the way.

mod copy;
mod fault;
mod touch;

use mmap_ahead::page::{Nanos, PageIndex, PageSize};

use super::Pause;
use super::breakdown::{Clock, Kind};
use super::events::ThreadId;
use super::opening::{Mappings, Opening};
use super::price;
use super::tlb::Tlb;
use super::world::World;
use crate::Error;
use crate::kernel::{Access, FileId, PopulateEnd, Populating, Reading, Waiting};
use crate::strategy::{Method, Strategy};
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
    /// The page that it accessed last.
    last: PageIndex,
    /// Pages that it has accessed since its last fault.
    since_fault: u64,
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
    #[inline]
    fn of(touch: &Touch, file_len: u64) -> Result<Bytes, Error> {
        let &Touch { offset, len, think, access, .. } = touch;
        let end = offset.checked_add(len).filter(|end| *end <= file_len && len > 0);
        let beyond = Error::Setup { what: "a touch lies beyond the end of the file" };
        Ok(Bytes { at: offset, end: end.ok_or(beyond)?, think, access })
    }

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
            last: PageIndex(0),
            since_fault: 0,
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
                    // At once, and not by way of `doing`: most items end here.
                    Some(Item::Touch(touch)) if self.method == Method::Mapped => {
                        self.touch(world, Bytes::of(&touch, world.file_len)?)?
                    }
                    Some(item) => {
                        self.begin(item, world, mappings)?;
                        None
                    }
                },
                Doing::Touching(bytes) if self.method == Method::Oracle => {
                    self.foresee(world, bytes)
                }
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
        let bytes = Bytes::of(&touch, world.file_len)?;
        let len = bytes.end - bytes.at;
        self.doing = match self.method {
            Method::Read => {
                self.clock.pay(&price::call(&world.costs, Nanos(0)));
                world.counts.mode_switches += 1;
                if !world.has_cache {
                    // DAX: straight from the medium.
                    self.clock.spend(Kind::Copy, copy::copying(&world.costs, len));
                    self.read_copied(world, bytes);
                    return Ok(());
                }
                Doing::Copying(bytes, world.kernel.read(self.file, bytes.at..bytes.end))
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
