//! Result files: one JSON object a line, each with its `kind`.
//!
//! | `kind` | written by | drawn as |
//! |---|---|---|
//! | `run` | `compare --json`, `demo` | throughput, roofline |
//! | `ratio` | `compare --json`, `demo` | speed-up |
//! | `touch_latency` | `compare --report`, `demo` | latency of single touches |
//! | `fault_map` | the same | fault map |
//! | `memory` | the same | memory over time |
//! | `choi` | `sim choi --json` | Figure 1 of Choi et al. |
//! | `sim` | `sim run --json`, `demo` | accuracy, coverage, timeliness; cost breakdown |
//! | `summary` | `sim sweep --json` | sweep as curves, heat map, bars |
//! | `validate` | `sim validate --json` | predicted against measured |
//!
//! Fields that a line has besides those of its type here are left alone, so that whoever writes
//! may say more than is drawn. A kind that is not in the table is an error: a figure that is
//! missing without a word would be worse. Only the simulator's commands also write kinds that are not
//! drawn and are left out: `sweep` and `cell`, whose summaries are drawn, and kinds that begin with
//! one of its own and `_`, such as `choi_gain`.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

mod measured;
mod modelled;
mod scenario;

pub use mmap_ahead_bench::environment::Environment;

pub use measured::{FaultMap, Memory, Ratio, Run, TouchLatency};
pub use modelled::{Choi, Mean, Sim, Sweep, Validate};

pub(crate) use scenario::place;

use crate::Error;

/// What a result file holds, by kind, each in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// Which kinds are from which file: the kind and the file's name, in the order of the files.
    pub sources: Vec<(String, String)>,
    /// `run` lines.
    pub runs: Vec<Run>,
    /// `ratio` lines.
    pub ratios: Vec<Ratio>,
    /// `touch_latency` lines.
    pub latencies: Vec<TouchLatency>,
    /// `fault_map` lines.
    pub fault_maps: Vec<FaultMap>,
    /// `memory` lines.
    pub memories: Vec<Memory>,
    /// `choi` lines.
    pub choi: Vec<Choi>,
    /// `sim` lines.
    pub sims: Vec<Sim>,
    /// `summary` lines.
    pub sweeps: Vec<Sweep>,
    /// `validate` lines.
    pub validations: Vec<Validate>,
}

/// A line of a result file.
trait Checked: DeserializeOwned {
    /// What is wrong with its values, in words.
    fn check(&self) -> Result<(), String>;
}

#[derive(Deserialize)]
struct Tag {
    kind: String,
}

impl Results {
    /// Reads a result file.
    ///
    /// # Errors
    /// [`Error::Read`] when it cannot be read; as [`Results::parse`].
    pub fn read(path: &Path) -> Result<Results, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::Read { path: path.to_owned(), what: e.to_string() })?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        Results::parse(&name.to_string_lossy(), &text)
    }

    /// Takes apart the text of a result file; `source` is its name. Empty lines are left out.
    ///
    /// # Errors
    /// [`Error::Line`], which names the first line that is damaged or of an unknown kind;
    /// [`Error::Empty`].
    pub fn parse(source: &str, text: &str) -> Result<Results, Error> {
        let mut results = Results::default();
        let mut lines = 0;
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            lines += 1;
            let file = source.to_owned();
            results.add(line, source).map_err(|what| Error::Line {
                file,
                line: index + 1,
                what,
            })?;
        }
        if lines == 0 {
            return Err(Error::Empty);
        }
        Ok(results)
    }

    /// Adds what another file holds.
    pub fn append(&mut self, other: Results) {
        let Results { sources, runs, ratios, latencies, fault_maps, memories, .. } = other;
        sources.into_iter().for_each(|source| self.add_source(source));
        self.runs.extend(runs);
        self.ratios.extend(ratios);
        self.latencies.extend(latencies);
        self.fault_maps.extend(fault_maps);
        self.memories.extend(memories);
        self.choi.extend(other.choi);
        self.sims.extend(other.sims);
        self.sweeps.extend(other.sweeps);
        self.validations.extend(other.validations);
    }

    fn add_source(&mut self, source: (String, String)) {
        if !self.sources.contains(&source) {
            self.sources.push(source);
        }
    }

    fn add(&mut self, line: &str, source: &str) -> Result<(), String> {
        let tag: Tag = serde_json::from_str(line).map_err(|error| words(&error))?;
        self.add_source((tag.kind.clone(), source.to_owned()));
        match tag.kind.as_str() {
            "run" => push(&mut self.runs, line),
            "ratio" => push(&mut self.ratios, line),
            "touch_latency" => push(&mut self.latencies, line),
            "fault_map" => push(&mut self.fault_maps, line),
            "memory" => push(&mut self.memories, line),
            "choi" => push(&mut self.choi, line),
            "sim" => push(&mut self.sims, line),
            "summary" => push(&mut self.sweeps, line),
            "validate" => push(&mut self.validations, line),
            other if is_company(other) => Ok(()),
            unknown => Err(format!("`{unknown}` is no kind of result that can be drawn")),
        }
    }
}

/// Whether lines of this kind stand beside lines that are drawn, and are not drawn themselves.
fn is_company(kind: &str) -> bool {
    let prefixes = ["choi_", "sim_", "sweep_", "validate_"];
    matches!(kind, "sweep" | "cell") || prefixes.iter().any(|prefix| kind.starts_with(prefix))
}

fn push<T: Checked>(to: &mut Vec<T>, line: &str) -> Result<(), String> {
    let value: T = serde_json::from_str(line).map_err(|error| words(&error))?;
    value.check()?;
    to.push(value);
    Ok(())
}

/// What serde_json says, without its own line, which is always 1.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line 1 column ") {
        Some((what, column)) => format!("column {column}: {what}"),
        None => text,
    }
}

/// A number that a measurement can give: finite, and 0 or more.
fn amount(name: &str, value: f64) -> Result<(), String> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(format!("{name} is {value}, which nothing can measure"))
}

/// A number that must be above 0 as well.
fn positive(name: &str, value: f64) -> Result<(), String> {
    if value > 0.0 { amount(name, value) } else { Err(format!("{name} is {value}, not above 0")) }
}

/// A share from 0 to 1.
fn share(name: &str, value: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(format!("{name} is {value}, no share from 0 to 1"))
}

#[cfg(test)]
mod tests;
