//! Lines that were measured: runs and ratios of comparisons, and what watched runs saw.

use serde::{Deserialize, Serialize};

pub use mmap_ahead_bench::watch::{FaultMap, Memory, TouchLatency};

use super::scenario::scenario;
use super::{Checked, Environment, positive, share};

/// One run of one engine: `{"kind":"run",..}`; the whole line is
/// [`RunResult`](mmap_ahead_bench::result::RunResult).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The engine's name.
    pub engine: String,
    /// The pattern's name, or `job:NAME`.
    pub pattern: String,
    /// `cold`, `warm` or `as-is`.
    pub cache: String,
    /// Bytes read.
    pub bytes: u64,
    /// How long that took.
    pub seconds: f64,
    /// `bytes / seconds / 1e9`.
    pub gb_per_s: f64,
    /// How many threads shared the steps; 0 and 1 mean one.
    #[serde(default)]
    pub threads: u64,
    /// The machine.
    #[serde(default)]
    pub environment: Option<Environment>,
}

impl Run {
    /// What it is compared within.
    #[must_use]
    pub fn scenario(&self) -> String {
        let mut label = scenario(&self.pattern, &self.cache, self.environment.as_ref());
        if self.threads > 1 {
            label += &format!(", {} threads", self.threads);
        }
        label
    }
}

impl Checked for Run {
    fn check(&self) -> Result<(), String> {
        positive("bytes", self.bytes as f64)?;
        positive("seconds", self.seconds)?;
        positive("gb_per_s", self.gb_per_s)
    }
}

/// One engine's paired ratio: `{"kind":"ratio",..}`; the whole line is
/// [`RatioResult`](mmap_ahead_bench::result::RatioResult).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The engine's name.
    pub engine: String,
    /// The engine it is compared with.
    pub baseline: String,
    /// Baseline seconds / engine seconds, the median: above 1 is faster.
    pub speedup_median: f64,
    /// The 95% interval of that median.
    pub speedup_ci95: [f64; 2],
    /// How many rounds.
    pub runs: u32,
    /// How sure the interval really is: less than 0.95 below 6 rounds.
    #[serde(default = "sure")]
    pub ci_coverage: f64,
    /// The pattern's name.
    #[serde(default)]
    pub pattern: String,
    /// `cold` or `warm`.
    #[serde(default)]
    pub cache: String,
    /// The machine.
    #[serde(default)]
    pub environment: Option<Environment>,
}

/// What an interval covers where the line does not say it.
fn sure() -> f64 {
    0.95
}

impl Ratio {
    /// What it is compared within.
    #[must_use]
    pub fn scenario(&self) -> String {
        scenario(&self.pattern, &self.cache, self.environment.as_ref())
    }
}

impl Checked for Ratio {
    fn check(&self) -> Result<(), String> {
        let [low, high] = self.speedup_ci95;
        positive("speedup_median", self.speedup_median)?;
        share("ci_coverage", self.ci_coverage)?;
        positive("the interval's lower end", low)?;
        positive("the interval's upper end", high)?;
        if low <= self.speedup_median && self.speedup_median <= high {
            return Ok(());
        }
        let median = self.speedup_median;
        Err(format!("speedup_median {median} is outside of its interval {low} to {high}"))
    }
}

impl Checked for TouchLatency {
    fn check(&self) -> Result<(), String> {
        if self.counts.iter().all(|(_, count)| *count == 0) {
            return Err("it holds no touch".into());
        }
        if !self.counts.is_sorted_by(|a, b| a.0 < b.0) {
            return Err("its latencies do not ascend".into());
        }
        Ok(())
    }
}

impl Checked for FaultMap {
    fn check(&self) -> Result<(), String> {
        positive("page_bytes", self.page_bytes as f64)?;
        positive("seconds", self.seconds)?;
        let outside = |what: &str, page: u64| format!("{what} page {page} lies beyond the file");
        let touches = self.touches.iter().map(|touch| ("a touched", touch.1));
        let faults = self.faults.iter().map(|touch| ("a faulted", touch.1));
        if let Some((what, page)) = touches.chain(faults).find(|(_, page)| *page >= self.pages) {
            return Err(outside(what, page));
        }
        let mut fetched = self.fetched.iter().chain(&self.wasted);
        match fetched.find(|(_, first, end)| first >= end || *end > self.pages) {
            Some((_, first, end)) => Err(format!("pages {first} to {end} are no part of the file")),
            None => Ok(()),
        }
    }
}

impl Checked for Memory {
    fn check(&self) -> Result<(), String> {
        if self.samples.is_empty() {
            return Err("it holds no sample".into());
        }
        Ok(())
    }
}
