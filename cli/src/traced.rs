//! `--pattern trace:FILE`: the steps of a trace of any format that the simulator reads.

use std::path::Path;

use mmap_ahead::page::{Nanos, PageSize};
use mmap_ahead_bench::run::RunSpec;
use mmap_ahead_bench::steps::{STEP_LEN, Steps};
use mmap_ahead_bench::{Error, datafile};
use mmap_ahead_sim::{PageTrace, Survey, Thinking};

/// One step for every page of 4 KiB that the trace touches, in its order, over the file of `spec`:
/// those of the file of that path when the trace names it, else those of its most used file. All of
/// them are kept in memory while the run is timed, 8 bytes each.
///
/// # Errors
/// One line that names the trace, and the line in it that is wrong.
pub(crate) fn steps(trace: &str, spec: &RunSpec) -> Result<Steps, Error> {
    let named = |error: String| Error::failed(format!("{trace}: {error}"));
    let wrong = |error: mmap_ahead_sim::Error| named(error.to_string());
    let path = Path::new(trace);
    let survey = Survey::of(path).map_err(wrong)?;
    let whole = spec.path.canonicalize().unwrap_or_else(|_| spec.path.clone());
    let file = whole.to_str().filter(|whole| survey.choose(Some(whole)).is_ok());
    let thinking = Thinking::Constant(Nanos(0));
    let walk = PageTrace::open(path, file, PageSize::FOUR_KIB, thinking).map_err(wrong)?;
    let touches = walk.touches().map_err(wrong)?;
    let offsets: Result<Vec<u64>, _> =
        touches.map(|touch| touch.map(|touch| touch.page.0 * STEP_LEN)).collect();
    let len = datafile::readable_len(&spec.path)?;
    Steps::listed(offsets.map_err(wrong)?, len, spec.touch)
        .map_err(|error| named(error.to_string()))
}
