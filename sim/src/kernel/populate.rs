//! Putting pages into the page table by name (KERNEL.md 6).

use mmap_ahead::page::{PageCount, PageIndex, PageRange};

use super::{
    Access, Entry, Fault, FaultEnd, FaultKind, Io, Kernel, Protection, Sharing, Signal, Waiting,
    Work,
};

/// How pages are put into the page table by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Populate {
    /// MAP_POPULATE: an error ends it silently, no fault counts as major.
    Map,
    /// MADV_POPULATE_READ.
    Read,
    /// MADV_POPULATE_WRITE.
    Write,
}

/// A populate under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Populating {
    next: u64,
    end: u64,
    how: Populate,
    access: Access,
    waiting: Option<Waiting>,
}

/// How far populating came in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a populate that waits has to go on"]
pub struct PopulateStep {
    /// Where it stands.
    pub end: PopulateEnd,
    /// What was done in this go.
    pub work: Work,
}

/// Where populating stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PopulateEnd {
    /// One more fault was handled.
    Faulted(FaultKind),
    /// It sleeps until this arrives.
    Waits(Io),
    /// The kernel refuses the page it came to: MADV_POPULATE returns an error.
    Failed(Signal),
    /// All of it is there.
    Done,
}

impl Populating {
    /// How many pages are still to be walked over.
    #[must_use]
    pub fn left(&self) -> PageCount {
        PageCount(self.end.saturating_sub(self.next))
    }
}

impl Kernel {
    /// Begins to put every page of `range` into the page table; [`Kernel::populate_on`] carries it
    /// out, page by page, as one thread that touched them in order would.
    ///
    /// MAP_POPULATE of a private writable mapping stores to each page, so that all are copied.
    #[must_use]
    pub fn populate(&self, range: PageRange, how: Populate) -> Populating {
        let is_copied = self.options.sharing == Sharing::Private
            && self.options.protection == Protection::ReadWrite;
        let access = match how {
            Populate::Write => Access::Store,
            Populate::Map if is_copied => Access::Store,
            _ => Access::Load,
        };
        Populating { next: range.start.0, end: range.end.0, how, access, waiting: None }
    }

    /// Goes on with populating: until one more fault was handled, or it has to wait, or it is done.
    /// After a wait it may be asked again as soon as that read has [arrived](Kernel::arrived).
    pub fn populate_on(&mut self, populating: &mut Populating) -> PopulateStep {
        let Some(fault) = self.next_fault(populating) else {
            return PopulateStep { end: PopulateEnd::Done, work: self.take_work() };
        };
        let end = match fault.end {
            FaultEnd::Mapped(kind) => PopulateEnd::Faulted(kind),
            FaultEnd::Waits(io, waiting) => {
                populating.waiting = Some(waiting);
                PopulateEnd::Waits(io)
            }
            FaultEnd::Failed(_) if populating.how == Populate::Map => {
                populating.next = populating.end;
                PopulateEnd::Done
            }
            FaultEnd::Failed(signal) => PopulateEnd::Failed(signal),
        };
        PopulateStep { end, work: fault.work }
    }

    fn next_fault(&mut self, populating: &mut Populating) -> Option<Fault> {
        if let Some(waiting) = populating.waiting.take() {
            return Some(self.resume(waiting));
        }
        let there = match populating.access {
            Access::Load => self.mapping.mapped.ones_from(populating.next),
            Access::Store => self.mapping.writable.ones_from(populating.next),
        };
        let there = there.min(populating.left().0);
        populating.next += there;
        self.work.skipped += there;
        let entry = match populating.how {
            Populate::Map => Entry::MapPopulate,
            Populate::Read | Populate::Write => Entry::Locked,
        };
        let page = PageIndex(populating.next);
        (populating.left().0 > 0).then(|| self.fault(page, populating.access, entry))
    }
}
