//! A figure as data: rectangles, lines and texts in pixels. One painter for every back end.

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{PathElement, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, IntoFont, RGBColor, ShapeStyle};

use crate::Error;
use crate::palette;
use crate::text::{self, Size, Weight};

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

/// Which end of a text its position names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Center,
    Right,
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
}

/// A whole figure. Painted in the order of its fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    pub(crate) width: i32,
    pub(crate) height: i32,
    pub(crate) grid: Vec<Line>,
    pub(crate) swatches: Vec<Block>,
    pub(crate) bars: Vec<Block>,
    pub(crate) whiskers: Vec<Line>,
    pub(crate) labels: Vec<Label>,
}

/// How a back end of plotters turns a font size and a position into pixels.
#[derive(Clone, Copy, Debug)]
struct TextRules {
    /// The font size to ask for, over the em that is meant.
    size_per_em: f64,
    /// From the "top" of a text down to its baseline, over the font size asked for.
    baseline_per_size: f64,
}

/// plotters-svg 0.3.7 `draw_text`: `font-size` is size / 1.24, and `dy` is 0.76 em.
const SVG: TextRules = TextRules { size_per_em: 1.24, baseline_per_size: 0.76 / 1.24 };
/// plotters 0.3.7 `ab_glyph.rs`: the size is ascent plus descent; the baseline is at half of it.
const BITMAP: TextRules = TextRules { size_per_em: text::LINE_PER_EM, baseline_per_size: 0.5 };

impl Scene {
    /// The figure as an SVG document.
    pub(crate) fn svg(&self) -> Result<String, Error> {
        let mut document = String::new();
        let area = SVGBackend::with_string(&mut document, self.size()).into_drawing_area();
        self.paint(&area, SVG).map_err(|e| Error::Paint { what: e.to_string() })?;
        drop(area);
        Ok(document)
    }

    /// The figure as pixels: red, green, blue, row by row from the top.
    #[cfg(test)]
    pub(crate) fn pixels(&self) -> Result<Vec<u8>, Error> {
        let mut pixels = vec![0; (self.width * self.height * 3) as usize];
        self.paint_bitmap(BitMapBackend::with_buffer(&mut pixels, self.size()))?;
        Ok(pixels)
    }

    /// Writes the figure as a PNG file.
    pub(crate) fn write_png(&self, path: &std::path::Path) -> Result<(), Error> {
        self.paint_bitmap(BitMapBackend::new(path, self.size())).map_err(|error| match error {
            Error::Paint { what } => Error::Write { path: path.to_owned(), what },
            other => other,
        })
    }

    fn paint_bitmap(&self, backend: BitMapBackend<'_>) -> Result<(), Error> {
        let area = backend.into_drawing_area();
        self.paint(&area, BITMAP).map_err(|e| Error::Paint { what: e.to_string() })
    }

    fn size(&self) -> (u32, u32) {
        (self.width.unsigned_abs(), self.height.unsigned_abs())
    }

    fn paint<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        rules: TextRules,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        area.fill(&palette::PAPER)?;
        self.grid.iter().try_for_each(|line| paint_line(area, line))?;
        for block in self.swatches.iter().chain(&self.bars) {
            let corners = [(block.left, block.top), (block.right, block.bottom)];
            area.draw(&Rectangle::new(corners, block.color.filled()))?;
        }
        self.whiskers.iter().try_for_each(|line| paint_line(area, line))?;
        self.labels.iter().try_for_each(|label| paint_label(area, label, rules))?;
        area.present()
    }
}

fn paint_line<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    line: &Line,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let style = ShapeStyle { color: line.color.to_rgba(), filled: false, stroke_width: line.width };
    area.draw(&PathElement::new([line.from, line.to], style))
}

fn paint_label<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    label: &Label,
    rules: TextRules,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let size = label.size.px() * rules.size_per_em;
    let anchor = match label.align {
        Align::Left => HPos::Left,
        Align::Center => HPos::Center,
        Align::Right => HPos::Right,
    };
    let style = (FontFamily::Name(text::FAMILY), size, label.weight.style())
        .into_font()
        .color(&label.color)
        .pos(Pos::new(anchor, VPos::Top));
    let top = label.baseline - (size * rules.baseline_per_size).round() as i32;
    area.draw_text(&label.text, &style, (label.x, top))
}

#[cfg(test)]
impl Label {
    /// What the text covers: left, top, right, bottom.
    pub(crate) fn bounds(&self) -> (i32, i32, i32, i32) {
        let width = text::width(&self.text, self.size, self.weight).unwrap();
        let left = match self.align {
            Align::Left => self.x,
            Align::Center => self.x - width / 2,
            Align::Right => self.x - width,
        };
        let em = self.size.px();
        let (above, below) = ((em * 0.76) as i32, (em * 0.24) as i32);
        (left, self.baseline - above, left + width, self.baseline + below)
    }
}
