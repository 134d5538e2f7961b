//! `plot`: draws what result files hold.

use std::path::{Path, PathBuf};

use mmap_ahead_bench::Error;
use mmap_ahead_plots::{Drawing, Results};

use crate::output;

/// Draw figures from result files
///
/// A result file holds one JSON object a line, as `compare --json`, `sim .. --json`, `demo` and
/// `compare --report` write them. Every figure that the lines are enough for is drawn, as SVG and as
/// PNG.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Result files; several are drawn together
    #[arg(required = true)]
    results: Vec<PathBuf>,
    /// Where the figures go
    #[arg(short, long)]
    out: PathBuf,
}

pub(crate) fn plot(arguments: &Arguments) -> Result<(), Error> {
    let mut all = Results::default();
    for path in &arguments.results {
        all.append(Results::read(path).map_err(said)?);
    }
    let drawings = mmap_ahead_plots::draw(&all).map_err(said)?;
    write(&drawings, &arguments.out)?
        .iter()
        .try_for_each(|path| output::line(&path.display().to_string()))
}

/// Writes the figures; gives their paths.
pub(crate) fn write(drawings: &[Drawing], dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for drawing in drawings {
        paths.extend(drawing.write(dir).map_err(said)?);
    }
    Ok(paths)
}

/// An error of whoever draws, as this program's.
pub(crate) fn said(error: mmap_ahead_plots::Error) -> Error {
    Error::failed(error.to_string())
}
