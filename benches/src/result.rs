//! The lines of a result file, as the design fixes them; fields after those may be added.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::environment::Environment;

/// The version of these lines: raised when a field changes its meaning or goes. Added fields do not
/// raise it. Lines without it are of version 1.
pub const SCHEMA: u32 = 2;

fn first_schema() -> u32 {
    1
}

/// The kind of a line; the tag that scripts filter by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One run of one engine.
    Run,
    /// One engine's paired ratio to the baseline.
    Ratio,
}

/// One run: `{"kind":"run",..}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Always [`Kind::Run`].
    pub kind: Kind,
    /// The engine's name.
    pub engine: String,
    /// The pattern's name.
    pub pattern: String,
    /// `cold`, `warm` or `as-is`.
    pub cache: String,
    /// Bytes read, repetitions counted.
    pub bytes: u64,
    /// From before open to the last byte; unmapping is not in it.
    pub seconds: f64,
    /// `bytes / seconds / 1e9`.
    pub gb_per_s: f64,
    /// Of the whole process, helpers included, over `seconds`.
    pub minor_faults: u64,
    /// Likewise.
    pub major_faults: u64,
    /// Likewise: CPU time in user mode.
    pub cpu_user_s: f64,
    /// Likewise: CPU time in the kernel.
    pub cpu_sys_s: f64,
    /// Of the process, which made this run and no other.
    pub peak_rss_bytes: u64,
    /// Sixteen hexadecimal digits.
    pub checksum: String,

    /// [`SCHEMA`].
    #[serde(default = "first_schema")]
    pub schema: u32,
    /// The reading thread's own share of `minor_faults`: helpers fault too (TRAPS 27).
    pub reader_minor_faults: u64,
    /// Likewise of `major_faults`.
    pub reader_major_faults: u64,
    /// What closing and unmapping took, after `seconds`.
    pub unmap_seconds: f64,
    /// How many steps.
    pub steps: u64,
    /// Bytes a step.
    pub touch: u64,
    /// How many threads shared the steps.
    #[serde(default)]
    pub threads: usize,
    /// The share of the file in the page cache before the run, and after it, 0 to 1; none where no
    /// cache state was asked for.
    #[serde(default)]
    pub cached_before: Option<f64>,
    /// Likewise.
    #[serde(default)]
    pub cached_after: Option<f64>,
    /// Bytes that the process had read from devices, helpers included; 0 where that is not counted.
    #[serde(default)]
    pub read_bytes: u64,
    /// The seed of the pattern.
    pub seed: u64,
    /// The policy, for our own mappings.
    pub policy: String,
    /// The round, counted from 1; every engine runs once in each. 0 outside of comparisons.
    pub round: u32,
    /// The file that was read.
    pub file: String,
    /// Its length.
    pub file_bytes: u64,
    /// The engine's own counters; empty for the peers.
    pub stats: BTreeMap<String, u64>,
    /// Whether reading ahead helped; none where nobody predicts, or tells.
    #[serde(default)]
    pub quality: Option<Quality>,
    /// The machine; absent inside a child process.
    #[serde(default)]
    pub environment: Option<Environment>,
}

/// How good the predictions of a run were, each from 0 to 1; none where nothing was seen that tells.
///
/// What was read for nothing, how late what came late was, trips and streams are in
/// [`RunResult::stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Of the pages that were fetched ahead, the share that the reader has passed since.
    pub accuracy: Option<f64>,
    /// Of the pages that the reader was seen to pass, the share that was mapped already.
    pub coverage: Option<f64>,
    /// Of the reads ahead that were looked out for, the share that came before the reader.
    pub timeliness: Option<f64>,
}

/// One ratio: `{"kind":"ratio",..}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RatioResult {
    /// Always [`Kind::Ratio`].
    pub kind: Kind,
    /// The engine's name.
    pub engine: String,
    /// The name of the engine it is compared with.
    pub baseline: String,
    /// The median over the rounds of baseline seconds / engine seconds: above 1 is faster.
    pub speedup_median: f64,
    /// The 95% interval of that median.
    pub speedup_ci95: [f64; 2],
    /// How many rounds.
    pub runs: u32,

    /// [`SCHEMA`].
    #[serde(default = "first_schema")]
    pub schema: u32,
    /// Wilcoxon's signed-rank test of the pairs: the chance of pairs as one-sided as these when no
    /// engine is faster. Without it in lines of version 1.
    #[serde(default)]
    pub wilcoxon_p: Option<f64>,
    /// In how many extents the file lies on its disk, where the file system tells.
    #[serde(default)]
    pub file_extents: Option<u64>,
    /// How sure the interval really is: under 0.95 when there are fewer than 6 rounds.
    pub ci_coverage: f64,
    /// The pattern's name.
    pub pattern: String,
    /// `cold` or `warm`.
    pub cache: String,
    /// The file that was read.
    pub file: String,
    /// The machine.
    #[serde(default)]
    pub environment: Option<Environment>,
}
