//! The one run loop: whatever happens next, happens; then what comes after it.

mod block_reader;
mod breakdown;
mod cores;
mod events;
mod fetcher;
mod follow;
mod guard;
mod helper;
mod lanes;
mod ledger;
mod lock;
mod opening;
mod paged;
mod plans;
mod price;
mod reader;
mod report;
mod setup;
mod tlb;
mod world;

use mmap_ahead::page::{Nanos, PageCount, PageIndex, PageRange};

use block_reader::{BlockReader, THREADS};
use breakdown::Clock;
pub use breakdown::{Breakdown, Kind};
pub use report::{Counts, Report};
pub use setup::{CacheState, Setup};

use crate::Error;
use crate::strategy::{Method, Strategy};
use crate::workload::Workload;
use events::{Event, ThreadId};
use helper::Helper;
use lanes::Lanes;
use opening::{Mappings, Opening};
use paged::Service;
use reader::{Doing, Reader};
use world::World;

/// One call of a helper, as it was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When the call began.
    pub at: Nanos,
    /// What it fetches: the plan, clipped to the file and to the budget, without the marker.
    pub fetched: Vec<PageRange>,
    /// For a window: its pages after clipping, the marker's among them.
    pub window: Option<PageRange>,
    /// The pages beyond the furthest touch that plans have fetched by then, this call's among them.
    pub ahead: PageCount,
    /// The page after the furthest touch.
    pub passed: PageIndex,
}

/// Who is shown every call of the helpers.
type Watch<'a> = dyn FnMut(&Step) + 'a;

/// Reads `workload` with `strategy` on the machine of `setup`.
///
/// # Errors
/// [`Error::Setup`] when that machine cannot exist or the workload leaves its file, and what the
/// workload's items say.
pub fn run(workload: &Workload, strategy: &Strategy, setup: &Setup) -> Result<Report, Error> {
    run_watched(workload, strategy, setup, &mut |_| {})
}

/// [`run`], and `watch` sees every call of the helpers.
///
/// # Errors
/// As [`run`].
pub fn run_watched<'a>(
    workload: &Workload,
    strategy: &Strategy,
    setup: &Setup,
    watch: &'a mut (dyn FnMut(&Step) + 'a),
) -> Result<Report, Error> {
    setup.check()?;
    let mut run = Run::new(workload, strategy, setup, watch)?;
    run.until_all_have_read()?;
    let clocks = run
        .helpers
        .iter()
        .map(|helper| &helper.clock)
        .chain(run.block_readers.iter().map(|reader| &reader.clock))
        .chain(run.service.as_ref().map(|service| &service.clock));
    let cpu = clocks.map(Clock::worked).map(|worked| worked.0).sum();
    let Run { readers, world, .. } = run;
    Ok(Report::of(workload, strategy, setup, &world, &readers, Nanos(cpu)))
}

/// Why a thread stops for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// Something else happens first; it goes on at this moment.
    Until(Nanos),
    /// It sleeps until it is woken.
    Blocked,
    /// It has nothing left to do.
    Ended,
}

struct Run<'a> {
    lanes: Lanes,
    readers: Vec<Reader>,
    helpers: Vec<Helper>,
    /// Where the engine is modelled.
    block_readers: Vec<BlockReader>,
    /// Where a thread fills memory.
    service: Option<Service>,
    mappings: Mappings,
    world: World<'a>,
}

impl<'a> Run<'a> {
    fn new(
        workload: &Workload,
        strategy: &Strategy,
        setup: &Setup,
        watch: &'a mut Watch<'a>,
    ) -> Result<Run<'a>, Error> {
        let mut lanes = Lanes::new(workload.items(setup.seed)?, workload.threads());
        let mut world = World::new(workload, strategy, setup, watch);
        // Who maps its own files does not map the whole one.
        let opens = !lanes.begins_with_map()?;
        let count = workload.threads() as usize;
        let readers = (0..count).map(|id| {
            let opening = Doing::Opening(Opening::of(world.ledger.all()));
            let doing = if opens && id == 0 { opening } else { Doing::Next };
            Reader::new(id, strategy, doing)
        });
        let mut readers: Vec<Reader> = readers.collect();
        if strategy.method == Method::Read {
            readers.iter_mut().for_each(|reader| reader.set_file(world.kernel.open()));
        }
        for id in 0..count {
            if opens && id > 0 {
                world.unopened.push(id);
            } else {
                world.events.push(Nanos(0), Event::Ready(id));
            }
        }
        let paged = strategy.ahead.as_ref().filter(|ahead| World::pages_by_hand(Some(ahead.sees)));
        let helpers = match (&strategy.ahead, paged) {
            (Some(_), None) => setup.helpers,
            _ => 0,
        };
        let helpers: Vec<Helper> = (count..count + helpers).map(Helper::new).collect();
        world.idle = helpers.iter().rev().map(|helper| helper.id).collect();
        let mappings = Mappings::new(strategy, count + helpers.len());
        let id = count + helpers.len();
        let block_readers = if world.is_engine() { THREADS } else { 0 };
        let ids = id..id + block_readers;
        let block_readers = ids.map(|id| BlockReader::new(id, &mut world)).collect();
        let service = paged.map(|ahead| {
            let geometry = setup.geometry(workload.file());
            Service::new(id, &ahead.policy, geometry, setup.kernel.memory_max, &mut world)
        });
        Ok(Run { lanes, readers, helpers, block_readers, service, mappings, world })
    }

    fn until_all_have_read(&mut self) -> Result<(), Error> {
        let mut reading = self.readers.len();
        while reading > 0 {
            let Some((at, event)) = self.world.events.pop() else {
                return Err(Error::Setup { what: "a reader waits for something that never comes" });
            };
            match event {
                Event::Arrived(io) => self.world.arrived(&io, at),
                Event::Landed(number) => self.world.landed(number, at),
                Event::Look => self.world.look(at),
                Event::Release => self.release(at),
                Event::Ready(thread) => {
                    if self.world.cores.take(thread, at) {
                        self.wakes(thread, at, at);
                        reading -= usize::from(self.goes_on(thread)?);
                    }
                }
                Event::Run(thread) => reading -= usize::from(self.goes_on(thread)?),
            }
        }
        Ok(())
    }

    /// A core is free: who waits for one has it.
    fn release(&mut self, at: Nanos) {
        if let Some((thread, ready)) = self.world.cores.release() {
            self.wakes(thread, ready, at);
            self.world.events.push(at, Event::Run(thread));
        }
    }

    /// `thread`, ready since `ready`, has its core from `at` on.
    fn wakes(&mut self, thread: ThreadId, ready: Nanos, at: Nanos) {
        let (clock, since, reason) = match thread.checked_sub(self.readers.len()) {
            None => {
                let reader = &mut self.readers[thread];
                (&mut reader.clock, &mut reader.since, reader.stalled_by)
            }
            Some(other) => match self.helpers.get_mut(other) {
                Some(helper) => (&mut helper.clock, &mut helper.since, helper.stalled_by),
                None => match &mut self.service {
                    Some(service) => (&mut service.clock, &mut service.since, Kind::IoStall),
                    None => {
                        let reader = &mut self.block_readers[other - self.helpers.len()];
                        (&mut reader.clock, &mut reader.since, Kind::IoStall)
                    }
                },
            },
        };
        clock.wait_until(ready, reason);
        clock.wait_until(at, Kind::CoreWait);
        *since = at.max(clock.now());
    }

    /// Lets `thread`, which has a core, go on; whether it is a reader that ended.
    fn goes_on(&mut self, thread: ThreadId) -> Result<bool, Error> {
        let Run { lanes, readers, helpers, block_readers, service, mappings, world } = self;
        let (pause, now, since) = match thread.checked_sub(readers.len()) {
            None => {
                let reader = &mut readers[thread];
                let mut next = || lanes.next(thread as u32);
                let pause = reader.advance(world, mappings, &mut next)?;
                (pause, reader.clock.now(), reader.since)
            }
            Some(other) if other < helpers.len() => {
                let helper = &mut helpers[other];
                let pause = helper.advance(world);
                (pause, helper.clock.now(), helper.since)
            }
            Some(other) => match service {
                Some(service) => {
                    let pause = service.advance(world);
                    (pause, service.clock.now(), service.since)
                }
                None => {
                    let reader = &mut block_readers[other - helpers.len()];
                    let pause = reader.advance(world);
                    (pause, reader.clock.now(), reader.since)
                }
            },
        };
        match pause {
            Pause::Until(at) if world.cores.is_over(since, at) => {
                world.events.push(at, Event::Release);
                world.events.push(at, Event::Ready(thread));
            }
            Pause::Until(at) => world.events.push(at, Event::Run(thread)),
            Pause::Blocked | Pause::Ended => world.events.push(now, Event::Release),
        }
        Ok(pause == Pause::Ended)
    }
}
