//! One run of a sweep, and its line.

use serde::{Deserialize, Serialize};

use super::grid::{Grid, Machine, Source};
use crate::{Error, Knobs, Report, Setup, Strategy, run};

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its place in the sweep, from 0.
    pub index: usize,
    /// Its machine, as an index into the grid's.
    pub machine: usize,
    /// Its workload, as an index into the grid's.
    pub workload: usize,
    /// Its strategy, by name.
    pub strategy: String,
    /// How the strategy's knobs are turned.
    pub knobs: Knobs,
    /// Its seed.
    pub seed: u64,
}

/// What a line of results begins with; the report follows.
#[derive(Serialize)]
struct Line<'a> {
    kind: &'static str,
    index: usize,
    machine: &'a str,
    window_pages: Option<u64>,
    distance_pages: Option<u64>,
    #[serde(flatten)]
    report: &'a Report,
}

/// What is read back of a line.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Read {
    pub(super) kind: String,
    pub(super) index: usize,
    pub(super) machine: String,
    pub(super) workload: String,
    pub(super) strategy: String,
    pub(super) window_pages: Option<u64>,
    pub(super) distance_pages: Option<u64>,
    pub(super) seed: u64,
    pub(super) virtual_seconds: f64,
    pub(super) minor_faults: u64,
    pub(super) major_faults: u64,
    pub(super) ios: u64,
    pub(super) io_bytes: u64,
    pub(super) coverage: f64,
    pub(super) accuracy: Option<f64>,
    pub(super) timeliness: Option<f64>,
    pub(super) pollution: Option<f64>,
}

impl Cell {
    /// Runs it; the answer is its line, without the newline.
    ///
    /// # Errors
    /// As [`run`].
    pub fn run(&self, grid: &Grid) -> Result<String, Error> {
        let Machine { name, setup } = &grid.machines[self.machine];
        let Source(workload) = &grid.workloads[self.workload];
        let setup = Setup { seed: self.seed, ..*setup };
        let report = run(workload, &Strategy::named(&self.strategy, &self.knobs)?, &setup)?;
        let line = Line {
            kind: "cell",
            index: self.index,
            machine: name,
            window_pages: self.knobs.window.map(|pages| pages.0),
            distance_pages: self.knobs.distance.map(|pages| pages.0),
            report: &report,
        };
        serde_json::to_string(&line).map_err(|error| Error::Results(error.to_string()))
    }
}
