//! What the demo says: one table, a sentence for each scenario, and the results as they are.

use mmap_ahead_bench::Error;
use mmap_ahead_bench::engine::Engine;
use mmap_ahead_bench::result::RatioResult;
use serde::Serialize;

use crate::demo::{ENGINES, Scenario};
use crate::output;

/// The table and what it means, in words.
pub(crate) fn tell(scenarios: &[Scenario]) -> String {
    let mut head = vec!["GB/s, median"];
    head.extend(ENGINES.iter().map(|engine| engine.name()));
    head.extend(["mmap vs memmap2", "95% interval"]);
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
    Some(format!("{}: {}.", scenario.label, verdict(ratio)))
}

/// What the interval allows to say, and no more. Under 3% nobody would notice.
fn verdict(ratio: &RatioResult) -> String {
    let [low, high] = ratio.speedup_ci95;
    let times = ratio.speedup_median;
    if low > 1.03 {
        format!("reading ahead makes the same code {times:.2} times as fast")
    } else if high < 0.97 {
        format!("reading ahead costs time here, {:.0}%", (1.0 / times - 1.0) * 100.0)
    } else if low >= 0.97 && high <= 1.03 {
        "no difference; the kernel leaves nothing to win".to_owned()
    } else {
        format!("{times:.2} times, but the runs vary too much to be sure of a difference")
    }
}

/// Every run and ratio, one JSON object a line.
pub(crate) fn json_lines(scenarios: &[Scenario]) -> Result<String, Error> {
    let mut text = String::new();
    for scenario in scenarios {
        for run in &scenario.comparison.runs {
            add(&mut text, run)?;
        }
        for ratio in &scenario.comparison.ratios {
            add(&mut text, ratio)?;
        }
    }
    Ok(text)
}

fn add(text: &mut String, value: &impl Serialize) -> Result<(), Error> {
    let line = serde_json::to_string(value)
        .map_err(|error| Error::failed(format!("cannot write JSON: {error}")))?;
    text.push_str(&line);
    text.push('\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mmap_ahead_bench::result::{Kind, SCHEMA};

    fn ratio(median: f64, low: f64, high: f64) -> RatioResult {
        RatioResult {
            kind: Kind::Ratio,
            schema: SCHEMA,
            wilcoxon_p: None,
            file_extents: None,
            engine: "mmap".into(),
            baseline: "memmap2".into(),
            speedup_median: median,
            speedup_ci95: [low, high],
            runs: 7,
            ci_coverage: 0.98,
            pattern: "seq".into(),
            cache: "warm".into(),
            file: "f".into(),
            environment: None,
        }
    }

    #[test]
    fn words_claim_no_more_than_the_interval() {
        assert!(verdict(&ratio(1.5, 1.4, 1.6)).contains("1.50 times as fast"));
        assert!(verdict(&ratio(0.8, 0.7, 0.9)).contains("costs time here, 25%"));
        assert!(verdict(&ratio(1.0, 0.98, 1.02)).contains("no difference"));
        assert!(verdict(&ratio(1.2, 0.9, 1.6)).contains("vary too much"));
    }
}
