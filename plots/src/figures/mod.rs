//! The figures: one a file, each a function from results to a drawing, or to nothing where the
//! results do not hold what it shows.

use mmap_ahead_bench::environment::Environment;

use crate::Error;
use crate::results::{Results, place};
use crate::scene::Scene;
use crate::sheet::Width;

mod breakdown;
mod choi;
#[cfg(test)]
mod extremes;
mod fault_map;
mod latency;
mod memory;
mod predicted;
mod quality;
mod raster;
mod roofline;
mod speedup;
mod sweep_bars;
mod sweep_curves;
mod sweep_heat;
mod throughput;

pub(crate) use throughput::median;

/// A figure that can be drawn.
#[derive(Debug)]
pub(crate) struct Figure {
    /// The name of its files.
    pub(crate) name: &'static str,
    /// What it shows.
    pub(crate) title: &'static str,
    /// How to read it, for somebody who sees such a figure for the first time.
    pub(crate) words: &'static str,
    /// Draws it.
    pub(crate) draw: fn(&Results, Width) -> Result<Option<Scene>, Error>,
}

/// All figures, in the order in which a reader meets them.
pub(crate) const ALL: [Figure; 13] = [
    throughput::FIGURE,
    speedup::FIGURE,
    roofline::FIGURE,
    fault_map::FIGURE,
    latency::FIGURE,
    memory::FIGURE,
    quality::FIGURE,
    breakdown::FIGURE,
    sweep_bars::FIGURE,
    sweep_curves::FIGURE,
    sweep_heat::FIGURE,
    predicted::FIGURE,
    choi::FIGURE,
];

/// Items with the same key together, keys in the order in which they first appear.
pub(crate) fn grouped<'a, T, K: PartialEq>(
    items: impl IntoIterator<Item = &'a T>,
    key: impl Fn(&T) -> K,
) -> Vec<(K, Vec<&'a T>)> {
    let mut groups: Vec<(K, Vec<&T>)> = Vec::new();
    for item in items {
        let key = key(item);
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, group)) => group.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    groups
}

/// The different ones, in the order in which they first appear.
pub(crate) fn different<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

/// The engines of some lines: the baseline first, then ours, then the others as they appear. Runs
/// are shuffled, readers are not.
pub(crate) fn engines<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    const FIRST: [&str; 5] = ["memmap2", "mmap", "mmap+guard", "reader", "paged"];
    let mut engines = different(names);
    let place = |name: &&str| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len());
    engines.sort_by_key(place);
    engines
}

/// How sure intervals are, in percent: 95, or what the least sure covers where there were fewer than six
/// runs.
fn percent_covered(coverages: impl Iterator<Item = f64>) -> f64 {
    (coverages.fold(0.95, f64::min) * 100.0).round()
}

/// Where a figure comes from: the files that hold lines of `kinds`, commit, kernel, device.
fn caption<'a>(
    results: &Results,
    kinds: &[&str],
    lines: impl IntoIterator<Item = Option<&'a Environment>>,
) -> String {
    let files = results.sources.iter().filter(|(kind, _)| kinds.contains(&kind.as_str()));
    let files = different(files.map(|(_, file)| file.as_str())).join(", ");
    let environments: Vec<&Environment> = lines.into_iter().flatten().collect();
    let Some(first) = environments.first() else {
        return format!("{files}; simulated: no kernel and no device took part");
    };
    let all = |of: &dyn Fn(&Environment) -> String| {
        let words: Vec<String> = environments.iter().map(|environment| of(environment)).collect();
        different(words.iter().map(String::as_str)).join(", ")
    };
    let commit = all(&|e| e.commit.clone().unwrap_or_else(|| "unknown".to_owned()));
    let kernel = all(&|e| format!("Linux {}", e.kernel));
    let (cpus, cpu, places) = (first.cpus, &first.cpu, all(&place));
    format!("{files}; commit {commit}; {kernel}, {cpus} x {cpu}; {places}")
}

/// A name of the simulator's, as words.
fn words_of(name: &str) -> String {
    match name {
        "pte_construction_ns" => "page-table entries".to_owned(),
        "io_stall_ns" => "waiting for the device".to_owned(),
        "page_fault_ns" => "page faults".to_owned(),
        name => name.strip_suffix("_ns").unwrap_or(name).replace('_', " "),
    }
}
