//! The thread of the engine that reads runs ahead by the kernel's own read-ahead: it reads a byte of the
//! flagged page, without waiting, and so has window after window started. The engine's `fetch/chain`, whose
//! constants these are; it cannot be linked, since it makes calls.

use std::collections::VecDeque;

use mmap_ahead::page::{Nanos, PageCount, PageIndex, PageRange};

use super::Pause;
use super::breakdown::{Clock, Kind};
use super::events::{Event, ThreadId};
use super::price;
use super::world::World;
use crate::kernel::{FileAdvice, FileId, FileKind, ReadEnd};

/// Shorter files are not opened for it: 16 MiB.
const PAGES_MIN: PageCount = PageCount(4096);
/// A range that begins no further from where a walk is belongs to it: 32 MiB.
const NEAR: u64 = 8192;
/// Open files; the one that was quiet longest makes room.
const WALKS_MAX: usize = 32;
/// Ranges that may wait; more are refused.
const JOBS_MAX: usize = 64;
/// What is skipped in one go where it is in memory already: 64 KiB.
const CACHED_STEP: PageCount = PageCount(16);
/// How many pages are read alone before a window is.
const BEGIN_PAGES: u64 = 4;

/// What the thread has to do, and where it is when it has nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Driven {
    jobs: VecDeque<PageRange>,
    /// The thread, while it sleeps.
    idle: Option<ThreadId>,
    /// The kernel does not read ahead as the thread would have it: nothing more is given to it.
    is_broken: bool,
}

/// The thread.
pub(crate) struct Driver {
    pub(crate) id: ThreadId,
    pub(crate) clock: Clock,
    /// Since when it has its core.
    pub(crate) since: Nanos,
    walks: Vec<Walk>,
    doing: Option<(PageRange, Walk)>,
}

/// An open file, and how far it was read ahead.
#[derive(Clone, Copy, Debug)]
struct Walk {
    file: FileId,
    /// Where the flagged page lies, as far as the kernel's rules tell.
    flag: PageIndex,
    /// Up to where reading was started.
    end: PageIndex,
}

impl World<'_> {
    /// Gives `range`, part of a run, to the thread. Whether it takes it.
    pub(super) fn hand_over(&mut self, range: PageRange, at: Nanos) -> bool {
        let kernel = self.kernel.options();
        let can_be = kernel.file_kind == FileKind::Disk
            && kernel.ra_pages.0 > 0
            && kernel.file_pages >= PAGES_MIN;
        let driven = &mut self.driven;
        if !can_be || driven.is_broken || driven.jobs.len() == JOBS_MAX {
            return false;
        }
        driven.jobs.push_back(range);
        if let Some(driver) = driven.idle.take() {
            self.events.push(Nanos(at.0 + self.costs.wake_up.0), Event::Ready(driver));
        }
        true
    }
}

impl Driver {
    /// The thread, asleep until there is something to do in `world`.
    pub(crate) fn new(id: ThreadId, world: &mut World<'_>) -> Driver {
        world.driven.idle = Some(id);
        Driver { id, clock: Clock::default(), since: Nanos(0), walks: Vec::new(), doing: None }
    }

    pub(crate) fn advance(&mut self, world: &mut World<'_>) -> Pause {
        loop {
            if self.clock.now() > world.horizon(self.since) {
                return Pause::Until(self.clock.now());
            }
            if let Some((range, walk)) = self.doing.take() {
                self.go_on(range, walk, world);
                continue;
            }
            let Some(range) = world.driven.jobs.pop_front() else {
                world.driven.idle = Some(self.id);
                return Pause::Blocked;
            };
            self.begin(range, world);
        }
    }

    /// Takes up `range`, with the walk that is nearest to it.
    fn begin(&mut self, range: PageRange, world: &mut World<'_>) {
        let distance = |walk: &Walk| walk.end.0.abs_diff(range.start.0);
        let near = self.walks.iter().enumerate().filter(|(_, walk)| distance(walk) <= NEAR);
        let nearest = near.min_by_key(|(_, walk)| distance(walk)).map(|(at, _)| at);
        let mut walk = match nearest {
            Some(at) => self.walks.remove(at),
            None => self.open(world),
        };
        let all = range.intersect(world.ledger.all());
        let is_elsewhere = range.start > walk.end
            || (all.end <= walk.end && self.cached(all, world) < all.count());
        if is_elsewhere {
            self.start(&mut walk, range.start, world);
        }
        self.doing = Some((all, walk));
    }

    fn open(&mut self, world: &mut World<'_>) -> Walk {
        let file = world.kernel.open();
        world.kernel.advise_file(file, FileAdvice::Sequential);
        // open, fstat, posix_fadvise.
        (0..3).for_each(|_| self.clock.pay(&price::call(&world.costs, Nanos(0))));
        Walk { file, flag: PageIndex(0), end: PageIndex(0) }
    }

    /// Reads the flagged page, so that the next window is started; where none is, begins anew.
    fn go_on(&mut self, range: PageRange, mut walk: Walk, world: &mut World<'_>) {
        if walk.end >= range.end || world.driven.is_broken {
            if self.walks.len() == WALKS_MAX {
                self.walks.remove(0);
            }
            return self.walks.push(walk);
        }
        self.poke(walk.file, walk.flag, world);
        let started = self.cached(PageRange::at(walk.end, window(world)), world);
        if started.0 > 0 {
            walk.flag = walk.end;
            walk.end = walk.end.plus(started);
        } else {
            let from = walk.end;
            self.start(&mut walk, from, world);
        }
        self.doing = Some((range, walk));
    }

    /// Starts the first window from `at` on, or from where it is not cached: page by page, until the kernel
    /// sees a run in what is cached before.
    fn start(&mut self, walk: &mut Walk, at: PageIndex, world: &mut World<'_>) {
        let last = world.ledger.all().end;
        let mut at = at;
        while at < last {
            let cached = self.cached(PageRange::at(at, CACHED_STEP), world);
            at = at.plus(cached);
            if cached < CACHED_STEP {
                break;
            }
        }
        walk.end = at.min(last);
        for page in (at.0..last.0).take(BEGIN_PAGES as usize).map(PageIndex) {
            self.poke(walk.file, page, world);
            let started = self.cached(PageRange::at(page, window(world)), world);
            if started.0 == 0 {
                break;
            }
            walk.end = page.plus(started);
            // What follows what is asked for at the start of a file is flagged, else the last page.
            walk.flag = if page.0 == 0 { PageIndex(1) } else { PageIndex(walk.end.0 - 1) };
            if started.0 > 1 {
                return;
            }
        }
        world.driven.is_broken |= walk.end < last;
    }

    /// preadv2(RWF_NOWAIT) of a byte of `page`.
    fn poke(&mut self, file: FileId, page: PageIndex, world: &mut World<'_>) {
        self.clock.pay(&price::call(&world.costs, Nanos(0)));
        let byte = page.0 * 4096;
        let mut reading = world.kernel.read(file, byte..byte + 1);
        loop {
            let step = world.kernel.read_on(&mut reading);
            self.clock.pay(&price::read(&world.costs, &step.work));
            world.submit(&mut self.clock);
            if !matches!(step.end, ReadEnd::Copied(_)) {
                return;
            }
        }
    }

    /// cachestat(2): how many pages of `range` are cached, arrived or not.
    fn cached(&mut self, range: PageRange, world: &World<'_>) -> PageCount {
        self.clock.pay(&price::call(&world.costs, Nanos(0)));
        self.clock.spend(Kind::Calls, Nanos(1));
        let range = range.intersect(world.ledger.all());
        let is_cached = |page: &u64| world.kernel.folio_order(PageIndex(*page)).is_some();
        PageCount((range.start.0..range.end.0).filter(is_cached).count() as u64)
    }
}

/// What the kernel reads at once through such a file: twice the disk's read-ahead.
fn window(world: &World<'_>) -> PageCount {
    PageCount(2 * world.kernel.options().ra_pages.0)
}
