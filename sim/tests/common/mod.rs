//! A machine with costs in round numbers, and policies for it.
#![allow(dead_code, reason = "not every test file uses all of it")]

use std::sync::{Arc, Mutex};

use mmap_ahead::page::{Nanos, PageCount, PageIndex, PageRange};
use mmap_ahead::policy::{Event, Outcome, Plan, Policy};
use mmap_ahead_sim::costs::names;
use mmap_ahead_sim::kernel::{KernelOptions, Profile};
use mmap_ahead_sim::strategy::{Ahead, Bound, Carrier, Sees};
use mmap_ahead_sim::{CacheState, DeviceModel, Preset, Setup, Strategy, Trace, Workload};

/// Nothing costs anything but what is named; a byte takes the device 1 ns, its latency is 1 us.
pub(crate) fn machine(cache: CacheState, costs: &[(&str, f64)]) -> Setup {
    let mut sheet = Preset::Nvme.sheet();
    let is_cost = |name: &str| !name.starts_with("device_");
    for (name, _) in names().filter(|(name, _)| is_cost(name)) {
        sheet.set(name, 0.0).unwrap();
    }
    for (name, value) in costs {
        sheet.set(name, *value).unwrap();
    }
    let device = DeviceModel {
        latency_ns: Nanos(1_000),
        jitter_permille: 0,
        request_ns: Nanos(0),
        segment_ns: Nanos(0),
        bytes_per_s: 1_000_000_000,
        queue_depth: 4,
        request_max: 1 << 20,
        ..DeviceModel::default()
    };
    // No large folios: one fault maps 16 pages, and no more.
    let disk = KernelOptions::disk(Profile::V6_18, PageCount(0));
    let kernel = KernelOptions { folio_order_max: 0, ra_pages: PageCount(16), ..disk };
    Setup { device, kernel, cache, ..Setup::of_sheet(&sheet).unwrap() }
}

pub(crate) fn pages(start: u64, end: u64) -> PageRange {
    PageRange::new(PageIndex(start), PageIndex(end))
}

/// A trace in the text format, without its head.
pub(crate) fn trace(pages: u64, body: &str) -> Workload {
    let text = format!("mmap-ahead-trace 1\npages {pages}\n{body}");
    Workload::of_trace(Trace::parse("t", &text).unwrap())
}

/// A policy as the engine runs one.
pub(crate) fn followed_by(
    policy: impl Fn() -> Box<dyn Policy> + Send + Sync + 'static,
) -> Strategy {
    let ahead = Ahead {
        sees: Sees::Markers,
        carrier: Carrier::Helper,
        bound: Bound::Budget,
        policy: Arc::new(move |_| policy()),
    };
    Strategy { ahead: Some(ahead), ..Strategy::default() }
}

/// What [`Once`] has heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) touched: Vec<(Nanos, Vec<PageRange>)>,
    pub(crate) fetched: Vec<(PageRange, Nanos, Outcome)>,
}

/// Plans the same once, at the first event, and keeps what it hears.
#[derive(Clone, Default)]
pub(crate) struct Once {
    pub(crate) reads: Vec<PageRange>,
    pub(crate) windows: Vec<(PageRange, Option<PageIndex>)>,
    pub(crate) heard: Arc<Mutex<Heard>>,
}

impl Once {
    pub(crate) fn strategy(&self) -> Strategy {
        let once = self.clone();
        followed_by(move || Box::new(once.clone()))
    }

    pub(crate) fn heard(&self) -> Heard {
        self.heard.lock().unwrap().clone()
    }
}

impl Policy for Once {
    fn name(&self) -> &'static str {
        "once"
    }

    fn on(&mut self, event: &Event<'_>, plan: &mut Plan) {
        let mut heard = self.heard.lock().unwrap();
        match *event {
            Event::Touched { pages, at } => heard.touched.push((at, pages.to_vec())),
            Event::Fetched { range, took, outcome, .. } => {
                heard.fetched.push((range, took, outcome));
            }
            _ => {}
        }
        self.reads.drain(..).for_each(|range| plan.read(range));
        self.windows.drain(..).for_each(|(range, trigger)| plan.window(range, trigger));
    }
}
