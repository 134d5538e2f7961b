//! Speed-up over plain mmap, with 95% intervals.

use super::{Figure, caption, different, engines, grouped, percent_covered};
use crate::axis::{Axis, three_digits};
use crate::results::{Ratio, Results};
use crate::rows::{self, Group, Row};
use crate::scene::Scene;
use crate::sheet::{Sheet, Width, limit_entry};
use crate::{Error, palette};

const TITLE: &str = "How many times as fast";

pub(super) const FIGURE: Figure = Figure {
    name: "speedup",
    title: TITLE,
    words: "The same runs, held against plain memory mapping: 1 is just as fast (the dashed line), \
            2 is half the time. Where the thin line of a bar crosses the dashed line, the runs \
            cannot tell whether there is a difference at all.",
    draw,
};

fn draw(results: &Results, width: Width) -> Result<Option<Scene>, Error> {
    if results.ratios.is_empty() {
        return Ok(None);
    }
    let baselines = different(results.ratios.iter().map(|ratio| ratio.baseline.as_str()));
    let about = format!(
        "Seconds of {} over seconds of the engine, median of pairs that ran next to each other: \
         longer is better, 1 is no difference. Whiskers: {}% interval.",
        baselines.join(", "),
        percent_covered(results.ratios.iter().map(|ratio| ratio.ci_coverage))
    );
    let mut sheet = Sheet::new(width, TITLE, &about)?;
    sheet.legend(&[limit_entry("no difference")])?;
    let engines = engines(results.ratios.iter().map(|ratio| ratio.engine.as_str()));
    let groups: Vec<_> = grouped(&results.ratios, Ratio::scenario)
        .into_iter()
        .map(|(heading, mut ratios)| {
            ratios.sort_by_key(|ratio| engines.iter().position(|name| *name == ratio.engine));
            let rows = ratios.iter().map(|ratio| row(ratio, &engines)).collect();
            Group { heading, rows, limit: Some(1.0) }
        })
        .collect();
    rows::draw(&mut sheet, &groups, &|most| Axis::to(most, "times as fast (no unit)"))?;
    let lines = results.ratios.iter().map(|ratio| ratio.environment.as_ref());
    sheet.finish(&caption(results, &["ratio"], lines)).map(Some)
}

fn row(ratio: &Ratio, engines: &[&str]) -> Row {
    let colors = palette::colors(engines);
    let color = engines.iter().position(|name| *name == ratio.engine).map(|i| colors[i]);
    Row {
        name: ratio.engine.clone(),
        parts: vec![(ratio.speedup_median, color.unwrap_or(palette::INK))],
        interval: Some(ratio.speedup_ci95),
        value: format!("{}\u{d7}", three_digits(ratio.speedup_median)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, file, texts};

    #[test]
    fn every_ratio_has_a_bar_and_one_is_marked() {
        for width in [Width::Wide, Width::Narrow] {
            let results = file("compare.jsonl");
            let scene = draw(&results, width).unwrap().unwrap();
            check(&scene);
            assert_eq!(scene.bars.len(), results.ratios.len());
            assert_eq!(scene.whiskers.len(), 3 * results.ratios.len());
            let texts = texts(&scene);
            assert!(texts.contains("2.00\u{d7}") && texts.contains("memmap2"), "{texts}");
        }
    }
}
