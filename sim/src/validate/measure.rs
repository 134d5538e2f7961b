//! Measures the cells: every way of a pattern once a round, in an order drawn anew, each run in a fresh process.
//!
//! In a fixed order one way always came after the slowest one, and found another machine than the rest: a
//! disk that had rested, memory that the host had taken back.

use std::path::Path;

use mmap_ahead_bench::cache::CacheState;
use mmap_ahead_bench::datafile::{Afterwards, DataFile};
use mmap_ahead_bench::interval::Median;
use mmap_ahead_bench::random::Rng;
use mmap_ahead_bench::run::RunSpec;
use mmap_ahead_bench::spawn::{Children, Spawner};
use serde::Serialize;

use super::{Dirs, PATTERNS, Place, Plan, SEED, Way, engine, this_machine, ways};
use crate::Error;
use crate::run::Setup;

/// One measured cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The order of reading.
    pub pattern: String,
    /// From where.
    pub cache: Place,
    /// The name of the way.
    pub way: String,
    /// The median of its runs.
    pub seconds: f64,
    /// The 95% interval of that median.
    pub seconds_ci95: [f64; 2],
    /// The median of the reader's minor and major faults.
    pub faults: u64,
}

/// The files that are read; made before anything is predicted, since making them measures nothing.
#[derive(Debug)]
pub struct Files {
    disk: DataFile,
    memory: DataFile,
}

impl Files {
    /// Makes both files.
    ///
    /// # Errors
    /// [`Error::Validate`] when a directory has no room or cannot be written.
    pub fn make(dirs: &Dirs, len: u64) -> Result<Files, Error> {
        let make = |dir: &Path| DataFile::make(dir, len, SEED, Afterwards::Remove).map_err(failed);
        let (disk, memory) = (make(&dirs.disk)?, make(&dirs.memory)?);
        Ok(Files { disk, memory })
    }

    /// The file of the disk.
    #[must_use]
    pub fn on_disk(&self) -> &Path {
        self.disk.path()
    }

    fn of(&self, place: Place) -> &Path {
        match place {
            Place::Cold => self.disk.path(),
            Place::Warm => self.memory.path(),
        }
    }
}

/// Measures every cell; `progress` is told of each pattern that begins.
///
/// # Errors
/// [`Error::Validate`]: a run that failed, one that read other bytes than the rest, or a disk whose
/// read-ahead is not any more what was predicted with.
pub fn measure(
    plan: &Plan,
    setup: &Setup,
    files: &Files,
    progress: &mut dyn FnMut(&str, Place),
) -> Result<Vec<Measured>, Error> {
    let mut all = Vec::new();
    for cache in [Place::Cold, Place::Warm] {
        let state = if cache == Place::Cold { CacheState::Cold } else { CacheState::Warm };
        let mut children = Children::of_this_program(state).map_err(failed)?;
        for pattern in PATTERNS {
            progress(pattern, cache);
            let spec = |way: &Way| spec(plan, files.of(cache), cache, pattern, way);
            all.extend(
                group(plan, cache, &mut children, &spec)?
                    .into_iter()
                    .map(|(way, runs)| measured(pattern, cache, way, &runs)),
            );
            check_disk(setup, &this_machine(setup, files.on_disk()))?;
        }
    }
    Ok(all)
}

/// Refuses measurements on another machine than the predicted one: somebody set the disk's read-ahead.
fn check_disk(predicted: &Setup, now: &Setup) -> Result<(), Error> {
    let of = |setup: &Setup| (setup.kernel.ra_pages.0 * 4, setup.kernel.io_pages.0 * 4);
    let (before, now) = (of(predicted), of(now));
    if before == now {
        return Ok(());
    }
    Err(Error::Validate(format!(
        "the disk's read_ahead_kb and max_sectors_kb were {} and {} when runs were predicted, and are {} \
         and {} now: validate again while nobody sets them",
        before.0, before.1, now.0, now.1
    )))
}

/// Seconds and faults of a run.
type Run = (f64, u64);

/// All runs of one pattern, by way.
fn group(
    plan: &Plan,
    place: Place,
    spawner: &mut dyn Spawner,
    spec: &dyn Fn(&Way) -> Result<RunSpec, Error>,
) -> Result<Vec<(&'static Way, Vec<Run>)>, Error> {
    let mut runs: Vec<(&Way, Vec<Run>)> = ways(place).map(|way| (way, Vec::new())).collect();
    let mut checksum: Option<String> = None;
    for round in 0..=plan.rounds {
        Rng::new(SEED ^ (u64::from(round) << 32)).shuffle(&mut runs);
        for (way, runs) in &mut runs {
            let result = spawner.run(&spec(way)?).map_err(failed)?;
            let right = checksum.get_or_insert_with(|| result.checksum.clone());
            if *right != result.checksum {
                return Err(Error::Validate(format!(
                    "{} read other bytes than the rest",
                    way.name
                )));
            }
            if round > 0 {
                let faults = result.reader_minor_faults + result.reader_major_faults;
                runs.push((result.seconds, faults));
            }
        }
    }
    let rank = |way: &Way| ways(place).position(|known| known == way);
    runs.sort_by_key(|(way, _)| rank(way));
    Ok(runs)
}

fn spec(
    plan: &Plan,
    path: &Path,
    cache: Place,
    pattern: &str,
    way: &Way,
) -> Result<RunSpec, Error> {
    Ok(RunSpec {
        pattern: pattern.to_owned(),
        cache: if cache == Place::Cold { "cold" } else { "warm" }.to_owned(),
        seed: SEED,
        policy: way.policy.map(str::to_owned),
        steps: plan.steps_of(pattern),
        ..RunSpec::scan(path.to_owned(), engine(way)?)
    })
}

fn measured(pattern: &str, cache: Place, way: &Way, runs: &[Run]) -> Measured {
    let median = |of: fn(&Run) -> f64| Median::of(&runs.iter().map(of).collect::<Vec<_>>());
    let seconds = median(|run| run.0);
    Measured {
        pattern: pattern.to_owned(),
        cache,
        way: way.name.to_owned(),
        seconds: seconds.map_or(f64::NAN, |seconds| seconds.value),
        seconds_ci95: seconds.map_or([f64::NAN; 2], |seconds| [seconds.low, seconds.high]),
        faults: median(|run| run.1 as f64).map_or(0, |faults| faults.value as u64),
    }
}

fn failed(error: mmap_ahead_bench::Error) -> Error {
    Error::Validate(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::KernelOptions;
    use mmap_ahead::page::PageCount;

    #[test]
    fn a_disk_that_was_set_meanwhile_is_noticed() {
        let before = Setup::default();
        assert_eq!(check_disk(&before, &before), Ok(()));
        let kernel = KernelOptions { ra_pages: PageCount(2048), ..before.kernel };
        let error = check_disk(&before, &Setup { kernel, ..before }).unwrap_err().to_string();
        assert!(error.contains("read_ahead_kb") && error.contains("8192"), "{error}");
    }
}
