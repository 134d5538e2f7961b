//! What the simulated time went to, strategy by strategy.

use super::{Figure, caption, different, grouped, words_of};
use crate::axis::{Axis, Scale, Unit, time};
use crate::results::{Results, Sim};
use crate::rows::{self, Group, Row};
use crate::scene::Scene;
use crate::sheet::{Sheet, Width, blocks};
use crate::{Error, palette};

const TITLE: &str = "What the time goes to";

pub(super) const FIGURE: Figure = Figure {
    name: "breakdown",
    title: TITLE,
    words: "The simulator books every nanosecond: reading the bytes themselves, and everything that \
            the kernel does before they can be read. Shorter is better; only the part that is file \
            access is work that the program wanted.",
    draw,
};

/// As many parts as have a colour of their own; the others are one.
const PARTS_MOST: usize = 8;
const OTHERS: &str = "everything else";

fn draw(results: &Results, width: Width) -> Result<Option<Scene>, Error> {
    let sims: Vec<&Sim> = results.sims.iter().filter(|sim| !sim.breakdown.is_empty()).collect();
    if sims.is_empty() {
        return Ok(None);
    }
    let mut sheet = Sheet::new(width, TITLE, "Simulated time, part by part: shorter is better.")?;
    let (parts, others) = parts(&sims);
    let mut names: Vec<String> = parts.iter().map(|part| words_of(part)).collect();
    names.extend(others.then(|| OTHERS.to_owned()));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let colors = palette::distinct("parts", &names)?;
    sheet.legend(&blocks(&names, &colors))?;
    let row = |sim: &&Sim| {
        let of = |name: &&str| sim.breakdown.get(*name).copied().unwrap_or(0);
        let all: u64 = sim.breakdown.values().sum();
        let rest = all - parts.iter().map(of).sum::<u64>();
        let values = parts.iter().map(of).chain([rest]).map(|ns| ns as f64 / 1e9);
        Row {
            name: sim.strategy.clone(),
            parts: values.zip(colors.iter().copied()).collect(),
            interval: None,
            value: time(all as f64 / 1e9),
        }
    };
    let group = |(heading, sims): (String, Vec<&Sim>)| Group {
        heading,
        rows: sims.iter().map(row).collect(),
        limit: None,
    };
    let groups = grouped(sims.iter().copied(), |sim| sim.scenario());
    let groups: Vec<_> = groups.into_iter().map(group).collect();
    rows::draw(&mut sheet, &groups, &|most| seconds(most, "virtual time"))?;
    sheet.finish(&caption(results, &["sim"], [])).map(Some)
}

/// The longest parts by name, and whether there are others.
fn parts<'a>(sims: &[&'a Sim]) -> (Vec<&'a str>, bool) {
    let sum = |name: &str| {
        let of = |sim: &&Sim| sim.breakdown.get(name).copied().unwrap_or(0);
        sims.iter().map(of).map(u128::from).sum::<u128>()
    };
    let names = sims.iter().flat_map(|sim| sim.breakdown.keys());
    let mut names = different(names.map(String::as_str));
    names.retain(|name| sum(name) > 0);
    names.sort_by_key(|name| std::cmp::Reverse(sum(name)));
    let others = names.len() > PARTS_MOST;
    names.truncate(PARTS_MOST);
    (names, others)
}

/// An axis for values in seconds, in the unit that suits them.
pub(super) fn seconds(most: f64, what: &str) -> Axis {
    let unit = Unit::time(most);
    let axis = Axis::to(most / unit.size, format!("{what} ({})", unit.name));
    let ticks = axis.ticks.iter().map(|(at, name)| (at * unit.size, name.clone())).collect();
    let scale = Scale::Linear { low: 0.0, high: axis.high() * unit.size };
    Axis { scale, ticks, ..axis }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, file, texts};

    #[test]
    fn the_parts_of_a_bar_stand_one_after_the_other() {
        for width in [Width::Wide, Width::Narrow] {
            let results = file("sim.jsonl");
            let scene = draw(&results, width).unwrap().unwrap();
            check(&scene);
            let rows = results.sims.iter().filter(|sim| !sim.breakdown.is_empty()).count();
            let tops =
                scene.bars.iter().map(|bar| bar.top).collect::<std::collections::BTreeSet<_>>();
            assert_eq!(tops.len(), rows, "one bar a strategy");
            for two in scene.bars.windows(2).filter(|two| two[0].top == two[1].top) {
                assert_eq!(two[0].right, two[1].left, "no gap and no overlap");
            }
            let texts = texts(&scene);
            assert!(
                texts.contains("virtual time (ms)") && texts.contains("file access"),
                "{texts}"
            );
        }
    }
}
