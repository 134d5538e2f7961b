//! What the tests of the figures share: small committed result files, and what holds for every
//! figure.

use crate::palette::PAPER;
use crate::results::Results;
use crate::scene::Scene;

/// A result file of `plots/tests/data`.
pub(crate) fn file(name: &str) -> Results {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    Results::read(&path).unwrap()
}

/// All texts, in their order.
pub(crate) fn texts(scene: &Scene) -> String {
    scene.labels.iter().map(|label| label.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// What holds for every figure: its source is named, nothing overlaps or leaves it, no number is none, and both back
/// ends show it, at both scales.
pub(crate) fn check(scene: &Scene) {
    let said = texts(scene);
    assert!(said.contains(".jsonl; "), "the caption names no file: {said}");
    no_text_overlaps(scene);
    all_marks_are_inside(scene);
    the_svg_holds_it(scene);
    for scale in [1, 2] {
        the_pixels_show_it(scene, scale);
    }
}

type Box4 = (i32, i32, i32, i32);

fn inside(scene: &Scene, name: &str, at: Box4) {
    let (left, top, right, bottom) = at;
    let good = left >= 0 && top >= 0 && right <= scene.width && bottom <= scene.height;
    assert!(good, "`{name}` {at:?} leaves the figure of {} x {}", scene.width, scene.height);
}

fn no_text_overlaps(scene: &Scene) {
    let labels: Vec<(&str, Box4)> =
        scene.labels.iter().map(|label| (label.text.as_str(), label.bounds().unwrap())).collect();
    let swatches = scene.swatches.iter().map(|b| ("a swatch", (b.left, b.top, b.right, b.bottom)));
    for (i, (name, a)) in labels.iter().enumerate() {
        inside(scene, name, *a);
        for (other, b) in labels[..i].iter().copied().chain(swatches.clone()) {
            let apart = a.2 <= b.0 || b.2 <= a.0 || a.3 <= b.1 || b.3 <= a.1;
            assert!(apart, "`{name}` {a:?} lies over `{other}` {b:?}");
        }
        for bar in &scene.bars {
            let touches = a.0 < bar.right && bar.left < a.2 && a.1 < bar.bottom && bar.top < a.3;
            let within = a.0 >= bar.left && a.2 <= bar.right;
            assert!(!touches || within, "`{name}` {a:?} lies over the edge of {bar:?}");
        }
    }
}

fn all_marks_are_inside(scene: &Scene) {
    let bars = scene.bars.iter().map(|b| (b.left, b.top, b.right, b.bottom));
    let at = |(x, y): (i32, i32)| (x, y, x, y);
    let curves = scene.curves.iter().flat_map(|curve| &curve.points).map(|point| at(*point));
    let dots = scene.dots.iter().map(|dot| at(dot.at));
    let lines = scene.whiskers.iter().chain(&scene.grid);
    let lines = lines.flat_map(|line| [at(line.from), at(line.to)]);
    for at in bars.chain(curves).chain(dots).chain(lines) {
        inside(scene, "a mark", at);
    }
    let cells = scene.cells.iter().flat_map(|cells| cells.runs.iter().map(|run| (cells.size, run)));
    for (size, (left, top, count)) in cells {
        inside(scene, "a square", (*left, *top, left + size * count, top + size));
    }
}

fn the_svg_holds_it(scene: &Scene) {
    let svg = scene.svg().unwrap();
    assert!(!svg.contains("NaN") && !svg.contains("inf\""), "a number is none");
    assert_eq!(svg.matches("<text").count(), scene.labels.len());
    assert_eq!(svg.matches("<path").count(), scene.cells.len());
    assert_eq!(svg.matches("<svg").count(), 1);
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    assert!(svg.contains("prefers-color-scheme:dark"));
}

fn the_pixels_show_it(scene: &Scene, scale: i32) {
    let pixels = scene.pixels(scale).unwrap();
    let width = scene.width * scale;
    let inked = |(left, top, right, bottom): Box4| {
        let rows = (top * scale..bottom * scale)
            .flat_map(|y| (left * scale..right * scale).map(move |x| (x, y)));
        rows.filter(|(x, y)| {
            let at = ((y * width + x) * 3) as usize;
            pixels[at..at + 3] != [PAPER.0, PAPER.1, PAPER.2]
        })
        .count()
    };
    for label in &scene.labels {
        let ink = inked(label.bounds().unwrap());
        assert!(ink > 5, "`{}` is not to be seen", label.text);
    }
    for bar in &scene.bars {
        assert!(inked((bar.left, bar.top, bar.right, bar.bottom)) > 0, "{bar:?} is not to be seen");
    }
}
