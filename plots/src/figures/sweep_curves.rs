//! The sweep as curves: throughput by window, a curve for each distance or policy.

use super::{Figure, caption, different, grouped};
use crate::Error;
use crate::axis::{Axis, Scale, length};
use crate::palette;
use crate::plot::Plot;
use crate::results::{Results, Sweep};
use crate::scene::{Curve, Dash, Dot, Line, Scene, Shape};
use crate::sheet::{Entry, Mark, Sheet, Width};

const TITLE: &str = "How long the window must be";

pub(super) const FIGURE: Figure = Figure {
    name: "sweep-curves",
    title: TITLE,
    words: "The window is how much is fetched at once, the distance how far ahead of the reader. \
            Too little, and the disk waits; where a line turns flat, more only costs memory.",
    draw,
};

const HEIGHT: i32 = 240;

fn draw(results: &Results, width: Width) -> Result<Option<Scene>, Error> {
    if results.sweeps.is_empty() {
        return Ok(None);
    }
    let about = "Simulated throughput by the window's length; the window's axis in powers of two. \
                 Higher is better. Whiskers, where there are any: 95% interval over the seeds.";
    let mut sheet = Sheet::new(width, TITLE, about)?;
    for (heading, points) in grouped(&results.sweeps, heading) {
        sheet.heading(&heading)?;
        draw_panel(&mut sheet, &points)?;
    }
    sheet.finish(&caption(results, &["sweep"], [])).map(Some)
}

/// What stands in one panel: a policy where the distance is swept as well, else all policies.
fn heading(sweep: &Sweep) -> String {
    let device =
        if sweep.device.is_empty() { String::new() } else { format!(" on {}", sweep.device) };
    match sweep.distance_bytes {
        Some(_) => format!("{}{device}, policy {}", sweep.trace, sweep.policy),
        None => format!("{}{device}", sweep.trace),
    }
}

fn series(sweep: &Sweep) -> String {
    match sweep.distance_bytes {
        Some(distance) => format!("distance {}", length(distance as f64)),
        None => sweep.policy.clone(),
    }
}

fn draw_panel(sheet: &mut Sheet, points: &[&Sweep]) -> Result<(), Error> {
    let names: Vec<String> = points.iter().map(|point| series(point)).collect();
    let names = different(names.iter().map(String::as_str));
    let colors = palette::distinct("curves", &names)?;
    let entry = |(index, name): (usize, &&str)| Entry {
        name: (*name).to_owned(),
        color: colors[index],
        mark: Mark::Dot(Shape::nth(index)),
    };
    sheet.legend(&names.iter().enumerate().map(entry).collect::<Vec<_>>())?;
    let high = |point: &&Sweep| point.gb_per_s_ci95.map_or(point.gb_per_s, |interval| interval[1]);
    let most = points.iter().map(high).fold(0.0, f64::max);
    let plot = Plot::place(sheet, HEIGHT, windows(points), Axis::to(most, "GB/s"))?;
    for (index, name) in names.iter().enumerate() {
        let mut own: Vec<_> = points.iter().filter(|point| series(point) == *name).collect();
        own.sort_by_key(|point| point.window_bytes);
        let (color, shape) = (colors[index], Shape::nth(index));
        let at = |point: &Sweep, value: f64| plot.at(point.window_bytes as f64, value);
        let points: Vec<_> = own.iter().map(|point| at(point, point.gb_per_s)).collect();
        for point in &own {
            if let Some([low, high]) = point.gb_per_s_ci95 {
                let (from, to) = (at(point, low), at(point, high));
                sheet.scene.whiskers.push(Line { from, to, color, width: 2 });
            }
        }
        sheet.scene.dots.extend(points.iter().map(|&at| Dot { at, color, shape }));
        sheet.scene.curve(Curve { points, color, width: 2, dash: Dash::nth(index) });
    }
    Ok(())
}

/// An axis with a tick at each window that occurs.
fn windows(points: &[&Sweep]) -> Axis {
    let mut windows: Vec<u64> = points.iter().map(|point| point.window_bytes).collect();
    windows.sort_unstable();
    windows.dedup();
    let ticks = windows.iter().map(|window| (*window as f64, length(*window as f64))).collect();
    let (first, last) = (windows[0] as f64, windows[windows.len() - 1] as f64);
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
            let entries = 3 + 2;
            assert_eq!(scene.dots.len(), results.sweeps.len() + entries);
            let whiskers = results.sweeps.iter().filter(|point| point.gb_per_s_ci95.is_some());
            assert_eq!(scene.whiskers.len(), whiskers.count());
            let texts = texts(&scene);
            for word in ["window (bytes)", "GB/s", "distance 4 MiB", "64 KiB", "ramp"] {
                assert!(texts.contains(word), "no `{word}` in {texts}");
            }
        }
    }
}
