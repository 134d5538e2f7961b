//! The sweep as bars: the strategies whose window was not turned.

use super::breakdown::seconds;
use super::{Figure, caption, different, grouped};
use crate::axis::time;
use crate::results::{Results, Sweep};
use crate::rows::{self, Group, Row};
use crate::scene::Scene;
use crate::sheet::{Sheet, Width};
use crate::{Error, palette};

const TITLE: &str = "Strategies side by side";

pub(super) const FIGURE: Figure = Figure {
    name: "sweep-strategies",
    title: TITLE,
    words: "How long the same reading takes with each strategy, on modelled machines: shorter is \
            better. The oracle knows what comes next; no strategy can be faster.",
    draw,
};

fn draw(results: &Results, width: Width) -> Result<Option<Scene>, Error> {
    let plain: Vec<&Sweep> =
        results.sweeps.iter().filter(|point| point.window_pages.is_none()).collect();
    if plain.is_empty() {
        return Ok(None);
    }
    let about = "Simulated time, the mean over the seeds: shorter is better. Whiskers, where there \
                 were several seeds: 95% interval.";
    let mut sheet = Sheet::new(width, TITLE, about)?;
    let names = different(plain.iter().map(|point| point.strategy.as_str()));
    let colors = palette::colors(&names);
    let row = |point: &&Sweep| {
        let index = names.iter().position(|name| *name == point.strategy).unwrap_or(0);
        let distance = point.distance_bytes().map(crate::axis::length);
        Row {
            name: match distance {
                Some(distance) => format!("{}, distance {distance}", point.strategy),
                None => point.strategy.clone(),
            },
            parts: vec![(point.seconds.mean, colors[index])],
            interval: point.seconds.ci95.map(|[low, high]| [low.max(0.0), high]),
            value: time(point.seconds.mean),
        }
    };
    let group = |(heading, points): (String, Vec<&Sweep>)| Group {
        heading,
        rows: points.iter().map(row).collect(),
        limit: None,
    };
    let groups = grouped(plain.iter().copied(), Sweep::scenario);
    let groups: Vec<_> = groups.into_iter().map(group).collect();
    rows::draw(&mut sheet, &groups, &|most| seconds(most, "virtual time"))?;
    sheet.finish(&caption(results, &["summary"], [])).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, file, texts};

    #[test]
    fn every_strategy_without_a_window_has_a_bar() {
        for width in [Width::Wide, Width::Narrow] {
            let results = file("sweep.jsonl");
            let scene = draw(&results, width).unwrap().unwrap();
            check(&scene);
            let plain = results.sweeps.iter().filter(|point| point.window_pages.is_none());
            assert_eq!(scene.bars.len(), plain.count());
            let texts = texts(&scene);
            assert!(texts.contains("oracle") && texts.contains("virtual time (s)"), "{texts}");
        }
    }
}
