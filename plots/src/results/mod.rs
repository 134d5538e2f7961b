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

use std::fs::File;
use std::io::Read;
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

/// As long as a result file may be: a thousand times what the demo writes.
const BYTES_MOST: u64 = 256 << 20; // guess

/// What is more than that is damage: it is 30 million years in seconds.
const AMOUNT_MOST: f64 = 1e15;

impl Results {
    /// Reads a result file.
    ///
    /// # Errors
    /// [`Error::Read`] when it cannot be read; as [`Results::parse`].
    pub fn read(path: &Path) -> Result<Results, Error> {
        let failed = |what: String| Error::Read { path: path.to_owned(), what };
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        let mut bytes = Vec::new();
        // A device may have no end.
        file.take(BYTES_MOST + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| failed(error.to_string()))?;
        if bytes.len() as u64 > BYTES_MOST {
            return Err(failed(format!("it is longer than {BYTES_MOST} bytes")));
        }
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let text = str::from_utf8(&bytes).map_err(|error| {
            let good = &bytes[..error.valid_up_to()];
            let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
            let what = "it is no text (UTF-8)".to_owned();
            Error::Line { file: name.clone().into_owned(), line, what }
        })?;
        Results::parse(&name, text)
    }

    /// Takes apart the text of a result file; `source` is its name. Empty lines are left out.
    ///
    /// # Errors
    /// [`Error::Line`], which names the first line that is damaged or of an unknown kind;
    /// [`Error::Hollow`].
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
            return Err(Error::Hollow { file: source.to_owned() });
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

/// A number that a measurement can give: 0 or more, and not beyond all measure.
fn amount(name: &str, value: f64) -> Result<(), String> {
    if (0.0..=AMOUNT_MOST).contains(&value) {
        return Ok(());
    }
    // In powers of ten where that is shorter.
    let plain = format!("{value}");
    let value = if plain.len() > 20 { format!("{value:e}") } else { plain };
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
