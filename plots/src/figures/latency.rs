//! How long single touches take: for each time, the share of touches that took longer.

use super::{Figure, caption, different, grouped};
use crate::Error;
use crate::axis::{Axis, time};
use crate::plot::Plot;
use crate::results::{Results, TouchLatency, place};
use crate::scene::{Curve, Scene};
use crate::sheet::{Sheet, Width};
use crate::styles::{Style, Styles};

const TITLE: &str = "How long a single touch takes";

pub(super) const FIGURE: Figure = Figure {
    name: "touch-latency",
    title: TITLE,
    words: "Most touches of a mapped file take next to no time, and a few take very long: those \
            decide how fast the program feels. Follow a line to the right to see how few touches \
            take longer than the time below. Lines further to the left and below are better.",
    draw,
};

const HEIGHT: i32 = 320;

fn draw(results: &Results, width: Width) -> Result<Option<Scene>, Error> {
    let all = &results.latencies;
    if all.is_empty() {
        return Ok(None);
    }
    let about = "Share of the touches that took longer than a time; both axes in powers of ten. \
                 Left and below is better. A touch reads a few bytes of one page.";
    let mut sheet = Sheet::new(width, TITLE, about)?;
    let styles = Styles::new("engines", different(all.iter().map(|line| line.engine.as_str())))?;
    sheet.legend(&styles.lines())?;
    for (heading, lines) in grouped(all, heading) {
        sheet.heading(&heading)?;
        let plot = Plot::place(&mut sheet, HEIGHT, times(&lines), shares(&lines))?;
        for line in lines {
            let Style { color, dash, .. } = styles.of(&line.engine);
            let points = ccdf(line).map(|(x, y)| plot.at(x, y)).collect();
            sheet.scene.curve(Curve { points, color, width: 2, dash });
        }
    }
    let lines = all.iter().map(|line| line.environment.as_ref());
    sheet.finish(&caption(results, &["touch_latency"], lines)).map(Some)
}

fn heading(line: &TouchLatency) -> String {
    let place = line.environment.as_ref().map(place).unwrap_or_default();
    format!("{}, {} {place}", line.pattern, line.cache)
}

fn times(lines: &[&TouchLatency]) -> Axis {
    let nanos = || lines.iter().flat_map(|line| &line.counts).map(|(nanos, _)| *nanos as f64 / 1e9);
    let low = nanos().fold(f64::INFINITY, f64::min).max(1e-9);
    Axis::decades((low, nanos().fold(low, f64::max)), time, "a touch takes longer than (time)")
}

fn shares(lines: &[&TouchLatency]) -> Axis {
    let least = lines.iter().map(|line| 1.0 / total(line)).fold(0.1, f64::min);
    let name = |share: f64| {
        let decimals = (-share.log10() - 2.0).round().max(0.0) as usize;
        format!("{:.decimals$}%", share * 100.0)
    };
    Axis::decades((least, 1.0), name, "share of touches (%)")
}

fn total(line: &TouchLatency) -> f64 {
    line.counts.iter().map(|(_, count)| *count as f64).sum()
}

/// Seconds, and the share of touches that took longer: before and after each step.
fn ccdf(line: &TouchLatency) -> impl Iterator<Item = (f64, f64)> {
    let total = total(line);
    let mut left = total;
    line.counts.iter().flat_map(move |(nanos, count)| {
        let (seconds, before) = (*nanos as f64 / 1e9, left / total);
        left -= *count as f64;
        [(seconds, before), (seconds, (left / total).max(0.0))]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, file, texts};

    #[test]
    fn every_engine_has_a_curve_that_falls() {
        for width in [Width::Wide, Width::Narrow] {
            let results = file("watched.jsonl");
            let scene = draw(&results, width).unwrap().unwrap();
            check(&scene);
            let curves: Vec<_> =
                scene.curves.iter().filter(|curve| curve.points.len() > 2).collect();
            assert_eq!(curves.len(), results.latencies.len());
            for curve in curves {
                assert!(curve.points.is_sorted(), "time goes to the right");
                assert!(curve.points.windows(2).all(|two| two[0].1 <= two[1].1), "shares fall");
            }
            let texts = texts(&scene);
            assert!(texts.contains("100%") && texts.contains("\u{b5}s"), "{texts}");
        }
    }

    #[test]
    fn a_single_touch_is_to_be_seen() {
        let mut results = file("watched.jsonl");
        results.latencies.truncate(1);
        results.latencies[0].counts = vec![(100, 1)];
        let scene = draw(&results, Width::Wide).unwrap().unwrap();
        check(&scene);
        let texts = texts(&scene);
        assert!(texts.contains(" 10% ") && !texts.contains("1000%"), "{texts}");
        let curve = scene.curves.last().unwrap();
        assert!(curve.points[1].1 > curve.points[0].1, "it falls from all to none: {curve:?}");
    }

    #[test]
    fn the_shares_are_those_of_the_counts() {
        let counts = vec![(100, 90), (1000, 9), (10_000, 1)];
        let line = TouchLatency { counts, ..TouchLatency::default() };
        let shares: Vec<_> = ccdf(&line).map(|point| (point.1 * 100.0).round()).collect();
        assert_eq!(shares, [100.0, 10.0, 10.0, 1.0, 1.0, 0.0]);
    }
}
