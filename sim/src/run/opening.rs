//! Mapping and unmapping: mmap with what the strategy asks for, munmap, and what is kept of it.

use std::collections::VecDeque;

use mmap_ahead::page::{Nanos, PageCount, PageRange, PageSize};
use mmap_ahead::policy::Window;

use super::breakdown::Clock;
use super::events::ThreadId;
use super::follow::Work;
use super::price;
use super::world::World;
use crate::kernel::{Advice, Populate, PopulateEnd, Populating};
use crate::strategy::{Method, Strategy};

/// An open, and its mmap, under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    range: PageRange,
    populating: Option<Populating>,
    has_begun: bool,
}

impl Opening {
    pub(crate) fn of(range: PageRange) -> Opening {
        Opening { range, populating: None, has_begun: false }
    }
}

/// What the strategy wants of every mapping, and the mappings that are kept after munmap.
#[derive(Clone, Debug)]
pub(crate) struct Mappings {
    method: Method,
    populate: bool,
    advice: Option<Advice>,
    maps_all: bool,
    keeps: Option<PageCount>,
    /// The longest unused first.
    kept: VecDeque<PageRange>,
    kept_pages: PageCount,
    /// Whether other cores may have translations of what is unmapped.
    is_shared: bool,
}

impl Mappings {
    pub(crate) fn new(strategy: &Strategy, threads: usize) -> Mappings {
        let keeps = strategy.keeps.map(|keeps| PageSize::FOUR_KIB.whole_pages_in(keeps));
        Mappings {
            method: strategy.method,
            populate: strategy.populate,
            advice: strategy.advice,
            maps_all: strategy.maps_all,
            keeps,
            kept: VecDeque::new(),
            kept_pages: PageCount(0),
            is_shared: threads > 1,
        }
    }

    /// Goes on with an open until it has to wait, or is done, or one more fault was handled.
    pub(crate) fn map_on(
        &mut self,
        opening: &mut Opening,
        world: &mut World<'_>,
        thread: ThreadId,
        clock: &mut Clock,
    ) -> PopulateEnd {
        if !opening.has_begun {
            opening.has_begun = true;
            opening.populating = self.begin(opening.range, world, thread, clock);
        }
        let Some(populating) = &mut opening.populating else { return PopulateEnd::Done };
        let step = world.kernel.populate_on(populating);
        clock.pay(&price::populate(&world.costs, &step.work));
        world.counts.add(&step.work);
        world.submit(clock);
        world.lock.shared_until(clock.now());
        step.end
    }

    fn begin(
        &mut self,
        range: PageRange,
        world: &mut World<'_>,
        thread: ThreadId,
        clock: &mut Clock,
    ) -> Option<Populating> {
        if self.method == Method::Oracle {
            return None;
        }
        world.counts.mode_switches += 1;
        if self.method == Method::Read {
            clock.pay(&price::call(&world.costs, Nanos(0)));
            return None;
        }
        world.take_lock(thread, clock);
        clock.pay(&price::call(&world.costs, world.costs.map_call));
        world.lock.alone_until(clock.now());
        if let Some(at) = self.kept.iter().position(|kept| *kept == range) {
            self.kept.remove(at);
            self.kept_pages.0 -= range.count().0;
            return None;
        }
        world.guard(range, thread, clock);
        if let Some(advice) = self.advice {
            world.counts.mode_switches += 1;
            clock.pay(&price::call(&world.costs, Nanos(0)));
            world.kernel.advise(range, advice);
        }
        if self.maps_all {
            world.counts.mode_switches += 1;
            clock.pay(&price::call(&world.costs, Nanos(0)));
            world.plan(Work::Map(Window { range, trigger: None }), clock.now());
        }
        self.populate.then(|| world.kernel.populate(range, Populate::Map))
    }

    /// munmap and close.
    pub(crate) fn unmap(
        &mut self,
        range: PageRange,
        world: &mut World<'_>,
        thread: ThreadId,
        clock: &mut Clock,
    ) {
        if self.method == Method::Oracle {
            return;
        }
        world.counts.mode_switches += 1;
        if self.method == Method::Read {
            clock.pay(&price::call(&world.costs, Nanos(0)));
            return;
        }
        world.take_lock(thread, clock);
        clock.pay(&price::call(&world.costs, world.costs.map_call));
        world.unmapped(range);
        match self.keeps {
            None => self.zap(range, world, clock),
            Some(limit) => {
                self.kept.push_back(range);
                self.kept_pages.0 += range.count().0;
                while self.kept_pages > limit {
                    let Some(oldest) = self.kept.pop_front() else { break };
                    self.kept_pages.0 -= oldest.count().0;
                    self.zap(oldest, world, clock);
                }
            }
        }
        world.lock.alone_until(clock.now());
    }

    fn zap(&self, range: PageRange, world: &mut World<'_>, clock: &mut Clock) {
        let work = world.kernel.unmap(range);
        clock.pay(&price::unmap(&world.costs, &work));
        if self.is_shared && work.zapped > 0 {
            clock.spend(super::breakdown::Kind::Calls, world.costs.ipi);
        }
    }
}
