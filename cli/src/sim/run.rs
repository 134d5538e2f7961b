//! `sim run`: one workload, one machine, some strategies, and where the time went.

use mmap_ahead::page::PageCount;
use mmap_ahead_bench::{Error, size};
use mmap_ahead_sim::{Knobs, Report, Strategy, run as simulate};
use serde::Serialize;

use super::{machine, workload, wrong};
use crate::output;

/// Simulate one workload with some strategies: times, faults, and a breakdown that adds up
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// seq, reverse, stride:BYTES, streams:K, random, zipf:THETA, blocks:BYTES,
    /// blocks:BYTES/STRIDE, files:BYTES*ROUNDS, phases:NAME+NAME, trace:FILE
    #[arg(long, default_value = "seq")]
    workload: String,
    /// Which strategies; `help` names them
    #[arg(long, value_delimiter = ',', default_value = "default-mmap,read,adaptive,oracle")]
    strategy: Vec<String>,
    /// Costs: choi2017, nvme, sata-ssd, optane-dax, nfs-1ms, object-store-30ms, or a file
    #[arg(long, default_value = "nvme")]
    costs: String,
    /// The largest window, for strategies that have that knob
    #[arg(long, value_parser = size::parse)]
    window: Option<u64>,
    /// How far ahead of the reader to map, for strategies that have that knob
    #[arg(long, value_parser = size::parse)]
    distance: Option<u64>,
    #[command(flatten)]
    shape: workload::Arguments,
    #[command(flatten)]
    machine: machine::Arguments,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// A line of results.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    /// Always `sim`.
    pub(crate) kind: &'static str,
    /// The machine's name.
    pub(crate) machine: &'a str,
    #[serde(flatten)]
    pub(crate) report: &'a Report,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Error> {
    if arguments.strategy.iter().any(|name| name == "help") {
        return Strategy::names().iter().try_for_each(|name| output::line(name));
    }
    let pages = |bytes: Option<u64>| bytes.map(|bytes| PageCount(bytes.div_ceil(4096)));
    let knobs = Knobs { window: pages(arguments.window), distance: pages(arguments.distance) };
    let named = |name: &String| Strategy::named(name, &knobs).map_err(wrong);
    let strategies: Vec<Strategy> =
        arguments.strategy.iter().map(named).collect::<Result<_, _>>()?;
    let machine = arguments.machine.machine(&arguments.costs)?;
    let workload = arguments.shape.workload(&arguments.workload)?;
    let mut reports = Vec::new();
    for strategy in &strategies {
        let report = simulate(&workload, strategy, &machine.setup).map_err(wrong)?;
        if arguments.json {
            output::json_line(&Line { kind: "sim", machine: &machine.name, report: &report })?;
        }
        reports.push(report);
    }
    if arguments.json {
        return Ok(());
    }
    let (workload, seed) = (workload.name(), machine.setup.seed);
    output::line(&format!("{workload} on {}, seed {seed}, milliseconds\n", machine.name))?;
    output::line(&times(&reports))?;
    output::line("")?;
    output::line(&counts(&reports))
}

/// A column for each strategy; every row a part of its time, the last their sum.
fn times(reports: &[Report]) -> String {
    let mut head = vec!["readers' time"];
    head.extend(reports.iter().map(|report| report.strategy.as_str()));
    let names: Vec<&str> = reports[0].breakdown.parts().map(|(name, _)| name).collect();
    let milliseconds = |ns: u64| format!("{:.3}", ns as f64 / 1e6);
    let part = |at: usize| {
        let parts = reports.iter().map(move |report| report.breakdown.parts().nth(at));
        parts.map(move |part| part.map_or(0, |(_, ns)| ns.0))
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (at, name) in names.iter().enumerate().filter(|(at, _)| part(*at).any(|ns| ns > 0)) {
        let mut row = vec![name.trim_end_matches("_ns").replace('_', " ")];
        row.extend(part(at).map(milliseconds));
        rows.push(row);
    }
    let mut sum = vec!["all".to_owned()];
    sum.extend(reports.iter().map(|report| milliseconds(report.counts.reader_ns)));
    rows.push(sum);
    output::table(&head, &rows)
}

fn counts(reports: &[Report]) -> String {
    let head = [
        "strategy",
        "seconds",
        "minor",
        "major",
        "switches",
        "entries",
        "requests",
        "MiB read",
        "accuracy",
        "coverage",
        "in time",
        "pollution",
    ];
    let percent =
        |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.1}%", share * 100.0));
    let row = |report: &Report| {
        let counts = &report.counts;
        vec![
            report.strategy.clone(),
            format!("{:.6}", report.virtual_seconds),
            counts.minor_faults.to_string(),
            counts.major_faults.to_string(),
            counts.mode_switches.to_string(),
            counts.ptes.to_string(),
            counts.ios.to_string(),
            format!("{:.1}", counts.io_bytes as f64 / (1 << 20) as f64),
            percent(report.accuracy),
            percent(Some(report.coverage)),
            percent(report.timeliness),
            percent(report.pollution),
        ]
    };
    output::table(&head, &reports.iter().map(row).collect::<Vec<_>>())
}
