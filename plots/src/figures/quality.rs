//! Accuracy, coverage and timeliness of each policy.

use super::{Figure, caption, different, grouped};
use crate::axis::{Axis, three_digits};
use crate::results::{Results, Sim};
use crate::rows::{self, Group, Row};
use crate::scene::Scene;
use crate::sheet::{Sheet, Width, blocks};
use crate::{Error, palette};

const TITLE: &str = "How well each policy guesses";

pub(super) const FIGURE: Figure = Figure {
    name: "policies",
    title: TITLE,
    words: "Reading ahead is guessing. Accuracy: how much of what was fetched was wanted. Coverage: \
            how much of what was wanted was there. Timeliness: how much of that came in time. The \
            simulator runs the very code that the library runs.",
    draw,
};

type Measure = (&'static str, fn(&Sim) -> Option<f64>);

const MEASURES: [Measure; 3] = [
    ("accuracy: fetched pages that were used", |sim| sim.accuracy),
    ("coverage: touches that found their page mapped", |sim| sim.coverage),
    ("timeliness: used pages that were ready in time", |sim| sim.timeliness),
];

fn draw(results: &Results, width: Width) -> Result<Option<Scene>, Error> {
    let known = |sim: &&Sim| MEASURES.iter().any(|(_, of)| of(sim).is_some());
    let sims: Vec<&Sim> = results.sims.iter().filter(known).collect();
    if sims.is_empty() {
        return Ok(None);
    }
    let about = "Simulated, one trace after the other: longer is better. A policy without a bar \
                 fetched nothing that could be judged.";
    let mut sheet = Sheet::new(width, TITLE, about)?;
    let policies = different(sims.iter().map(|sim| sim.strategy.as_str()));
    let colors = palette::colors(&policies);
    sheet.legend(&blocks(&policies, &colors))?;
    let row = |sim: &&Sim, of: fn(&Sim) -> Option<f64>| {
        let share = of(sim)?;
        let index = policies.iter().position(|name| *name == sim.strategy)?;
        Some(Row {
            name: sim.strategy.clone(),
            parts: vec![(share, colors[index])],
            interval: None,
            value: format!("{}%", three_digits(share * 100.0)),
        })
    };
    for (trace, sims) in grouped(sims, |sim| sim.scenario()) {
        // Of each trace its own axis, for all three measures.
        let group = |(measure, of): Measure| {
            let rows: Vec<_> = sims.iter().filter_map(|sim| row(sim, of)).collect();
            let heading = format!("{trace}: {measure}");
            (!rows.is_empty()).then_some(Group { heading, rows, limit: None })
        };
        let groups: Vec<_> = MEASURES.into_iter().filter_map(group).collect();
        rows::draw_as_one(&mut sheet, &groups, &Axis::percent("share (%)"))?;
    }
    sheet.finish(&caption(results, &["sim"], [])).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, file, texts};

    #[test]
    fn every_known_share_has_a_bar() {
        for width in [Width::Wide, Width::Narrow] {
            let results = file("sim.jsonl");
            let scene = draw(&results, width).unwrap().unwrap();
            check(&scene);
            let known = results.sims.iter().flat_map(|sim| MEASURES.map(|(_, of)| of(sim)));
            assert_eq!(scene.bars.len(), known.flatten().count());
            let texts = texts(&scene);
            for word in ["accuracy", "coverage", "timeliness", "share (%)", "100%"] {
                assert!(texts.contains(word), "no `{word}` in {texts}");
            }
        }
    }
}
