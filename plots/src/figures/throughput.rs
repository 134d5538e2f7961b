//! Throughput by pattern and engine, with 95% intervals and the device's limit as a line.

use mmap_ahead_bench::interval::Median;

use super::{Figure, caption, engines, grouped, percent_covered};
use crate::axis::{Axis, three_digits};
use crate::results::{Results, Run};
use crate::rows::{self, Group, Row};
use crate::scene::Scene;
use crate::sheet::{Sheet, Width, blocks, limit_entry};
use crate::{Error, palette};

const TITLE: &str = "How fast a file is read";

pub(super) const FIGURE: Figure = Figure {
    name: "throughput",
    title: TITLE,
    words: "Longer bars are better. Each bar is one way to read the same file; the thin line \
            at its end shows how far the runs lay apart. A dashed line is what the disk can give at \
            most: nobody who has to wait for this disk gets past it.",
    draw,
};

/// The engine that is the device's limit on a cold file.
const LIMIT: &str = "direct";

/// How far the noise may carry an engine beyond it: whoever is further above has read in larger pieces than the
/// steps of the pattern, which is what `direct` reads, and the device gives more than that.
const BEYOND_LIMIT: f64 = 1.1;

fn draw(results: &Results, width: Width) -> Result<Option<Scene>, Error> {
    if results.runs.is_empty() {
        return Ok(None);
    }
    let scenarios = grouped(&results.runs, Run::scenario);
    let about = format!(
        "Median throughput in GB/s (10\u{2079} bytes a second): longer is better. Whiskers: {}% \
         interval of the median.",
        percent_covered(scenarios.iter().flat_map(|(_, runs)| coverages(runs)))
    );
    let mut sheet = Sheet::new(width, TITLE, &about)?;
    let engines = engines(results.runs.iter().map(|run| run.engine.as_str()));
    let has_bar = |name: &&str| scenarios.iter().any(|(_, runs)| has_bar(runs, name));
    let engines: Vec<_> = engines.into_iter().filter(has_bar).collect();
    let mut entries = blocks(&engines, &palette::colors(&engines));
    let groups: Vec<_> =
        scenarios.iter().map(|(scenario, runs)| group(scenario.clone(), runs, &engines)).collect();
    if groups.iter().any(|group| group.limit.is_some()) {
        entries.push(limit_entry("the disk's limit"));
    }
    sheet.legend(&entries)?;
    rows::draw(&mut sheet, &groups, &|most| Axis::to(most, "GB/s"))?;
    let lines = results.runs.iter().map(|run| run.environment.as_ref());
    sheet.finish(&caption(results, &["run"], lines)).map(Some)
}

fn group(scenario: String, runs: &[&Run], engines: &[&str]) -> Group {
    let colors = palette::colors(engines);
    let row = |(name, color): (&&str, plotters::style::RGBColor)| {
        let median = median(runs, name).filter(|_| has_bar(runs, name))?;
        Some(Row {
            name: (*name).to_owned(),
            parts: vec![(median.value, color)],
            interval: (median.low < median.high).then_some([median.low, median.high]),
            value: three_digits(median.value),
        })
    };
    let limit = limit(runs);
    let heading = match limit {
        Some(limit) => format!("{scenario} (limit {} GB/s)", three_digits(limit)),
        None => scenario,
    };
    Group { heading, rows: engines.iter().zip(colors).filter_map(row).collect(), limit }
}

/// How sure the interval of each engine is, where it has one.
fn coverages(runs: &[&Run]) -> Vec<f64> {
    let engines = engines(runs.iter().map(|run| run.engine.as_str())).into_iter();
    let medians = engines.filter_map(|engine| median(runs, engine));
    medians.filter(|median| median.low < median.high).map(|median| median.coverage).collect()
}

/// The median throughput of one engine's runs.
pub(crate) fn median(runs: &[&Run], engine: &str) -> Option<Median> {
    let those = runs.iter().filter(|run| run.engine == engine);
    Median::of(&those.map(|run| run.gb_per_s).collect::<Vec<_>>())
}

/// What the device gives at most; only a cold run knows.
pub(super) fn limit(runs: &[&Run]) -> Option<f64> {
    let limit = if is_cold(runs) { median(runs, LIMIT)?.value } else { return None };
    let is_beyond = |run: &&Run| {
        median(runs, &run.engine).is_some_and(|median| median.value > limit * BEYOND_LIMIT)
    };
    (!runs.iter().any(is_beyond)).then_some(limit)
}

fn is_cold(runs: &[&Run]) -> bool {
    runs.iter().all(|run| run.cache == "cold")
}

/// Whether an engine is a bar among these runs; the limit is a line.
fn has_bar(runs: &[&Run], engine: &str) -> bool {
    engine != LIMIT || (is_cold(runs) && limit(runs).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, file, texts};

    #[test]
    fn every_engine_has_a_bar_with_a_whisker_and_the_limit_is_a_line() {
        for width in [Width::Wide, Width::Narrow] {
            let scene = draw(&file("compare.jsonl"), width).unwrap().unwrap();
            check(&scene);
            assert_eq!(scene.bars.len(), 4 + 3, "direct is a line where the file is cold");
            assert_eq!(scene.whiskers.len(), 3 * scene.bars.len());
            assert_eq!(scene.curves.len(), 2, "the limit, and its entry in the legend");
            let texts = texts(&scene);
            assert!(texts.contains("GB/s") && texts.contains("limit 2.31 GB/s"), "{texts}");
            assert!(texts.contains("commit da129c7") && texts.contains("ext4 on vda"), "{texts}");
        }
    }

    #[test]
    fn what_an_engine_is_far_beyond_is_no_limit_but_one_of_them() {
        let mut results = file("compare.jsonl");
        let cold = results.runs.iter_mut().filter(|run| run.cache == "cold");
        cold.filter(|run| run.engine == "direct").for_each(|run| run.gb_per_s /= 4.0);
        let scene = draw(&results, Width::Wide).unwrap().unwrap();
        assert_eq!(scene.bars.len(), 4 + 3 + 1);
        assert!(scene.curves.is_empty(), "a limit is drawn");
        let texts = texts(&scene);
        assert!(texts.contains("direct") && !texts.contains("limit"), "{texts}");
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let scene = draw(&file("compare.jsonl"), Width::Wide).unwrap().unwrap();
        let length = |i: usize| f64::from(scene.bars[i].right - scene.bars[i].left);
        let ratio = length(1) / length(0);
        assert!((ratio - 2.0).abs() < 0.02, "mmap is twice as fast as memmap2 there, not {ratio}");
    }

    #[test]
    fn other_results_give_no_figure() {
        assert!(draw(&file("choi.jsonl"), Width::Wide).unwrap().is_none());
    }
}
