//! Watched runs beside the timed ones: what single touches, pages and memory do.

use mmap_ahead_bench::Error;
use mmap_ahead_bench::engine::Engine;
use mmap_ahead_bench::environment::Environment;
use mmap_ahead_bench::run::RunSpec;
use mmap_ahead_bench::spawn::Children;
use mmap_ahead_bench::watch::{Watch, WatchSpec};

use crate::report::Lines;

/// Adds what watched runs of `engines` see to `lines`, and says what could not be watched.
///
/// A run that fails costs its lines, not the report: `paged` needs rights that the others do not.
pub(crate) fn add(
    lines: &mut Lines,
    children: &Children,
    run: &RunSpec,
    engines: &[Engine],
    watch: Watch,
    environment: &Environment,
) -> Result<Vec<String>, Error> {
    let mut left_out = Vec::new();
    for engine in engines {
        let run = RunSpec { engine: engine.name().to_owned(), ..run.clone() };
        let mut seen = match children.watch(&WatchSpec { watch, run }) {
            Ok(seen) => seen,
            Err(error) => {
                left_out.push(format!("{engine}, watched: {error}"));
                continue;
            }
        };
        seen.set_environment(environment);
        lines.add_all(&seen.latency)?;
        lines.add_all(&seen.fault_map)?;
        lines.add_all(&seen.memory)?;
    }
    Ok(left_out)
}
