//! Predicts runs, then measures them: how far off is the model, and does it order policies rightly?
//!
//! All predictions are made, written down and hashed before the first measurement. `score` says
//! what came of it.

mod measure;
mod score;

use std::path::{Path, PathBuf};

use mmap_ahead::page::{ByteLen, PageCount};
use mmap_ahead_bench::device::Disk;
use mmap_ahead_bench::engine::Engine;
use mmap_ahead_bench::environment::{Environment, kernel};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use measure::{Files, Measured, measure};
pub use score::{Score, Scored, score};

use crate::Error;
use crate::kernel::{KernelOptions, Profile};
use crate::run::{CacheState, Setup, run};
use crate::strategy::{Knobs, Strategy};
use crate::workload::{Shape, Workload};

/// The orders that are validated. None of them is run by calibration.
pub const PATTERNS: [&str; 4] = ["seq", "reverse", "stride:128KiB", "random"];

/// The seed of patterns and simulator.
const SEED: u64 = 1;

/// A way to read a file: an engine of `compare`, its policy, and the strategy that models it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// What reports call it.
    pub name: &'static str,
    /// The engine's name.
    pub engine: &'static str,
    /// The policy's, for our own mapping.
    pub policy: Option<&'static str>,
    /// The strategy's name.
    pub strategy: &'static str,
    /// Whether it reads past the page cache, so that only a disk is of interest.
    pub is_direct: bool,
}

/// The ways that are validated.
pub const WAYS: [Way; 7] = [
    way("memmap2", "memmap2", None, "default-mmap"),
    way("memmap2+populate", "memmap2+populate", None, "populate-mmap"),
    way("read", "read", None, "read"),
    way("mmap:ramp", "mmap", Some("ramp"), "engine:ramp"),
    way("mmap:adaptive", "mmap", Some("adaptive"), "engine:adaptive"),
    way("mmap+guard", "mmap+guard", Some("adaptive"), "guard:adaptive"),
    Way { is_direct: true, ..way("paged", "paged", Some("adaptive"), "paged:adaptive") },
];

/// The ways that are validated at `place`.
pub(crate) fn ways(place: Place) -> impl Iterator<Item = &'static Way> {
    WAYS.iter().filter(move |way| place == Place::Cold || !way.is_direct)
}

const fn way(
    name: &'static str,
    engine: &'static str,
    policy: Option<&'static str>,
    strategy: &'static str,
) -> Way {
    Way { name, engine, policy, strategy, is_direct: false }
}

/// What is read from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A file on a disk, dropped from the page cache.
    Cold,
    /// A file on tmpfs: in the page cache, in pages of 4 KiB.
    Warm,
}

/// One prediction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predicted {
    /// The order of reading.
    pub pattern: String,
    /// From where.
    pub cache: Place,
    /// The name of the way.
    pub way: String,
    /// From before open to the last byte.
    pub seconds: f64,
    /// Minor and major faults of the reader.
    pub faults: u64,
}

/// What is predicted and measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The length of the file.
    pub len: u64,
    /// The most steps of patterns that take single pages.
    pub steps: u64,
    /// How many runs of each cell; one more is thrown away.
    pub rounds: u32,
}

/// The machine whose costs `setup` has, with the kernel and the disk of this one.
#[must_use]
pub fn this_machine(setup: &Setup, disk_file: &Path) -> Setup {
    let disk = Disk::under(disk_file);
    let setting = |name: &str| {
        let path = disk.as_ref()?.read_ahead_kb.with_file_name(name);
        std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()
    };
    let profile = if release() >= (6, 15) { Profile::V6_18 } else { Profile::V6_12 };
    let pages = |kib: Option<u64>, usual: PageCount| kib.map_or(usual, |kib| PageCount(kib / 4));
    let options = KernelOptions::disk(profile, PageCount(0));
    let kernel = KernelOptions {
        ra_pages: pages(setting("read_ahead_kb"), options.ra_pages),
        io_pages: pages(setting("max_sectors_kb"), options.io_pages),
        ..options
    };
    let cores = usize::try_from(Environment::of(disk_file).cpus).unwrap_or(1).max(1);
    Setup { kernel, cores, seed: SEED, ..*setup }
}

/// The first two numbers of the running kernel.
fn release() -> (u32, u32) {
    let text = kernel();
    let mut numbers = text.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Predicts every cell, in the order in which they are measured.
///
/// # Errors
/// As [`run`].
pub fn predict(plan: &Plan, setup: &Setup) -> Result<Vec<Predicted>, Error> {
    let mut all = Vec::new();
    for cache in [Place::Cold, Place::Warm] {
        for pattern in PATTERNS {
            for way in ways(cache) {
                all.push(predict_one(plan, setup, cache, pattern, way)?);
            }
        }
    }
    Ok(all)
}

fn predict_one(
    plan: &Plan,
    setup: &Setup,
    cache: Place,
    pattern: &str,
    way: &Way,
) -> Result<Predicted, Error> {
    let tmpfs = KernelOptions::tmpfs(setup.kernel.profile, PageCount(0));
    let setup = match cache {
        Place::Cold => Setup { cache: CacheState::Cold, ..*setup },
        Place::Warm => Setup { cache: CacheState::Warm, kernel: tmpfs, ..*setup },
    };
    let steps = plan.steps_of(pattern);
    let shape = Shape { file: ByteLen(plan.len), steps, ..Shape::default() };
    let workload = Workload::named(pattern, &shape)?;
    let strategy = Strategy::named(way.strategy, &Knobs::default())?;
    let report = run(&workload, &strategy, &setup)?;
    Ok(Predicted {
        pattern: pattern.to_owned(),
        cache,
        way: way.name.to_owned(),
        seconds: report.virtual_seconds,
        faults: report.counts.minor_faults + report.counts.major_faults,
    })
}

impl Plan {
    /// Patterns of single pages are cut; the others read the whole file.
    fn steps_of(&self, pattern: &str) -> Option<u64> {
        (pattern == "random").then_some(self.steps)
    }
}

/// The predictions as they are written down: one JSON object a line.
///
/// # Errors
/// [`Error::Validate`] when JSON cannot be made of them, which never happens.
pub fn written(predictions: &[Predicted]) -> Result<String, Error> {
    let line = |prediction| {
        let line = serde_json::to_string(prediction);
        line.map(|line| line + "\n").map_err(|error| Error::Validate(error.to_string()))
    };
    predictions.iter().map(line).collect()
}

/// The SHA-256 of what was written, in hexadecimal digits.
#[must_use]
pub fn hash(written: &str) -> String {
    Sha256::digest(written).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The engine of a way.
fn engine(way: &Way) -> Result<Engine, Error> {
    way.engine.parse().map_err(|error: mmap_ahead_bench::Error| Error::Validate(error.to_string()))
}

/// Where the files of both places are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirs {
    /// On a disk.
    pub disk: PathBuf,
    /// In memory.
    pub memory: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_enough_cells_and_each_is_predicted() {
        let plan = Plan { len: 4 << 20, steps: 50, rounds: 1 };
        let predicted = predict(&plan, &Setup::default()).unwrap();
        let ways = |place| ways(place).count();
        assert_eq!((ways(Place::Cold), ways(Place::Warm)), (WAYS.len(), WAYS.len() - 1));
        assert_eq!(predicted.len(), PATTERNS.len() * (2 * WAYS.len() - 1));
        assert!(predicted.len() >= 24, "the least that the bar is about");
        assert!(predicted.iter().all(|cell| cell.seconds > 0.0));
        assert_eq!(predict(&plan, &Setup::default()).unwrap(), predicted, "the same every time");
        for way in &WAYS {
            engine(way).unwrap();
        }
    }

    #[test]
    fn a_hash_changes_with_any_prediction() {
        // Source: FIPS 180-4's example.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash("abc"), abc);
        let mut cells =
            predict(&Plan { len: 1 << 20, steps: 9, rounds: 1 }, &Setup::default()).unwrap();
        let before = hash(&written(&cells).unwrap());
        cells[3].seconds += 1e-9;
        assert_ne!(hash(&written(&cells).unwrap()), before);
    }
}
