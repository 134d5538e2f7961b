//! `sim validate`: predictions, written and hashed; then measurements; then both side by side.

use std::fs;
use std::path::PathBuf;

use mmap_ahead_bench::environment::Environment;
use mmap_ahead_bench::read_ahead::ReadAhead;
use mmap_ahead_bench::{Error, size};
use mmap_ahead_sim::validate::{self, Dirs, Files, Place, Plan, Score, Scored};
use serde::Serialize;

use super::{machine, wrong};
use crate::output;
use crate::place;

/// Predict runs of engines on this machine, then measure them, and say how good the model is
///
/// All predictions are written to --predictions, and their SHA-256 is printed, before the first
/// measurement. Cold runs read a file on a disk, warm ones a file on tmpfs. The machine must have
/// nothing else to do, for this and for the calibration: costs are CPU time, runs are measured by
/// the wall clock.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The sheet of costs that `sim calibrate` wrote for this machine
    #[arg(long, default_value = "host.toml")]
    costs: PathBuf,
    /// Where the predictions are written
    #[arg(long, default_value = "predictions.jsonl")]
    predictions: PathBuf,
    /// A directory on the disk [default: /var/tmp, or here when that is in memory]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Length of the file
    #[arg(long, default_value = "256MiB", value_parser = size::parse)]
    size: u64,
    /// Steps of random patterns
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// How many runs of each cell; one more is thrown away
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Set the disk's read_ahead_kb first, and put it back on every exit (root)
    #[arg(long)]
    read_ahead_kb: Option<u64>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(crate) fn validate(arguments: &Arguments) -> Result<(), Error> {
    let plan = Plan { len: arguments.size, steps: arguments.steps, rounds: arguments.runs };
    let costs = machine::of_file(&arguments.costs)?;
    let dirs = Dirs {
        disk: arguments.dir.clone().unwrap_or_else(place::default_dir),
        memory: place::memory_dir(plan.len).map_err(Error::failed)?,
    };
    let files = Files::make(&dirs, plan.len).map_err(wrong)?;
    let read_ahead = arguments.read_ahead_kb.map(|kib| ReadAhead::set(files.on_disk(), kib));
    let _read_ahead = read_ahead.transpose()?;
    let setup = validate::this_machine(&costs, files.on_disk());
    let predicted = validate::predict(&plan, &setup).map_err(wrong)?;
    let written = validate::written(&predicted).map_err(wrong)?;
    let path = &arguments.predictions;
    fs::write(path, &written).map_err(Error::at(path))?;
    let hash = validate::hash(&written);
    if !arguments.json {
        let count = predicted.len();
        output::line(&format!("{count} predictions in {}, SHA-256 {hash}", path.display()))?;
    }
    let measured = validate::measure(&plan, &setup, &files, &mut |_, _| {}).map_err(wrong)?;
    let (cells, score) = validate::score(&predicted, &measured);
    if arguments.json {
        return print_json(&cells, &score, &hash, &Environment::of(files.on_disk()));
    }
    output::line(&table(&cells))?;
    output::line(&verdict(&score))
}

/// The cells as `plot` draws them, and the verdict, which it leaves out.
fn print_json(
    cells: &[Scored],
    score: &Score,
    hash: &str,
    environment: &Environment,
) -> Result<(), Error> {
    for cell in cells {
        output::json_line(&CellLine { kind: "validate", cell, environment })?;
    }
    output::json_line(&ScoreLine { kind: "validate_score", score, predictions_sha256: hash })
}

#[derive(Serialize)]
struct CellLine<'a> {
    kind: &'static str,
    #[serde(flatten)]
    cell: &'a Scored,
    environment: &'a Environment,
}

#[derive(Serialize)]
struct ScoreLine<'a> {
    kind: &'static str,
    #[serde(flatten)]
    score: &'a Score,
    predictions_sha256: &'a str,
}

fn table(cells: &[Scored]) -> String {
    let rows: Vec<Vec<String>> = cells.iter().map(row).collect();
    let head = [
        "pattern",
        "cache",
        "way",
        "predicted s",
        "measured s",
        "95% interval",
        "error",
        "faults",
        "measured",
    ];
    output::table(&head, &rows)
}

fn row(cell: &Scored) -> Vec<String> {
    let [low, high] = cell.measured_ci95;
    vec![
        cell.pattern.clone(),
        if cell.cache == Place::Cold { "cold" } else { "warm" }.to_owned(),
        cell.way.clone(),
        format!("{:.4}", cell.predicted_s),
        format!("{:.4}", cell.measured_s),
        format!("{low:.4} to {high:.4}"),
        format!("{:+.0}%", cell.error * 100.0),
        cell.predicted_faults.to_string(),
        cell.measured_faults.to_string(),
    ]
}

fn verdict(score: &Score) -> String {
    let Score { cells, median_abs_error, cells_within, orders, spearman, .. } = score;
    format!(
        "median error {:.1}% (bar: 15%), {cells_within} of {cells} cells within 15%\n\
         order of the ways: Spearman {spearman:.2} on average (bar: 0.9), {:.2} at worst, over the \
         {orders} patterns in which they can be told apart\n\
         without ties, over all of them: {:.2}; of all speed-ups together {:.2}\n{}",
        median_abs_error * 100.0,
        score.spearman_worst,
        score.spearman_untied,
        score.spearman_speedups,
        if score.good { "both bars are met" } else { "NOT both bars are met" }
    )
}
