//! Watched runs: what a timed run may not spend time on. They make no times that are compared.
//!
//! - [`Watch::Touches`]: a clock and getrusage(2) around every touch, and a thread that looks every
//!   millisecond or so which pages the cache holds (mincore(2)). Gives [`TouchLatency`] and
//!   [`FaultMap`].
//! - [`Watch::Memory`]: a thread that looks at the process's memory and at the cache. Gives
//!   [`Memory`].

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mmap_ahead::lab::{UsageOf, usage};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::access::{Access, Setup};
use crate::datafile::readable_len;
use crate::environment::Environment;
use crate::run::{RunSpec, policy};
use crate::steps::{STEP_LEN, Step, Steps};

mod lines;
mod sampler;

pub use lines::{FaultMap, FaultMapKind, Memory, MemoryKind, TouchLatency, TouchLatencyKind};

use sampler::{Held, Sampler};

/// The hidden subcommand under which the program makes one watched run.
pub const WATCH_COMMAND: &str = "__watch";

/// What a touch reads unless told otherwise: a cache line, so that nothing but the touch is timed.
const TOUCH: u64 = 64;

/// As many touches as are watched: 64 MiB of pages. A figure has no pixels for more.
const TOUCHES_MOST: u64 = 16 << 10;

/// As many samples as are kept of a run.
const SAMPLES_MOST: usize = 500;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Watch {
    /// Every touch, and the pages.
    Touches,
    /// The memory.
    Memory,
}

/// What a child process is told to do, as one JSON argument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchSpec {
    /// What is looked at.
    pub watch: Watch,
    /// The run.
    pub run: RunSpec,
}

/// What was seen. The environment is filled in by whoever asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Of [`Watch::Touches`].
    pub latency: Option<TouchLatency>,
    /// Likewise.
    pub fault_map: Option<FaultMap>,
    /// Of [`Watch::Memory`].
    pub memory: Option<Memory>,
}

impl Seen {
    /// Says on what machine it was seen.
    pub fn set_environment(&mut self, environment: &Environment) {
        let of = || Some(environment.clone());
        self.latency.iter_mut().for_each(|line| line.environment = of());
        self.fault_map.iter_mut().for_each(|line| line.environment = of());
        self.memory.iter_mut().for_each(|line| line.environment = of());
    }
}

/// Makes the run in this process.
///
/// # Errors
/// As [`run`](crate::run::run).
pub fn watch(spec: &WatchSpec) -> Result<Seen, Error> {
    match spec.watch {
        Watch::Touches => touches(&spec.run),
        Watch::Memory => memory(&spec.run),
    }
}

fn setup(spec: &RunSpec) -> Result<Setup, Error> {
    let policy = spec.policy.as_deref().map(policy).transpose()?.unwrap_or_default();
    let setup = Setup { policy, ..Setup::default() };
    Ok(Setup { memory_limit: spec.memory_limit.unwrap_or(setup.memory_limit), ..setup })
}

/// One touch, as it was seen.
#[derive(Clone, Copy, Debug)]
struct Touched {
    at: Duration,
    page: u64,
    faulted: bool,
}

fn touches(spec: &RunSpec) -> Result<Seen, Error> {
    let file_len = readable_len(&spec.path)?;
    let touch = Some(spec.touch.unwrap_or(TOUCH));
    let steps = Steps::new(&spec.pattern.parse()?, file_len, touch, spec.seed)?;
    let steps = steps.first(spec.steps.unwrap_or(u64::MAX).min(TOUCHES_MOST));
    let (setup, at) = (setup(spec)?, |error| Error::at(&spec.path)(error));

    let sampler = Sampler::of_pages(&spec.path)?;
    let start = sampler.start();
    let mut access = Access::open(spec.engine.parse()?, &spec.path, setup.clone()).map_err(at)?;
    let mut log = Log::new(start);
    access.sum_each(&mut log.watch(steps)).map_err(at)?;
    let seconds = start.elapsed().as_secs_f64();
    let held = sampler.stop()?;
    let latency = lines::latency(spec, &log.times);
    let fault_map = lines::fault_map(spec, setup.policy.name(), seconds, &log.touched, &held);
    Ok(Seen { latency: Some(latency), fault_map: Some(fault_map), memory: None })
}

fn memory(spec: &RunSpec) -> Result<Seen, Error> {
    let file_len = readable_len(&spec.path)?;
    let steps = Steps::new(&spec.pattern.parse()?, file_len, spec.touch, spec.seed)?;
    let steps = steps.first(spec.steps.unwrap_or(u64::MAX));
    let (setup, at) = (setup(spec)?, |error| Error::at(&spec.path)(error));

    let sampler = Sampler::of_memory(&spec.path)?;
    let mut access = Access::open(spec.engine.parse()?, &spec.path, setup.clone()).map_err(at)?;
    access.sum(steps).map_err(at)?;
    let held = sampler.stop()?;
    drop(access);
    let limit = spec.engine.starts_with("paged").then_some(setup.memory_limit);
    Ok(Seen { memory: Some(lines::memory(spec, file_len, limit, &held)), ..Seen::default() })
}

/// What the reading thread writes down.
struct Log {
    start: Instant,
    times: Histogram<u64>,
    touched: Vec<Touched>,
    faults: u64,
}

impl Log {
    fn new(start: Instant) -> Log {
        // Two digits: the latencies are right to 1%. Failing is for digits out of range.
        let times = Histogram::new(2).expect("2 digits are allowed");
        Log { start, times, touched: Vec::new(), faults: faults() }
    }

    /// The steps; what happens between two of them is the touch of the first.
    fn watch<S: Iterator<Item = Step>>(&mut self, steps: S) -> Watched<'_, S> {
        Watched { log: self, steps, current: None }
    }

    fn ended(&mut self, step: Step, began: Instant, took: Duration) {
        let faults = faults();
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        // A histogram that grows by itself takes every value.
        let _ = self.times.record(nanos.max(1));
        let at = began.duration_since(self.start);
        let page = step.offset / STEP_LEN;
        self.touched.push(Touched { at, page, faulted: faults > self.faults });
        self.faults = faults;
    }
}

/// The faults of this thread so far.
fn faults() -> u64 {
    let usage = usage(UsageOf::Thread);
    usage.minor_faults + usage.major_faults
}

struct Watched<'a, S> {
    log: &'a mut Log,
    steps: S,
    current: Option<(Step, Instant)>,
}

impl<S: Iterator<Item = Step>> Iterator for Watched<'_, S> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let now = Instant::now();
        if let Some((step, began)) = self.current.take() {
            self.log.ended(step, began, now.duration_since(began));
        }
        let step = self.steps.next()?;
        self.current = Some((step, Instant::now()));
        Some(step)
    }
}

#[cfg(test)]
mod tests;
