//! The sweep as curves: throughput by window, a curve for each distance or policy.

use super::breakdown::seconds;
use super::{Figure, caption, different, grouped};
use crate::Error;
use crate::axis::{Axis, Scale, length};
use crate::plot::Plot;
use crate::results::{Results, Sweep};
use crate::scene::{Curve, Dot, Line, Scene};
use crate::sheet::{Sheet, Width};
use crate::styles::{Style, Styles};

const TITLE: &str = "How long the window must be";

pub(super) const FIGURE: Figure = Figure {
    name: "sweep-curves",
    title: TITLE,
    words: "The window is how much is fetched at once, the distance how far ahead of the reader. \
            Too little, and the program waits; where a line turns flat, more only costs memory.",
    draw,
};

const HEIGHT: i32 = 240;

fn draw(results: &Results, width: Width) -> Result<Option<Scene>, Error> {
    let turned: Vec<&Sweep> =
        results.sweeps.iter().filter(|point| point.window_pages.is_some()).collect();
    if turned.is_empty() {
        return Ok(None);
    }
    let about = "Simulated time by the window's length; the window's axis in powers of two. Lower \
                 is better. Where curves agree, the later in the legend lies on top. Whiskers, where \
                 there are any: 95% interval over the seeds.";
    let mut sheet = Sheet::new(width, TITLE, about)?;
    for (_, points) in grouped(turned.iter().copied(), Sweep::scenario) {
        // Panels of one scenario have one axis, so that they can be held against each other.
        let most = points.iter().map(|point| high(point)).fold(0.0, f64::max);
        for (heading, points) in grouped(points, heading) {
            sheet.heading(&heading)?;
            draw_panel(&mut sheet, &points, most)?;
        }
    }
    sheet.finish(&caption(results, &["summary"], [])).map(Some)
}

/// What stands in one panel: a strategy where its distance is swept as well, else all of them.
fn heading(point: &Sweep) -> String {
    match point.distance_pages {
        Some(_) => format!("{}: {}", point.scenario(), point.strategy),
        None => point.scenario(),
    }
}

fn series(point: &Sweep) -> String {
    match point.distance_bytes() {
        Some(distance) => format!("distance {}", length(distance)),
        None => point.strategy.clone(),
    }
}

fn window(point: &Sweep) -> f64 {
    point.window_bytes().unwrap_or(1.0)
}

/// The longest time that is drawn for a point.
fn high(point: &Sweep) -> f64 {
    point.seconds.ci95.map_or(point.seconds.mean, |ends| ends[1])
}

fn draw_panel(sheet: &mut Sheet, points: &[&Sweep], most: f64) -> Result<(), Error> {
    let names: Vec<String> = points.iter().map(|point| series(point)).collect();
    let names = different(names.iter().map(String::as_str));
    let styles = Styles::new("curves", names.clone())?;
    sheet.legend(&styles.dots())?;
    let plot = Plot::place(sheet, HEIGHT, windows(points), seconds(most, "virtual time"))?;
    for name in names {
        let mut own: Vec<_> = points.iter().filter(|point| series(point) == name).collect();
        own.sort_by_key(|point| point.window_pages);
        let Style { color, dash, shape } = styles.of(name);
        let at = |point: &Sweep, value: f64| plot.at(window(point), value);
        for point in &own {
            if let Some([low, high]) = point.seconds.ci95 {
                let (from, to) = (at(point, low), at(point, high));
                sheet.scene.whiskers.push(Line { from, to, color, width: 2 });
            }
        }
        let points: Vec<_> = own.iter().map(|point| at(point, point.seconds.mean)).collect();
        sheet.scene.dots.extend(points.iter().map(|&at| Dot { at, color, shape }));
        sheet.scene.curve(Curve { points, color, width: 2, dash });
    }
    Ok(())
}

/// An axis with a tick at each window that occurs.
fn windows(points: &[&Sweep]) -> Axis {
    let mut windows: Vec<f64> = points.iter().map(|point| window(point)).collect();
    windows.sort_by(f64::total_cmp);
    windows.dedup();
    let ticks = windows.iter().map(|window| (*window, length(*window))).collect();
    let (first, last) = (windows[0], windows[windows.len() - 1]);
    // Half a step of room at both ends, so that no dot lies on the edge.
    let scale = Scale::Log { low: first / 1.5, high: last * 1.5 };
    Axis { scale, ticks, title: "window (bytes)".into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, file, texts};

    #[test]
    fn every_point_of_the_sweep_has_a_dot() {
        for width in [Width::Wide, Width::Narrow] {
            let results = file("sweep.jsonl");
            let scene = draw(&results, width).unwrap().unwrap();
            check(&scene);
            let turned = || results.sweeps.iter().filter(|point| point.window_pages.is_some());
            let entries = 3 + 2;
            assert_eq!(scene.dots.len(), turned().count() + entries);
            let whiskers = turned().filter(|point| point.seconds.ci95.is_some());
            assert_eq!(scene.whiskers.len(), whiskers.count());
            let texts = texts(&scene);
            for word in ["window (bytes)", "virtual time (s)", "distance 4 MiB", "64 KiB", "ramp"] {
                assert!(texts.contains(word), "no `{word}` in {texts}");
            }
        }
    }
}
