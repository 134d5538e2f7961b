//! The lines of watched runs. They are small: microseconds, pages, and runs of pages.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::sampler::{Look, runs};
use super::{Held, SAMPLES_MOST, Touched};
use crate::environment::Environment;
use crate::run::RunSpec;
use crate::steps::STEP_LEN;

/// The tag of [`TouchLatency`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TouchLatencyKind {
    /// `touch_latency`.
    #[default]
    TouchLatency,
}

/// The tag of [`FaultMap`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultMapKind {
    /// `fault_map`.
    #[default]
    FaultMap,
}

/// The tag of [`Memory`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryKind {
    /// `memory`.
    #[default]
    Memory,
}

/// How long single touches took: `{"kind":"touch_latency",..}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TouchLatency {
    /// Always `touch_latency`.
    pub kind: TouchLatencyKind,
    /// The engine's name.
    pub engine: String,
    /// The pattern's name.
    pub pattern: String,
    /// `cold`, `warm` or `as-is`.
    pub cache: String,
    /// Bytes a touch.
    pub touch: u64,
    /// Nanoseconds and how many touches took so long, right to 1%; ascending. The clock's own cost
    /// (some 50 ns) is in each.
    pub counts: Vec<(u64, u64)>,
    /// The machine.
    #[serde(default)]
    pub environment: Option<Environment>,
}

/// What happened to which page when: `{"kind":"fault_map",..}`. Times are microseconds since the
/// run began; pages are numbers of pages of `page_bytes`, their runs half-open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultMap {
    /// Always `fault_map`.
    pub kind: FaultMapKind,
    /// The engine's name.
    pub engine: String,
    /// The policy of our own mappings; empty for the peers.
    pub policy: String,
    /// The pattern's name.
    pub pattern: String,
    /// `cold`, `warm` or `as-is`.
    pub cache: String,
    /// How many pages the file has.
    pub pages: u64,
    /// Bytes a page.
    pub page_bytes: u64,
    /// How long the run took.
    pub seconds: f64,
    /// Touches that did not fault: time and page.
    pub touches: Vec<(u64, u64)>,
    /// Touches that did.
    pub faults: Vec<(u64, u64)>,
    /// Pages that came into the page cache before they were touched: when they were seen there,
    /// their first and their end.
    pub fetched: Vec<(u64, u64, u64)>,
    /// Those that were never touched.
    pub wasted: Vec<(u64, u64, u64)>,
    /// The furthest page in the page cache on the reader's way: time and page; empty when the
    /// reader has no direction.
    pub frontier: Vec<(u64, u64)>,
    /// The machine.
    #[serde(default)]
    pub environment: Option<Environment>,
}

/// Memory over a run: `{"kind":"memory",..}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Always `memory`.
    pub kind: MemoryKind,
    /// The engine's name.
    pub engine: String,
    /// The pattern's name.
    pub pattern: String,
    /// `cold`, `warm` or `as-is`.
    pub cache: String,
    /// The file's length.
    pub file_bytes: u64,
    /// What the engine was told to stay under.
    pub limit_bytes: Option<u64>,
    /// Microseconds since the run began, resident memory of the process, and what the page cache
    /// holds of the file, both in bytes. Mapped pages of the cache count in both.
    pub samples: Vec<(u64, u64, u64)>,
    /// The machine.
    #[serde(default)]
    pub environment: Option<Environment>,
}

pub(super) fn latency(spec: &RunSpec, times: &Histogram<u64>) -> TouchLatency {
    let buckets = times.iter_recorded();
    let counts = buckets.map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value()));
    TouchLatency {
        engine: spec.engine.clone(),
        pattern: spec.pattern.clone(),
        cache: spec.cache.clone(),
        touch: spec.touch.unwrap_or(super::TOUCH),
        counts: counts.collect(),
        ..TouchLatency::default()
    }
}

pub(super) fn fault_map(
    spec: &RunSpec,
    policy: &str,
    seconds: f64,
    touched: &[Touched],
    held: &Held,
) -> FaultMap {
    // The steps' pages are of 4 KiB, the kernel's may be longer.
    let page_of = |touch: &Touched| touch.page * STEP_LEN / held.page_bytes;
    let micros = |touch: &Touched| touch.at.as_micros() as u64;
    let of = |faulted: bool| {
        let those = touched.iter().filter(move |touch| touch.faulted == faulted);
        those.map(|touch| (micros(touch), page_of(touch))).collect()
    };
    let mut first = vec![u64::MAX; held.pages as usize];
    for touch in touched {
        let at = &mut first[page_of(touch) as usize];
        *at = (*at).min(micros(touch));
    }
    let (mut fetched, mut wasted) = (Vec::new(), Vec::new());
    for look in &held.looks {
        let at = look.at.as_micros() as u64;
        let which = |keep: &dyn Fn(u64) -> bool| {
            let pages = look.taken_in.iter().flat_map(|(first, end)| *first..*end);
            let kept = runs(pages.map(|page| page as usize).filter(|page| keep(first[*page])));
            kept.into_iter().map(|(first, end)| (at, first, end)).collect::<Vec<_>>()
        };
        fetched.extend(which(&|touched| touched > at && touched != u64::MAX));
        wasted.extend(which(&|touched| touched == u64::MAX));
    }
    let policy = if spec.engine.starts_with("mmap") { policy } else { "" };
    FaultMap {
        engine: spec.engine.clone(),
        policy: policy.to_owned(),
        pattern: spec.pattern.clone(),
        cache: spec.cache.clone(),
        pages: held.pages,
        page_bytes: held.page_bytes,
        seconds,
        touches: of(false),
        faults: of(true),
        fetched,
        wasted,
        frontier: frontier(touched, &held.looks),
        ..FaultMap::default()
    }
}

/// The far edge of what the cache holds, for a reader that goes one way nearly always.
fn frontier(touched: &[Touched], looks: &[Look]) -> Vec<(u64, u64)> {
    let steps = touched.windows(2);
    let (all, up) = (steps.len(), steps.filter(|two| two[1].page > two[0].page).count());
    let edge: fn(&Look) -> u64 = match () {
        () if up * 10 >= all * 9 => |look| look.bounds.1,
        () if up * 10 <= all => |look| look.bounds.0,
        () => return Vec::new(),
    };
    let held = looks.iter().filter(|look| look.bounds.0 < look.bounds.1);
    held.map(|look| (look.at.as_micros() as u64, edge(look))).collect()
}

pub(super) fn memory(spec: &RunSpec, file_bytes: u64, limit: Option<u64>, held: &Held) -> Memory {
    let looks = &held.looks;
    let every = looks.len().div_ceil(SAMPLES_MOST).max(1);
    let last = looks.len().saturating_sub(1);
    let kept = looks.iter().enumerate().filter(|(i, _)| i % every == 0 || *i == last);
    let sample = |(_, look): (usize, &Look)| {
        (look.at.as_micros() as u64, look.resident_bytes, look.cached_bytes)
    };
    Memory {
        engine: spec.engine.clone(),
        pattern: spec.pattern.clone(),
        cache: spec.cache.clone(),
        file_bytes,
        limit_bytes: limit,
        samples: kept.map(sample).collect(),
        ..Memory::default()
    }
}
