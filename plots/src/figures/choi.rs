//! Figure 1 of Choi, Kim and Han (HotStorage 2017): the paper, the simulator, and this machine.

use mmap_ahead_bench::interval::Median;

use super::breakdown::seconds;
use super::{Figure, caption, different, grouped, words_of};
use crate::Error;
use crate::axis::three_digits;
use crate::palette;
use crate::results::{Choi, Results, Run};
use crate::rows::{self, Group, Row};
use crate::scene::Scene;
use crate::sheet::{Sheet, Width, blocks};

const TITLE: &str = "A published experiment, again";

pub(super) const FIGURE: Figure = Figure {
    name: "choi",
    title: TITLE,
    words: "Choi, Kim and Han read a file of 4 GiB from memory in three ways and published what the \
            time went to. The simulator does the same; where this machine has read such a file from \
            memory as well, its bars stand below, scaled to 4 GiB.",
    draw,
};

/// The length of the paper's file.
const PAPER_BYTES: f64 = 4_294_967_296.0;
/// The component that is the sum of the others.
const TOTAL: &str = "total";
/// What this machine's bars are made of: it cannot look inside.
const WHOLE: &str = "all of it, not taken apart";

fn draw(results: &Results, width: Width) -> Result<Option<Scene>, Error> {
    if results.choi.is_empty() {
        return Ok(None);
    }
    let about = "Reading 4 GiB in order, a page at a time, from memory (the paper: Ext4-DAX): \
                 shorter is better. The paper's values are read off its figure, to 0.02 s.";
    let mut sheet = Sheet::new(width, TITLE, about)?;
    let components = results.choi.iter().map(|line| line.component.as_str());
    let mut parts: Vec<_> =
        different(components).into_iter().filter(|part| !is_whole(part)).collect();
    parts.push(WHOLE);
    let mut colors = palette::distinct("parts", &parts[..parts.len() - 1])?;
    colors.push(palette::GREY);
    let names: Vec<String> = parts.iter().map(|part| words_of(part)).collect();
    sheet.legend(&blocks(&names.iter().map(String::as_str).collect::<Vec<_>>(), &colors))?;
    let group = |(case, lines): (String, Vec<&Choi>)| {
        let bar = |name: &str, of: &dyn Fn(&Choi) -> Option<f64>| {
            row(name, &lines, of, (&parts, &colors))
        };
        let rows = [
            bar("paper", &|line| line.paper_s),
            bar("simulated", &|line| Some(line.sim_s)),
            here(results, &case),
        ];
        Group { heading: case, rows: rows.into_iter().flatten().collect(), limit: None }
    };
    let cases = grouped(&results.choi, |line| line.case.clone());
    let groups: Vec<_> = cases.into_iter().map(group).collect();
    rows::draw(&mut sheet, &groups, &|most| seconds(most, "time"))?;
    let here: Vec<&Run> = results.runs.iter().filter(|run| is_paper_like(run)).collect();
    let kinds = if here.is_empty() { &["choi"][..] } else { &["choi", "run"] };
    let lines = here.iter().map(|run| run.environment.as_ref());
    sheet.finish(&caption(results, kinds, lines)).map(Some)
}

/// Whether a component is the whole bar, and not a part of it.
fn is_whole(component: &str) -> bool {
    component == TOTAL || component == "total_only"
}

fn row(
    name: &str,
    lines: &[&Choi],
    of: &dyn Fn(&Choi) -> Option<f64>,
    (parts, colors): (&[&str], &[plotters::style::RGBColor]),
) -> Option<Row> {
    let value = |component: &str| {
        let line = lines.iter().find(|line| line.component == component);
        line.and_then(|line| of(line)).filter(|value| *value > 0.0)
    };
    let mut pieces: Vec<_> =
        parts.iter().zip(colors).filter_map(|(part, color)| Some((value(part)?, *color))).collect();
    let sum: f64 = pieces.iter().map(|piece| piece.0).sum();
    let total = value(TOTAL).or_else(|| value("total_only")).or((sum > 0.0).then_some(sum))?;
    if pieces.is_empty() {
        pieces.push((total, palette::GREY));
    }
    let value = format!("{} s", three_digits(total));
    Some(Row { name: name.to_owned(), parts: pieces, interval: None, value })
}

/// A sequential read of a file in memory, which is the paper's case.
fn is_paper_like(run: &Run) -> bool {
    let in_memory = run.environment.as_ref().is_some_and(|e| e.file_system == "tmpfs");
    in_memory && run.pattern == "seq" && run.cache == "warm" && run.threads <= 1
}

/// What this machine takes for 4 GiB in the way that the paper's case names.
fn here(results: &Results, case: &str) -> Option<Row> {
    let engine = match case {
        "read" => "read",
        "default-mmap" => "memmap2",
        "populate-mmap" => "memmap2+populate",
        _ => return None,
    };
    let runs = results.runs.iter().filter(|run| is_paper_like(run) && run.engine == engine);
    let scaled = runs.map(|run| run.seconds * PAPER_BYTES / run.bytes as f64);
    let median = Median::of(&scaled.collect::<Vec<_>>())?;
    Some(Row {
        name: "this machine".into(),
        parts: vec![(median.value, palette::GREY)],
        interval: Some([median.low, median.high]),
        value: format!("{} s", three_digits(median.value)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, file, texts};

    #[test]
    fn paper_simulator_and_machine_stand_side_by_side() {
        for width in [Width::Wide, Width::Narrow] {
            let mut results = file("choi.jsonl");
            results.append(file("compare.jsonl"));
            let scene = draw(&results, width).unwrap().unwrap();
            check(&scene);
            let rows =
                scene.bars.iter().map(|bar| bar.top).collect::<std::collections::BTreeSet<_>>();
            assert_eq!(rows.len(), 3 + 3 + 2, "populate was not measured here");
            let texts = texts(&scene);
            for word in ["paper", "simulated", "this machine", "1.43 s", "time (s)", "default-mmap"]
            {
                assert!(texts.contains(word), "no `{word}` in {texts}");
            }
        }
    }

    #[test]
    fn without_a_run_the_machine_is_left_out() {
        let scene = draw(&file("choi.jsonl"), Width::Wide).unwrap().unwrap();
        check(&scene);
        assert!(!texts(&scene).contains("this machine"));
    }
}
