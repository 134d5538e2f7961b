//! Roofline: the fraction of the device's limit that each engine reaches on a cold file.

use super::throughput::{limit, median};
use super::{Figure, caption, engines, grouped};
use crate::axis::{Axis, three_digits};
use crate::results::{Results, Run};
use crate::rows::{self, Group, Row};
use crate::scene::Scene;
use crate::sheet::{Sheet, Width, limit_entry};
use crate::{Error, palette};

const TITLE: &str = "How much of the disk is used";

pub(super) const FIGURE: Figure = Figure {
    name: "roofline",
    title: TITLE,
    words: "100% means that the disk had something to do all the time. What is missing is time in \
            which the disk was ready and nobody had asked it for anything.",
    draw,
};

fn draw(results: &Results, width: Width) -> Result<Option<Scene>, Error> {
    let engines = engines(results.runs.iter().map(|run| run.engine.as_str()));
    let groups: Vec<_> = grouped(&results.runs, Run::scenario)
        .into_iter()
        .filter_map(|(heading, runs)| group(heading, &runs, &engines))
        .collect();
    if groups.is_empty() {
        return Ok(None);
    }
    let about = "Median throughput over that of direct reads at full depth, which is what the \
                 device gives at most: longer is better.";
    let mut sheet = Sheet::new(width, TITLE, about)?;
    sheet.legend(&[limit_entry("the disk's limit")])?;
    rows::draw(&mut sheet, &groups, &|most| {
        if most <= 1.0 {
            return Axis::percent("share of the limit (%)");
        }
        let axis = Axis::to(most * 100.0, "share of the limit (%)");
        let ticks = axis.ticks.iter().map(|(at, name)| (at / 100.0, name.clone())).collect();
        let scale = crate::axis::Scale::Linear { low: 0.0, high: axis.high() / 100.0 };
        Axis { scale, ticks, ..axis }
    })?;
    let drawn = results.runs.iter().filter(|run| run.cache == "cold");
    let lines = drawn.map(|run| run.environment.as_ref());
    sheet.finish(&caption(results, &["run"], lines)).map(Some)
}

fn group(heading: String, runs: &[&Run], engines: &[&str]) -> Option<Group> {
    let limit = limit(runs)?;
    let colors = palette::colors(engines);
    let row = |(name, color): (&&str, _)| {
        let share = median(runs, name)?.value / limit;
        (*name != "direct").then(|| Row {
            name: (*name).to_owned(),
            parts: vec![(share, color)],
            interval: None,
            value: format!("{}%", three_digits(share * 100.0)),
        })
    };
    let rows: Vec<_> = engines.iter().zip(colors).filter_map(row).collect();
    (!rows.is_empty()).then_some(Group { heading, rows, limit: Some(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, file, texts};

    #[test]
    fn only_cold_engines_are_held_against_the_limit() {
        for width in [Width::Wide, Width::Narrow] {
            let scene = draw(&file("compare.jsonl"), width).unwrap().unwrap();
            check(&scene);
            assert_eq!(scene.bars.len(), 4);
            let texts = texts(&scene);
            assert!(texts.contains("100%") && texts.contains("share of the limit (%)"), "{texts}");
            assert!(!texts.contains("warm"), "{texts}");
        }
    }

    #[test]
    fn without_direct_there_is_no_limit() {
        let mut results = file("compare.jsonl");
        results.runs.retain(|run| run.engine != "direct");
        assert!(draw(&results, Width::Wide).unwrap().is_none());
    }
}
