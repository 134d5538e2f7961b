//! Predicted against measured times, with the band of the error that is allowed.

use mmap_ahead_bench::interval::Median;

use super::{Figure, caption, different};
use crate::Error;
use crate::axis::{Axis, time};
use crate::palette;
use crate::plot::Plot;
use crate::results::{Results, Validate};
use crate::scene::{Curve, Dash, Dot, Scene};
use crate::sheet::{Sheet, Width};
use crate::styles::{Style, Styles};

const TITLE: &str = "Predicted and measured";

pub(super) const FIGURE: Figure = Figure {
    name: "predicted",
    title: TITLE,
    words: "Each dot is a run that the simulator foretold before it was made. On the solid line \
            they agree; between the dashed lines the simulator is wrong by no more than 15%.",
    draw,
};

/// The error that is allowed, median over all cells.
const BAND: f64 = 0.15;

fn draw(results: &Results, width: Width) -> Result<Option<Scene>, Error> {
    let cells = &results.validations;
    let Some(median) = Median::of(&cells.iter().map(error).collect::<Vec<_>>()) else {
        return Ok(None);
    };
    let inside = cells.iter().filter(|cell| error(cell) <= BAND).count();
    let about = format!(
        "{} cells, each predicted before it was measured; {inside} of them within 15%, median \
         absolute error {:.1}%. Both axes in powers of ten. Dashed: 15% off.",
        cells.len(),
        median.value * 100.0
    );
    let mut sheet = Sheet::new(width, TITLE, &about)?;
    let ways = different(cells.iter().map(|cell| cell.way.as_str()));
    let styles = Styles::new("ways", ways)?;
    sheet.legend(&styles.dots())?;
    let times = || cells.iter().flat_map(|cell| [cell.predicted_s, cell.measured_s]);
    let ends = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
    let x = Axis::decades(ends, time, "measured (time)");
    let (low, high) = (x.ticks[0].0, x.high());
    let y = Axis { title: "predicted (time)".into(), ..x.clone() };
    let height = (width.px() * 3 / 5).min(420);
    let plot = Plot::place(&mut sheet, height, x, y)?;
    for (factor, dash) in [(1.0, Dash::Solid), (1.0 + BAND, Dash::Short), (1.0 - BAND, Dash::Short)]
    {
        let ends = [(low.max(low / factor)), (high.min(high / factor))];
        let points = ends.map(|measured| plot.at(measured, measured * factor)).to_vec();
        sheet.scene.curve(Curve { points, color: palette::QUIET, width: 1, dash });
    }
    for cell in cells {
        let Style { color, shape, .. } = styles.of(&cell.way);
        let at = plot.at(cell.measured_s, cell.predicted_s);
        sheet.scene.dots.push(Dot { at, color, shape });
    }
    let lines = cells.iter().map(|cell| cell.environment.as_ref());
    sheet.finish(&caption(results, &["validate"], lines)).map(Some)
}

fn error(cell: &Validate) -> f64 {
    (cell.predicted_s / cell.measured_s - 1.0).abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, file, texts};

    #[test]
    fn every_cell_has_a_dot_and_agreement_is_a_line() {
        for width in [Width::Wide, Width::Narrow] {
            let results = file("validate.jsonl");
            let scene = draw(&results, width).unwrap().unwrap();
            check(&scene);
            let entries = 3;
            assert_eq!(scene.dots.len(), results.validations.len() + entries);
            assert_eq!(scene.curves.len(), 3, "agreement, and 15% to both sides");
            let texts = texts(&scene);
            assert!(texts.contains("measured (time)") && texts.contains("8 cells"), "{texts}");
            assert!(texts.contains("6 of them within 15%"), "{texts}");
        }
    }

    #[test]
    fn a_right_prediction_lies_on_the_line() {
        let mut results = file("validate.jsonl");
        results.validations[0].predicted_s = results.validations[0].measured_s;
        let scene = draw(&results, Width::Wide).unwrap().unwrap();
        let (line, dot) = (&scene.curves[0].points, scene.dots[3].at);
        let (from, to) = (line[0], line[1]);
        let along = f64::from(dot.0 - from.0) / f64::from(to.0 - from.0);
        let y = f64::from(from.1) + along * f64::from(to.1 - from.1);
        assert!((y - f64::from(dot.1)).abs() < 2.0, "{dot:?} is not on {line:?}");
    }
}
