//! `sim calibrate`: measures this machine and writes its sheet of costs.

use std::fs;
use std::path::PathBuf;

use mmap_ahead_bench::Error;
use mmap_ahead_sim::calibrate::{self, Plan};
use mmap_ahead_sim::costs::Sheet;

use super::wrong;
use crate::output;
use crate::place;

/// Measure what this machine's work costs, and write it as a sheet of costs
///
/// About 1 second a round. 384 MiB are written to --dir, and to /dev/shm, and removed. The machine should
/// have nothing else to do. What cannot be measured from user space keeps the value of the preset
/// `nvme`, and the sheet says so.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The sheet
    #[arg(short, long, default_value = "host.toml")]
    output: PathBuf,
    /// A directory on the disk to measure [default: /var/tmp, or here when that is in memory]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// How many rounds; each measures everything once
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// One JSON object a line, for every cost
    #[arg(long)]
    json: bool,
}

pub(crate) fn calibrate(arguments: &Arguments) -> Result<(), Error> {
    let plan = Plan {
        disk: arguments.dir.clone().unwrap_or_else(place::default_dir),
        memory: place::memory_dir(384 << 20).map_err(Error::failed)?,
        rounds: arguments.rounds,
    };
    let sheet = calibrate::calibrate(&plan, &mut |_| {}).map_err(wrong)?;
    let path = &arguments.output;
    fs::write(path, sheet.to_toml()).map_err(Error::at(path))?;
    if arguments.json {
        return print_json(&sheet);
    }
    output::line(&table(&sheet))?;
    output::line(&format!("written to {}", path.display()))
}

fn print_json(sheet: &Sheet) -> Result<(), Error> {
    for (name, cost) in &sheet.costs {
        output::json_line(&serde_json::json!({
            "kind": "cost",
            "name": name,
            "value": cost.value,
            "unit": cost.unit,
            "range": cost.range,
            "source": cost.source,
        }))?;
    }
    Ok(())
}

fn table(sheet: &Sheet) -> String {
    let rows: Vec<Vec<String>> = sheet
        .costs
        .iter()
        .map(|(name, cost)| {
            let [low, high] = cost.range.map(short);
            let how = if cost.source.starts_with("measured") { "measured" } else { "preset" };
            let unit = cost.unit.text().to_owned();
            vec![name.clone(), short(cost.value), unit, low, high, how.to_owned()]
        })
        .collect();
    output::table(&["cost", "value", "unit", "from", "to", "source"], &rows)
}

fn short(value: f64) -> String {
    if value >= 1e6 { format!("{value:.3e}") } else { format!("{value:.3}") }
}
