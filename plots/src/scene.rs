//! A figure as data: marks, lines and texts in pixels. What paints it is in `paint`.

use plotters::style::RGBColor;

use crate::palette;
use crate::text::{Size, Weight};

/// A filled rectangle; `right` and `bottom` are just outside.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) left: i32,
    pub(crate) top: i32,
    pub(crate) right: i32,
    pub(crate) bottom: i32,
    pub(crate) color: RGBColor,
}

/// A straight line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) from: (i32, i32),
    pub(crate) to: (i32, i32),
    pub(crate) color: RGBColor,
    pub(crate) width: u32,
}

/// How a curve is broken, so that curves differ in more than their colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dash {
    Solid,
    Long,
    Medium,
    Dots,
    /// Kept for limits.
    Short,
}

impl Dash {
    /// The one of the `index`th curve.
    pub(crate) fn nth(index: usize) -> Dash {
        [Dash::Solid, Dash::Long, Dash::Dots, Dash::Medium][index % 4]
    }

    /// Pixels drawn and left out in turn; none for an unbroken curve.
    pub(crate) fn pattern(self) -> Option<(i32, i32)> {
        match self {
            Dash::Solid => None,
            Dash::Long => Some((14, 5)),
            Dash::Medium => Some((10, 3)),
            Dash::Dots => Some((3, 3)),
            Dash::Short => Some((7, 4)),
        }
    }

    /// The length of a sample of at most 33 pixels that begins and ends with a drawn piece.
    pub(crate) fn sample_length(self) -> i32 {
        self.pattern().map_or(33, |(on, off)| (33 + off) / (on + off) * (on + off) - off)
    }
}

/// A line through points.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) points: Vec<(i32, i32)>,
    pub(crate) color: RGBColor,
    pub(crate) width: u32,
    pub(crate) dash: Dash,
}

/// The shape of a dot, so that series differ in more than their colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Circle,
    Square,
    Diamond,
    Triangle,
}

impl Shape {
    /// The one of the `index`th series.
    pub(crate) fn nth(index: usize) -> Shape {
        [Shape::Circle, Shape::Square, Shape::Diamond, Shape::Triangle][index % 4]
    }
}

/// A mark at a point.
#[derive(Clone, Debug)]
pub(crate) struct Dot {
    pub(crate) at: (i32, i32),
    pub(crate) color: RGBColor,
    pub(crate) shape: Shape,
}

/// Half the width of a dot.
pub(crate) const DOT: i32 = 5;

/// Many small squares of one colour: `(left, top, how many side by side)`, each `size` wide.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    pub(crate) size: i32,
    pub(crate) runs: Vec<(i32, i32, i32)>,
    pub(crate) color: RGBColor,
}

/// Which end of a text its position names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Center,
    Right,
}

/// What lies under a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// Whatever was painted before.
    Open,
    /// A piece of paper, so that no line runs through the text.
    Paper,
}

/// One line of text.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) text: String,
    pub(crate) x: i32,
    pub(crate) baseline: i32,
    pub(crate) align: Align,
    pub(crate) size: Size,
    pub(crate) weight: Weight,
    pub(crate) color: RGBColor,
    pub(crate) ground: Ground,
}

impl Label {
    /// Plain text, read with the data.
    pub(crate) fn new(text: impl Into<String>, (x, baseline): (i32, i32), align: Align) -> Label {
        Label {
            text: text.into(),
            x,
            baseline,
            align,
            size: Size::Label,
            weight: Weight::Normal,
            color: palette::INK,
            ground: Ground::Open,
        }
    }

    /// Small text, read second.
    pub(crate) fn quiet(text: impl Into<String>, at: (i32, i32), align: Align) -> Label {
        Label { size: Size::Small, color: palette::QUIET, ..Label::new(text, at, align) }
    }
}

/// A whole figure. Painted in the order of its fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    pub(crate) width: i32,
    pub(crate) height: i32,
    pub(crate) grid: Vec<Line>,
    pub(crate) swatches: Vec<Block>,
    pub(crate) bars: Vec<Block>,
    pub(crate) cells: Vec<Cells>,
    pub(crate) curves: Vec<Curve>,
    pub(crate) dots: Vec<Dot>,
    pub(crate) whiskers: Vec<Line>,
    pub(crate) labels: Vec<Label>,
}

impl Scene {
    /// Adds a curve without the points that no pixel could show; one of a single point is a dot.
    pub(crate) fn curve(&mut self, mut curve: Curve) {
        curve.points.dedup();
        if let [only] = curve.points[..] {
            curve.points.push((only.0 + 1, only.1));
            self.dots.push(Dot { at: only, color: curve.color, shape: Shape::Circle });
        }
        self.curves.push(curve);
    }
}

impl Curve {
    /// The pieces that are drawn, `scale` pixels for each: more pixels bend short pieces less.
    pub(crate) fn pieces(&self, scale: i32) -> Vec<Vec<(i32, i32)>> {
        let scaled: Vec<_> = self.points.iter().map(|(x, y)| (x * scale, y * scale)).collect();
        let Some((on, off)) = self.dash.pattern() else { return vec![scaled] };
        let (on, off) = (f64::from(on * scale), f64::from(off * scale));
        let mut pieces = Vec::new();
        let (mut piece, mut drawn, mut left) = (Vec::new(), true, on);
        for two in scaled.windows(2) {
            let from = (f64::from(two[0].0), f64::from(two[0].1));
            let (dx, dy) = (f64::from(two[1].0) - from.0, f64::from(two[1].1) - from.1);
            let length = dx.hypot(dy);
            let at = |along: f64| {
                let part = along / length;
                ((from.0 + dx * part).round() as i32, (from.1 + dy * part).round() as i32)
            };
            let mut along = 0.0;
            if drawn && piece.is_empty() {
                piece.push(two[0]);
            }
            while along + left <= length {
                along += left;
                if drawn {
                    piece.push(at(along));
                    pieces.push(std::mem::take(&mut piece));
                } else {
                    piece.push(at(along));
                }
                drawn = !drawn;
                left = if drawn { on } else { off };
            }
            left -= length - along;
            if drawn {
                piece.push(two[1]);
            }
        }
        if piece.len() > 1 {
            pieces.push(piece);
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_curve_keeps_its_length_and_its_gaps() {
        let (color, width) = (palette::INK, 2);
        let points = vec![(0, 0), (50, 0), (50, 50)];
        let curve = Curve { points, color, width, dash: Dash::Short };
        let pieces = curve.pieces(1);
        assert_eq!(pieces[0], [(0, 0), (7, 0)]);
        assert_eq!(pieces[1], [(11, 0), (18, 0)]);
        assert!(pieces.iter().any(|piece| piece.contains(&(50, 0)) && piece.len() == 3));
        assert_eq!(pieces.len(), 100 / 11 + 1);
        assert_eq!(curve.pieces(2).len(), pieces.len());
        assert_eq!(curve.pieces(2)[1], [(22, 0), (36, 0)]);
    }

    #[test]
    fn a_sample_shows_whole_dashes() {
        for dash in [Dash::Solid, Dash::Long, Dash::Medium, Dash::Dots, Dash::Short] {
            let (points, color) = (vec![(0, 0), (dash.sample_length(), 0)], palette::INK);
            let pieces = Curve { points, color, width: 3, dash }.pieces(1);
            let lengths: Vec<_> = pieces.iter().map(|piece| piece[1].0 - piece[0].0).collect();
            let on = dash.pattern().map_or(33, |pattern| pattern.0);
            assert!(lengths.iter().all(|length| *length == on), "{dash:?}: {lengths:?}");
            assert!((23..=33).contains(&dash.sample_length()), "{dash:?}");
        }
    }
}
