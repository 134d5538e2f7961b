//! The one run loop: a reader walks a trace, and everything else happens in between.

use mmap_ahead::page::{ByteLen, Nanos, PageCount, PageIndex, PageRange, PageSize};
use mmap_ahead::policy::{Event, Geometry, Plan, Policy};

use crate::Error;
use crate::clock::Clock;
use crate::costs::Costs;
use crate::device::{Device, DeviceModel};
use crate::memory::{Memory, Presence};
use crate::observer::{MarkerObserver, block_of};
use crate::report::{Counts, Report};
use crate::trace::{Touch, Trace};
use crate::worker::{Done, Worker, World};

/// Whether the file is in the page cache when a run begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheState {
    /// None of it is.
    #[default]
    Cold,
    /// All of it is, and none of it is mapped.
    Warm,
}

/// The modelled machine.
///
/// Default: this project's, cold, with the engine's own budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The size of a page. Default: 4 KiB.
    pub page_size: PageSize,
    /// The most that may be fetched beyond the furthest touch. Pages before it, which a forward
    /// reader has left behind, do not count. Default: [`mmap_ahead::BUDGET_DEFAULT`].
    pub budget: ByteLen,
    /// What the kernel's work costs.
    pub costs: Costs,
    /// The disk.
    pub device: DeviceModel,
    /// Whether the file is in the page cache. Default: it is not.
    pub cache: CacheState,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            page_size: PageSize::FOUR_KIB,
            budget: mmap_ahead::BUDGET_DEFAULT,
            costs: Costs::default(),
            device: DeviceModel::default(),
            cache: CacheState::Cold,
        }
    }
}

impl Setup {
    /// What a policy is told about `trace` on this machine.
    #[must_use]
    pub fn geometry(&self, trace: &Trace) -> Geometry {
        Geometry::new(self.page_size, self.page_size.len_of(trace.pages()), self.budget)
    }
}

/// One call of the worker, as it was carried out.
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

/// Walks `trace` with `policy` on the machine of `setup`.
///
/// # Errors
/// [`Error::Setup`] when that machine cannot exist.
pub fn run(trace: &Trace, policy: &mut dyn Policy, setup: &Setup) -> Result<Report, Error> {
    run_watched(trace, policy, setup, &mut |_| {})
}

/// [`run`], and `watch` sees every call of the worker.
///
/// # Errors
/// As [`run`].
pub fn run_watched(
    trace: &Trace,
    policy: &mut dyn Policy,
    setup: &Setup,
    watch: &mut dyn FnMut(&Step),
) -> Result<Report, Error> {
    setup.device.check()?;
    let mut run = Run::new(trace, policy, setup, watch);
    for touch in trace.touches() {
        run.touch(touch);
    }
    Ok(run.report(trace))
}

struct Run<'a> {
    clock: Clock,
    policy: &'a mut dyn Policy,
    watch: &'a mut dyn FnMut(&Step),
    geometry: Geometry,
    world: World,
    worker: Worker,
    plan: Plan,
    counts: Counts,
}

impl<'a> Run<'a> {
    fn new(
        trace: &Trace,
        policy: &'a mut dyn Policy,
        setup: &Setup,
        watch: &'a mut dyn FnMut(&Step),
    ) -> Run<'a> {
        let geometry = setup.geometry(trace);
        let cached_at = (setup.cache == CacheState::Warm).then_some(Nanos(0));
        let (pages, block) = (geometry.pages, geometry.fault_around);
        let world = World {
            setup: *setup,
            memory: Memory::new(pages, cached_at),
            device: Device::new(setup.device),
            observer: MarkerObserver::new(pages, block, setup.costs.poll_ns),
        };
        Run {
            clock: Clock::default(),
            policy,
            watch,
            geometry,
            world,
            worker: Worker::new(geometry.budget),
            plan: Plan::new(),
            counts: Counts::default(),
        }
    }

    fn touch(&mut self, touch: &Touch) {
        self.deliver();
        self.counts.touches += 1;
        let (page, now) = (touch.page, self.clock.now());
        let presence = self.world.memory.presence(page, now);
        // Counts from its beginning: while it waits, the budget is measured from here.
        self.world.memory.touch(page);
        match presence {
            Presence::Mapped => self.counts.hits += 1,
            Presence::Cached => self.minor_fault(page),
            Presence::Mapping(at) => {
                self.late(at.since(now));
                self.minor_fault(page);
            }
            Presence::Reading(at) => {
                self.late(at.since(now));
                self.major_fault(page, at);
            }
            Presence::Absent => {
                let around = block_of(page, self.world.setup.costs.read_around);
                let around = around.intersect(self.world.memory.all());
                let cached = self.world.read(around, now);
                self.major_fault(page, cached);
            }
        }
        self.clock.pass(touch.think);
    }

    fn late(&mut self, by: Nanos) {
        self.counts.late += 1;
        self.counts.late_ns = self.counts.late_ns.saturating_add(by.0);
    }

    fn minor_fault(&mut self, page: PageIndex) {
        self.counts.minor_faults += 1;
        self.fault(page);
    }

    fn major_fault(&mut self, page: PageIndex, cached: Nanos) {
        self.counts.major_faults += 1;
        self.clock.wait_until(cached);
        self.fault(page);
    }

    /// The kernel maps what is cached of the page's block, and the observer may see it. What the
    /// worker did while the reader waited comes first.
    fn fault(&mut self, page: PageIndex) {
        self.clock.pass(self.world.setup.costs.fault_ns);
        self.deliver();
        let now = self.clock.now();
        let block = block_of(page, self.geometry.fault_around).intersect(self.world.memory.all());
        let mapped = self.world.memory.map(block, now);
        self.world.observer.fault(page, &mapped, now);
    }

    /// Tells the policy, in order, of all that was to be known by now.
    fn deliver(&mut self) {
        let now = self.clock.now();
        loop {
            let (call, look) = (self.worker.due(), self.world.observer.due());
            match (call, look) {
                (Some(at), look) if at <= now && look.is_none_or(|look| at <= look) => {
                    self.deliver_call();
                }
                (_, Some(at)) if at <= now => {
                    let pages = self.world.observer.look();
                    self.tell(&Event::Touched { pages: &pages, at }, at);
                }
                _ => return,
            }
        }
    }

    fn deliver_call(&mut self) {
        let Some(done) = self.worker.finish() else { return };
        let World { memory, observer, .. } = &mut self.world;
        if let Some(marker) = done.marker {
            observer.arm(marker, |marker| memory.any_mapped(marker, done.at));
        }
        let Done { what, planned: range, took, outcome, at, .. } = done;
        self.tell(&Event::Fetched { what, range, took, outcome }, at);
    }

    fn tell(&mut self, event: &Event<'_>, at: Nanos) {
        self.plan.clear();
        self.policy.on(event, &mut self.plan);
        self.worker.take(&self.plan);
        self.worker.go_on(at, &mut self.world, self.watch);
    }

    fn report(mut self, trace: &Trace) -> Report {
        let (fetched, used) = self.world.memory.fetched_and_used();
        self.counts.fetched_pages = fetched.0;
        self.counts.used_pages = used.0;
        self.counts.clipped_pages = self.worker.clipped().0;
        self.counts.false_markers = self.world.observer.false_markers();
        self.counts.virtual_ns = self.clock.now().0;
        Report::new(trace.name(), self.policy.name(), self.counts)
    }
}
