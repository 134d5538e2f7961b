//! `sim sweep` and `sim merge`: grids of runs, in one piece or in several.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};

use mmap_ahead::page::PageCount;
use mmap_ahead_bench::{Error, size};
use mmap_ahead_sim::sweep::{
    Grid, Results, Shard, Source, Summary, csv, merge as merge_parts, summaries, sweep as run_grid,
};

use super::{machine, workload, wrong};
use crate::output::{self, Bar};

/// Simulate a grid: strategies x windows x distances x machines x workloads x seeds
///
/// With --out, results are written as they come, and the same command goes on where it was stopped.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which strategies; the others are held against the first
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "default-mmap,ramp,streams,adaptive,oracle"
    )]
    strategies: Vec<String>,
    /// Which workloads, as in `sim run`
    #[arg(long, value_delimiter = ',', default_value = "seq,random")]
    workloads: Vec<String>,
    /// Which machines: presets or files of costs
    #[arg(long, value_delimiter = ',', default_value = "nvme")]
    costs: Vec<String>,
    /// Largest windows, for strategies that have that knob
    #[arg(long, value_delimiter = ',', value_parser = size::parse)]
    windows: Vec<u64>,
    /// Distances, for strategies that have that knob
    #[arg(long, value_delimiter = ',', value_parser = size::parse)]
    distances: Vec<u64>,
    /// How many seeds, from --seed on
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    replicas: u64,
    /// Only every n-th cell, from the i-th on: i/n; `merge` joins the parts
    #[arg(long, default_value = "1/1")]
    shard: String,
    /// On how many threads [default: all cores]
    #[arg(long)]
    jobs: Option<NonZero<usize>>,
    /// Where results go, a JSON object a line
    #[arg(long)]
    out: Option<PathBuf>,
    /// Where results go as CSV
    #[arg(long)]
    csv: Option<PathBuf>,
    #[command(flatten)]
    shape: workload::Arguments,
    #[command(flatten)]
    machine: machine::Arguments,
    /// One JSON object a line on standard output
    #[arg(long)]
    json: bool,
}

/// Join the parts of a sweep: the same lines as if it had been run in one piece
#[derive(clap::Args)]
pub(crate) struct MergeArguments {
    /// The files that the shards wrote
    #[arg(required = true)]
    parts: Vec<PathBuf>,
    /// Where the whole goes, a JSON object a line
    #[arg(long)]
    out: Option<PathBuf>,
    /// Where the whole goes as CSV
    #[arg(long)]
    csv: Option<PathBuf>,
    /// One JSON object a line on standard output
    #[arg(long)]
    json: bool,
}

pub(crate) fn sweep(arguments: &Arguments) -> Result<(), Error> {
    let shard: Shard = arguments.shard.parse().map_err(wrong)?;
    let grid = grid(arguments)?;
    let title = grid.title().map_err(wrong)?;
    let mut results = match arguments.out.as_deref() {
        Some(path) => so_far(path, &title)?,
        None => Results::new(title),
    };
    let mut file = arguments.out.as_deref().map(|path| begin(path, &results)).transpose()?;
    let cells = grid.cells().map_err(wrong)?;
    let count = cells.iter().filter(|cell| shard.holds(cell.index)).count();
    let bar = Bar::new(count as u64, "sweep");
    let mut written = Ok(());
    run_grid(&grid, shard, arguments.jobs, &mut results, &mut |progress| {
        bar.reach(progress.done as u64);
        if let Some(file) = &mut file {
            written = append(file, progress.line);
        }
        match &written {
            Ok(()) => Ok(()),
            Err(error) => Err(mmap_ahead_sim::Error::Results(error.to_string())),
        }
    })
    .map_err(wrong)?;
    drop(bar);
    if !shard.is_all() {
        if arguments.out.is_none() {
            output::line(results.title())?;
            return results.lines().try_for_each(output::line);
        }
        return output::line(&format!(
            "{} of {} cells, seed {}",
            results.len(),
            cells.len(),
            grid.seed
        ));
    }
    finish(&results, arguments.out.as_deref(), arguments.csv.as_deref(), arguments.json)
}

pub(crate) fn merge(arguments: &MergeArguments) -> Result<(), Error> {
    let parts = arguments.parts.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    let results = merge_parts(parts).map_err(wrong)?;
    finish(&results, arguments.out.as_deref(), arguments.csv.as_deref(), arguments.json)
}

fn grid(arguments: &Arguments) -> Result<Grid, Error> {
    let axis = |bytes: &[u64]| match bytes {
        [] => vec![None],
        bytes => bytes.iter().map(|bytes| Some(PageCount(bytes.div_ceil(4096)))).collect(),
    };
    let machine = |name: &String| arguments.machine.machine(name);
    let workload = |name: &String| arguments.shape.workload(name).map(Source);
    Ok(Grid {
        strategies: arguments.strategies.clone(),
        windows: axis(&arguments.windows),
        distances: axis(&arguments.distances),
        machines: arguments.costs.iter().map(machine).collect::<Result<_, _>>()?,
        workloads: arguments.workloads.iter().map(workload).collect::<Result<_, _>>()?,
        replicas: arguments.replicas,
        seed: arguments.machine.seed,
    })
}

/// What an earlier run of the same sweep has written.
fn so_far(path: &Path, title: &str) -> Result<Results, Error> {
    match std::fs::metadata(path) {
        Ok(found) if found.len() > 0 => read(path),
        _ => Ok(Results::new(title.to_owned())),
    }
}

fn read(path: &Path) -> Result<Results, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::at(path))?;
    let named = |error| Error::failed(format!("{}: {error}", path.display()));
    Results::parse(&text).map_err(named)
}

/// The file with the whole lines that are there, open at its end.
fn begin(path: &Path, results: &Results) -> Result<File, Error> {
    write_whole(path, &cells_text(results))?;
    OpenOptions::new().append(true).open(path).map_err(Error::at(path))
}

fn append(file: &mut File, line: &str) -> io::Result<()> {
    file.write_all(format!("{line}\n").as_bytes())
}

fn cells_text(results: &Results) -> String {
    let lines = [results.title()].into_iter().chain(results.lines());
    lines.map(|line| format!("{line}\n")).collect()
}

/// Writes beside the file and renames: whoever stops this leaves the old one whole.
fn write_whole(path: &Path, text: &str) -> Result<(), Error> {
    let beside = path.with_extension("part");
    std::fs::write(&beside, text).map_err(Error::at(&beside))?;
    std::fs::rename(&beside, path).map_err(Error::at(path))
}

fn finish(
    results: &Results,
    out: Option<&Path>,
    csv_path: Option<&Path>,
    json: bool,
) -> Result<(), Error> {
    let summaries = summaries(results);
    let mut text = cells_text(results);
    for summary in &summaries {
        let line = serde_json::to_string(summary);
        let line = line.map_err(|error| Error::failed(format!("cannot write JSON: {error}")))?;
        text += &format!("{line}\n");
    }
    if let Some(path) = out {
        write_whole(path, &text)?;
    }
    if let Some(path) = csv_path {
        write_whole(path, &csv(results))?;
    }
    if json {
        return text.lines().try_for_each(output::line);
    }
    output::line(&format!("{}\n", results.title()))?;
    output::line(&table(&summaries))
}

fn table(summaries: &[Summary]) -> String {
    let head = [
        "strategy", "machine", "workload", "window", "distance", "runs", "seconds", "95%",
        "speedup", "95%", "p",
    ];
    let size = |pages: Option<u64>| pages.map_or("-".into(), |pages| size::exact(pages * 4096));
    let range = |ends: Option<[f64; 2]>, digits: usize| {
        ends.map_or("-".to_owned(), |[low, high]| format!("{low:.digits$} to {high:.digits$}"))
    };
    let row = |summary: &Summary| {
        let pair = summary.against_baseline;
        let number =
            |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
        vec![
            summary.strategy.clone(),
            summary.machine.clone(),
            summary.workload.clone(),
            size(summary.window_pages),
            size(summary.distance_pages),
            summary.runs.to_string(),
            format!("{:.6}", summary.seconds.mean),
            range(summary.seconds.ci95, 6),
            number(pair.map(|pair| pair.speedup)),
            range(pair.and_then(|pair| pair.ci95), 3),
            number(pair.and_then(|pair| pair.p)),
        ]
    };
    output::table(&head, &summaries.iter().map(row).collect::<Vec<_>>())
}
