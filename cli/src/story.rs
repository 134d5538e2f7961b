//! What the demo says: one table, and a sentence for each scenario.

use mmap_ahead_bench::engine::Engine;
use mmap_ahead_plots::report::verdict;

use crate::demo::{ENGINES, Scenario};
use crate::output;

/// The table and what it means, in words.
pub(crate) fn tell(scenarios: &[Scenario]) -> String {
    let mut head = vec!["GB/s, median"];
    head.extend(ENGINES.iter().map(|engine| engine.name()));
    head.extend(["the disk's limit", "mmap vs memmap2", "95% interval"]);
    let rows: Vec<_> = scenarios.iter().map(row).collect();
    let sentences: Vec<_> = scenarios.iter().filter_map(sentence).collect();
    format!(
        "\n{}\n\n{}\n{}",
        output::table(&head, &rows),
        sentences.join("\n"),
        "memmap2 is what programs use today, mmap is this project with nothing else changed, read \
         is read(2)\ninto a buffer. A ratio above 1 is faster; it is made of runs that were \
         neighbours in time."
    )
}

fn row(scenario: &Scenario) -> Vec<String> {
    let comparison = &scenario.comparison;
    let speed = |engine: Engine| {
        let median = comparison.median(engine, |run| run.gb_per_s);
        median.map_or_else(|| "-".to_owned(), |median| format!("{:.2}", median.value))
    };
    let mut cells = vec![scenario.label.clone()];
    cells.extend(ENGINES.iter().map(|&engine| speed(engine)));
    cells.push(speed(Engine::Direct));
    match comparison.ratio_of(Engine::Mmap) {
        Some(ratio) => {
            let [low, high] = ratio.speedup_ci95;
            cells.push(format!("{:.2}x", ratio.speedup_median));
            cells.push(format!("{low:.2} to {high:.2}"));
        }
        None => cells.extend(["-".to_owned(), "-".to_owned()]),
    }
    cells
}

fn sentence(scenario: &Scenario) -> Option<String> {
    let ratio = scenario.comparison.ratio_of(Engine::Mmap)?;
    let said = verdict(ratio.speedup_median, ratio.speedup_ci95, ratio.ci_coverage);
    Some(format!("{}: {said}.", scenario.label))
}
