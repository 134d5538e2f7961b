//! The sweep as a heat map: throughput by window and distance.

use super::{Figure, caption, grouped};
use crate::Error;
use crate::axis::{Unit, length, three_digits};
use crate::palette;
use crate::plot::spread;
use crate::results::{Results, Sweep};
use crate::scene::{Align, Block, Label, Scene};
use crate::sheet::{Sheet, Width};
use crate::text::{self, Size, Weight};

const TITLE: &str = "Window and distance together";

pub(super) const FIGURE: Figure = Figure {
    name: "sweep-heat",
    title: TITLE,
    words: "Each square is one simulated setting. The lighter, the sooner done. Of the light squares, \
            those furthest to the left and below are the ones to choose: they cost the least memory.",
    draw,
};

const ROW: i32 = 34;

fn draw(results: &Results, width: Width) -> Result<Option<Scene>, Error> {
    let both = |point: &&Sweep| point.window_pages.is_some() && point.distance_pages.is_some();
    let groups = grouped(results.sweeps.iter().filter(both), |point| {
        format!("{}: {}", point.scenario(), point.strategy)
    });
    if groups.is_empty() {
        return Ok(None);
    }
    let about = "Simulated time, from the longest (dark) to the shortest (light) of each map; equal \
                 steps of colour are equal ratios. Distance upwards, window to the right.";
    let mut sheet = Sheet::new(width, TITLE, about)?;
    for (heading, points) in &groups {
        sheet.heading(heading)?;
        draw_map(&mut sheet, points)?;
    }
    sheet.finish(&caption(results, &["summary"], [])).map(Some)
}

/// Different values, ascending.
fn values(points: &[&Sweep], of: impl Fn(&Sweep) -> u64) -> Vec<u64> {
    let mut values: Vec<u64> = points.iter().map(|point| of(point)).collect();
    values.sort_unstable();
    values.dedup();
    values
}

fn draw_map(sheet: &mut Sheet, points: &[&Sweep]) -> Result<(), Error> {
    let distance = |point: &Sweep| point.distance_pages.unwrap_or(0).saturating_mul(4096);
    let window = |point: &Sweep| point.window_pages.unwrap_or(0).saturating_mul(4096);
    let (columns, rows) = (values(points, window), values(points, distance));
    let times = || points.iter().map(|point| point.seconds.mean);
    let range = (times().fold(0.0, f64::max), times().fold(f64::INFINITY, f64::min));
    draw_scale(sheet, range)?;

    let mut names_width = 0;
    for row in &rows {
        let name = length(*row as f64);
        names_width = names_width.max(text::width(&name, Size::Small, Weight::Normal)?);
    }
    let title = (sheet.left(), sheet.y + Size::Small.line());
    sheet.scene.labels.push(Label::quiet("distance (bytes)", title, Align::Left));
    let (left, top) = (sheet.left() + names_width + 8, sheet.y + Size::Small.line() + 8);
    let column = ((sheet.right() - left) / columns.len() as i32).min(110);
    let bottom = top + ROW * rows.len() as i32;
    for point in points {
        let of =
            |values: &[u64], value| values.iter().position(|v| *v == value).unwrap_or(0) as i32;
        let left = left + column * of(&columns, window(point));
        let top = bottom - ROW * (of(&rows, distance(point)) + 1);
        draw_square(sheet, point.seconds.mean, range, (left, top, column))?;
    }
    for (row, value) in (0..).zip(&rows) {
        let at = (left - 8, bottom - ROW * row - ROW / 2 + 5);
        sheet.scene.labels.push(Label::quiet(length(*value as f64), at, Align::Right));
    }
    let names: Vec<String> = columns.iter().map(|value| length(*value as f64)).collect();
    let ticks = (0..).zip(&names).map(|(i, name)| (left + column * i + column / 2, name));
    let space = |name: &str| Ok(text::width(name, Size::Small, Weight::Normal)? + 8);
    for (x, name) in spread(ticks, space)? {
        let at = (x, bottom + Size::Small.line());
        sheet.scene.labels.push(Label::quiet(name, at, Align::Center));
    }
    let right = left + column * columns.len() as i32;
    let at = (right, bottom + 2 * Size::Small.line());
    sheet.scene.labels.push(Label::quiet("window (bytes)", at, Align::Right));
    sheet.y = at.1 + 8;
    Ok(())
}

/// From 0 for the longest to 1 for the shortest; equal steps are equal ratios, so that one slow square
/// leaves the others apart.
fn heat(seconds: f64, (slow, fast): (f64, f64)) -> f64 {
    if slow > fast { (slow / seconds).ln() / (slow / fast).ln() } else { 1.0 }
}

fn draw_square(
    sheet: &mut Sheet,
    seconds: f64,
    range: (f64, f64),
    (left, top, width): (i32, i32, i32),
) -> Result<(), Error> {
    let color = palette::heat(heat(seconds, range));
    let (right, bottom) = (left + width - 1, top + ROW - 1);
    sheet.scene.bars.push(Block { left, top, right, bottom, color });
    let text = three_digits(seconds / Unit::time(range.0).size);
    if text::width(&text, Size::Small, Weight::Normal)? + 6 > width {
        return Ok(());
    }
    let label = Label::quiet(text, (left + width / 2, top + ROW / 2 + 5), Align::Center);
    sheet.scene.labels.push(Label { color: palette::text_on(color), ..label });
    Ok(())
}

/// A strip of all colours with its ends.
fn draw_scale(sheet: &mut Sheet, (slow, fast): (f64, f64)) -> Result<(), Error> {
    const STEPS: i32 = 24;
    const STEP: i32 = 6;
    let baseline = sheet.y + Size::Small.line();
    let unit = Unit::time(slow);
    let low = three_digits(slow / unit.size);
    let mut left = sheet.left() + text::width(&low, Size::Small, Weight::Normal)? + 8;
    sheet.scene.labels.push(Label::quiet(low, (sheet.left(), baseline), Align::Left));
    for step in 0..STEPS {
        let color = palette::heat(f64::from(step) / f64::from(STEPS - 1));
        let (top, bottom, right) = (baseline - 13, baseline + 2, left + STEP);
        sheet.scene.swatches.push(Block { left, top, right, bottom, color });
        left += STEP;
    }
    let high = format!("{} {}", three_digits(fast / unit.size), unit.name);
    sheet.scene.labels.push(Label::quiet(high, (left + 8, baseline), Align::Left));
    sheet.y = baseline + 8;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, file, texts};

    #[test]
    fn every_pair_of_window_and_distance_has_a_square() {
        for width in [Width::Wide, Width::Narrow] {
            let results = file("sweep.jsonl");
            let scene = draw(&results, width).unwrap().unwrap();
            check(&scene);
            let pairs = results.sweeps.iter().filter(|point| point.distance_pages.is_some());
            assert_eq!(scene.bars.len(), pairs.count());
            assert!(scene.bars.iter().any(|bar| bar.color == palette::heat(1.0)), "a fastest one");
            assert!(scene.bars.iter().any(|bar| bar.color == palette::heat(0.0)), "a slowest one");
            let texts = texts(&scene);
            for word in ["window (bytes)", "distance (bytes)", "0.467 s", "64 KiB"] {
                assert!(texts.contains(word), "no `{word}` in {texts}");
            }
        }
    }
}
