//! Memory over time: what the process holds, and what the page cache holds of the file.

use super::{Figure, caption, different, grouped};
use crate::Error;
use crate::axis::{Axis, Unit};
use crate::palette;
use crate::plot::Plot;
use crate::results::{Memory, Results, place};
use crate::scene::{Curve, Dash, Scene};
use crate::sheet::{Sheet, Width, limit_entry};
use crate::styles::{Style, Styles};

const TITLE: &str = "How much memory reading takes";

pub(super) const FIGURE: Figure = Figure {
    name: "memory",
    title: TITLE,
    words: "Whoever maps a file lets it fill the memory, in the process and in the system's page \
            cache (what it keeps of files that were read lately). The engine called paged, where it is \
            shown, keeps to the limit that it was given, and leaves no trace in the cache.",
    draw,
};

const HEIGHT: i32 = 200;

fn draw(results: &Results, width: Width) -> Result<Option<Scene>, Error> {
    let all = &results.memories;
    if all.is_empty() {
        return Ok(None);
    }
    let about = "While one file is read once. Mapped pages of the page cache count in both. The \
                 limit is that of the mapping; the program around it takes some MiB more.";
    let mut sheet = Sheet::new(width, TITLE, about)?;
    let styles = Styles::new("engines", different(all.iter().map(|line| line.engine.as_str())))?;
    let mut entries = styles.lines();
    if all.iter().any(|line| line.limit_bytes.is_some()) {
        entries.push(limit_entry("the limit of paged"));
    }
    sheet.legend(&entries)?;
    for (heading, lines) in grouped(all, heading) {
        let limits = lines.iter().filter_map(|line| line.limit_bytes).collect();
        for ((what, of), limits) in WHAT.into_iter().zip([limits, Vec::new()]) {
            sheet.heading(&format!("{what}: {heading}"))?;
            draw_lines(&mut sheet, &lines, of, limits, &styles)?;
        }
    }
    let lines = all.iter().map(|line| line.environment.as_ref());
    sheet.finish(&caption(results, &["memory"], lines)).map(Some)
}

type Of = fn(&(u64, u64, u64)) -> u64;

const WHAT: [(&str, Of); 2] = [
    ("The process's memory", |sample| sample.1),
    ("The file in the page cache", |sample| sample.2),
];

fn heading(line: &Memory) -> String {
    let place = line.environment.as_ref().map(place).unwrap_or_default();
    let length = crate::axis::length(line.file_bytes as f64);
    format!("{length}, {}, {} {place}", line.pattern, line.cache)
}

fn draw_lines(
    sheet: &mut Sheet,
    lines: &[&Memory],
    of: Of,
    limits: Vec<u64>,
    styles: &Styles<'_>,
) -> Result<(), Error> {
    let samples = || lines.iter().flat_map(|line| &line.samples);
    let seconds = samples().map(|sample| sample.0 as f64 / 1e6).fold(1e-6, f64::max);
    let files = lines.iter().map(|line| line.file_bytes as f64);
    // Both parts have one axis, so that they can be held against each other.
    let samples = samples().flat_map(|sample| [sample.1 as f64, sample.2 as f64]);
    let most = samples.chain(files).fold(1.0, f64::max);
    let (time, length) = (Unit::time(seconds), Unit::length(most));
    let x = Axis::to(seconds / time.size, format!("time since the start ({})", time.name));
    let y = Axis::of_lengths(most, "memory");
    let plot = Plot::place(sheet, HEIGHT, x, y)?;
    let at = |micros: f64, bytes: f64| plot.at(micros / 1e6 / time.size, bytes / length.size);
    for limit in limits {
        let y = plot.y_of(limit as f64 / length.size);
        let points = vec![(plot.left, y), (plot.right, y)];
        let (color, width, dash) = (palette::INK, 1, Dash::Short);
        sheet.scene.curve(Curve { points, color, width, dash });
    }
    for line in lines {
        let Style { color, dash, .. } = styles.of(&line.engine);
        let points = line.samples.iter().map(|sample| at(sample.0 as f64, of(sample) as f64));
        sheet.scene.curve(Curve { points: points.collect(), color, width: 2, dash });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, file, texts};

    #[test]
    fn every_engine_has_a_curve_in_both_parts_and_paged_stays_under_its_limit() {
        for width in [Width::Wide, Width::Narrow] {
            let results = file("watched.jsonl");
            let scene = draw(&results, width).unwrap().unwrap();
            check(&scene);
            let long: Vec<_> = scene.curves.iter().filter(|curve| curve.points.len() > 2).collect();
            assert_eq!(long.len(), 2 * results.memories.len());
            let limits = scene.curves.iter().filter(|curve| curve.color == palette::INK);
            assert_eq!(limits.count(), 1 + 1, "in the upper part, and in the legend");
            let texts = texts(&scene);
            assert!(texts.contains("memory (MiB)") && texts.contains("page cache"), "{texts}");
        }
    }
}
