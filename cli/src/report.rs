//! A report: result file, figures, and one page that tells of them.

use std::fs;
use std::path::{Path, PathBuf};

use mmap_ahead_bench::Error;
use mmap_ahead_plots::Results;
use mmap_ahead_plots::report::{self, Told};
use serde::Serialize;

use crate::plot;

/// The name of the result file.
pub(crate) const RESULTS: &str = "results.jsonl";

/// Lines of a result file.
#[derive(Default)]
pub(crate) struct Lines(String);

impl Lines {
    pub(crate) fn add(&mut self, value: &impl Serialize) -> Result<(), Error> {
        let line = serde_json::to_string(value)
            .map_err(|error| Error::failed(format!("cannot write JSON: {error}")))?;
        self.0.push_str(&line);
        self.0.push('\n');
        Ok(())
    }

    pub(crate) fn append(&mut self, other: Lines) {
        self.0.push_str(&other.0);
    }

    pub(crate) fn add_all<'a, T: Serialize + 'a>(
        &mut self,
        values: impl IntoIterator<Item = &'a T>,
    ) -> Result<(), Error> {
        values.into_iter().try_for_each(|value| self.add(value))
    }
}

/// Writes all of it in `dir`; gives the page's path.
///
/// # Errors
/// When something cannot be drawn or written. The results are written first.
pub(crate) fn write(lines: &Lines, told: Told, dir: &Path) -> Result<PathBuf, Error> {
    fs::create_dir_all(dir).map_err(Error::at(dir))?;
    let path = dir.join(RESULTS);
    fs::write(&path, &lines.0).map_err(Error::at(&path))?;
    let results = Results::parse(RESULTS, &lines.0).map_err(plot::said)?;
    let drawings = mmap_ahead_plots::draw(&results).map_err(plot::said)?;
    plot::write(&drawings, dir)?;
    let files = vec![RESULTS.to_owned(), "every figure as SVG and PNG".to_owned()];
    report::write(&results, &drawings, &Told { files, ..told }, dir).map_err(plot::said)
}
