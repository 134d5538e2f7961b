//! Paints a scene: one painter for every back end, so that SVG and PNG show the same thing.

use std::fmt::Write as _;

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, IntoFont, RGBColor, ShapeStyle};

use crate::Error;
use crate::palette;
use crate::scene::{Align, Block, Cells, Curve, DOT, Dot, Ground, Label, Line, Scene, Shape};
use crate::text;

/// How a back end of plotters turns a font size and a position into pixels.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// The font size to ask for, over the em that is meant.
    size_per_em: f64,
    /// From the "top" of a text down to its baseline, over the font size asked for.
    baseline_per_size: f64,
    /// Pixels for one pixel of the scene.
    scale: i32,
}

/// plotters-svg 0.3.7 `draw_text`: `font-size` is size / 1.24, and `dy` is 0.76 em.
const SVG: Rules = Rules { size_per_em: 1.24, baseline_per_size: 0.76 / 1.24, scale: 1 };
/// plotters 0.3.7 `ab_glyph.rs`: the size is ascent plus descent; the baseline is at half of it.
const BITMAP: Rules = Rules { size_per_em: text::LINE_PER_EM, baseline_per_size: 0.5, scale: 1 };

/// What lies under cells and curves, and what over them.
#[derive(Clone, Copy)]
enum Part {
    Under,
    Over,
}

type Failure<B> = DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>;

impl Scene {
    /// The figure as an SVG document, which follows its reader's choice of light or dark.
    pub(crate) fn svg(&self) -> Result<String, Error> {
        let (under, over) = (self.svg_of(Part::Under)?, self.svg_of(Part::Over)?);
        // plotters has no element for a thousand squares in one: they go in between as paths.
        let (head, under) = split(&under);
        let cells: String = self.cells.iter().map(path).collect();
        // Nor has it broken lines: as pieces between whole pixels they would not be straight.
        let curves: String = self.curves.iter().map(polyline).collect();
        let style = palette::dark_style();
        Ok(format!("{head}{style}{under}{cells}{curves}{}</svg>\n", split(&over).1))
    }

    fn svg_of(&self, part: Part) -> Result<String, Error> {
        let mut document = String::new();
        let area = SVGBackend::with_string(&mut document, self.size(1)).into_drawing_area();
        let painted = match part {
            Part::Under => self.paint_under(&area, SVG),
            Part::Over => self.paint_over(&area, SVG),
        };
        let done = painted.and_then(|()| area.present());
        done.map_err(|error| Error::Paint { what: error.to_string() })?;
        drop(area);
        Ok(document)
    }

    /// The figure as pixels: red, green, blue, row by row from the top; `scale` for each pixel.
    pub(crate) fn pixels(&self, scale: i32) -> Result<Vec<u8>, Error> {
        let (width, height) = self.size(scale);
        let mut pixels = vec![0; width as usize * height as usize * 3];
        let backend = BitMapBackend::with_buffer(&mut pixels, (width, height));
        self.paint_bitmap(backend, scale)?;
        Ok(pixels)
    }

    /// The figure as a PNG file of `scale` pixels for each.
    pub(crate) fn png(&self, scale: i32) -> Result<Vec<u8>, Error> {
        let (width, height) = self.size(scale);
        let pixels = self.pixels(scale)?;
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::High);
        let written = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(&pixels)?;
            writer.finish()
        });
        written.map(|()| file).map_err(|error| Error::Paint { what: error.to_string() })
    }

    fn size(&self, scale: i32) -> (u32, u32) {
        ((self.width * scale).unsigned_abs(), (self.height * scale).unsigned_abs())
    }

    fn paint_bitmap(&self, backend: BitMapBackend<'_>, scale: i32) -> Result<(), Error> {
        let area = backend.into_drawing_area();
        let rules = Rules { scale, ..BITMAP };
        let paint = || {
            self.paint_under(&area, rules)?;
            self.cells.iter().try_for_each(|cells| paint_cells(&area, cells, scale))?;
            self.curves.iter().try_for_each(|curve| paint_curve(&area, curve, rules))?;
            self.paint_over(&area, rules)?;
            area.present()
        };
        paint().map_err(|error| Error::Paint { what: error.to_string() })
    }

    /// All that lies under cells and curves.
    fn paint_under<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        rules: Rules,
    ) -> Result<(), Failure<B>> {
        area.fill(&palette::PAPER)?;
        self.grid.iter().try_for_each(|line| paint_line(area, line, rules))?;
        let mut blocks = self.swatches.iter().chain(&self.bars);
        blocks.try_for_each(|block| paint_block(area, block, rules))
    }

    /// All that lies over them.
    fn paint_over<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        rules: Rules,
    ) -> Result<(), Failure<B>> {
        self.dots.iter().try_for_each(|dot| paint_dot(area, dot, rules))?;
        self.whiskers.iter().try_for_each(|line| paint_line(area, line, rules))?;
        self.labels.iter().try_for_each(|label| paint_label(area, label, rules))
    }
}

/// The first line of a document, and what stands between it and the last.
fn split(document: &str) -> (&str, &str) {
    let head = document.find('\n').map_or(0, |end| end + 1);
    let body = document[head..].trim_end().trim_end_matches("</svg>");
    (&document[..head], body)
}

/// Squares as strokes as wide as they are high.
fn path(cells: &Cells) -> String {
    let (color, size) = (palette::hex(cells.color), cells.size);
    let mut d = String::new();
    for &(left, top, count) in &cells.runs {
        // Writing to a string cannot fail. Twice the middle, so that it is whole.
        let _ = write!(d, "M{} {}h{}", 2 * left, 2 * top + size, 2 * size * count);
    }
    let width = 2 * size;
    format!(
        "<path transform=\"scale(0.5)\" stroke=\"{color}\" stroke-width=\"{width}\" d=\"{d}\"/>\n"
    )
}

/// A curve, broken by its reader.
fn polyline(curve: &Curve) -> String {
    let (color, width) = (palette::hex(curve.color), curve.width);
    let points: Vec<_> = curve.points.iter().map(|(x, y)| format!("{x},{y}")).collect();
    let dash = match curve.dash.pattern() {
        Some((on, off)) => format!(" stroke-dasharray=\"{on} {off}\""),
        None => String::new(),
    };
    let points = points.join(" ");
    format!(
        "<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\"{dash} points=\"{points}\"/>\n"
    )
}

fn stroke(color: RGBColor, width: u32, rules: Rules) -> ShapeStyle {
    let stroke_width = width * rules.scale.unsigned_abs();
    ShapeStyle { color: color.to_rgba(), filled: false, stroke_width }
}

fn scaled((x, y): (i32, i32), scale: i32) -> (i32, i32) {
    (x * scale, y * scale)
}

fn paint_cells<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    cells: &Cells,
    scale: i32,
) -> Result<(), Failure<B>> {
    let size = cells.size;
    cells.runs.iter().try_for_each(|&(left, top, count)| {
        let corners = [(left, top), (left + size * count, top + size)];
        let corners = corners.map(|corner| scaled(corner, scale));
        area.draw(&Rectangle::new(corners, cells.color.filled()))
    })
}

fn paint_block<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    block: &Block,
    rules: Rules,
) -> Result<(), Failure<B>> {
    let corners = [(block.left, block.top), (block.right, block.bottom)];
    let corners = corners.map(|corner| scaled(corner, rules.scale));
    area.draw(&Rectangle::new(corners, block.color.filled()))
}

fn paint_line<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    line: &Line,
    rules: Rules,
) -> Result<(), Failure<B>> {
    let points = [line.from, line.to].map(|point| scaled(point, rules.scale));
    area.draw(&PathElement::new(points, stroke(line.color, line.width, rules)))
}

fn paint_curve<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    curve: &Curve,
    rules: Rules,
) -> Result<(), Failure<B>> {
    let stroke = stroke(curve.color, curve.width, rules);
    let mut pieces = curve.pieces(rules.scale).into_iter();
    pieces.try_for_each(|piece| area.draw(&PathElement::new(piece, stroke)))
}

fn paint_dot<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    dot: &Dot,
    rules: Rules,
) -> Result<(), Failure<B>> {
    // A rim of paper, so that dots that touch stay apart.
    paint_shape(area, dot, palette::PAPER, (DOT + 1, rules.scale))?;
    paint_shape(area, dot, dot.color, (DOT, rules.scale))
}

fn paint_shape<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    dot: &Dot,
    color: RGBColor,
    (half, scale): (i32, i32),
) -> Result<(), Failure<B>> {
    let (x, y) = scaled(dot.at, scale);
    let r = half * scale;
    let filled = color.filled();
    match dot.shape {
        Shape::Circle => area.draw(&Circle::new((x, y), r, filled)),
        Shape::Square => area.draw(&Rectangle::new([(x - r, y - r), (x + r, y + r)], filled)),
        Shape::Diamond => {
            let r = r + 2 * scale;
            area.draw(&Polygon::new([(x, y - r), (x + r, y), (x, y + r), (x - r, y)], filled))
        }
        Shape::Triangle => area
            .draw(&Polygon::new([(x, y - r - 1), (x + r + 1, y + r), (x - r - 1, y + r)], filled)),
    }
}

fn paint_label<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    label: &Label,
    rules: Rules,
) -> Result<(), Failure<B>> {
    if let (Ground::Paper, Ok((left, top, right, bottom))) = (label.ground, label.bounds()) {
        let (left, right) = (left - 2, right + 2);
        let color = palette::PAPER;
        paint_block(area, &Block { left, top, right, bottom, color }, rules)?;
    }
    let scale = f64::from(rules.scale);
    let size = label.size.px() * rules.size_per_em * scale;
    let anchor = match label.align {
        Align::Left => HPos::Left,
        Align::Center => HPos::Center,
        Align::Right => HPos::Right,
    };
    let style = (FontFamily::Name(text::FAMILY), size, label.weight.style())
        .into_font()
        .color(&label.color)
        .pos(Pos::new(anchor, VPos::Top));
    let (x, baseline) = scaled((label.x, label.baseline), rules.scale);
    let top = baseline - (size * rules.baseline_per_size).round() as i32;
    area.draw_text(&label.text, &style, (x, top))
}

impl Label {
    /// What the text covers: left, top, right, bottom.
    pub(crate) fn bounds(&self) -> Result<(i32, i32, i32, i32), Error> {
        let width = text::width(&self.text, self.size, self.weight)?;
        let left = match self.align {
            Align::Left => self.x,
            Align::Center => self.x - width / 2,
            Align::Right => self.x - width,
        };
        let em = self.size.px();
        let (above, below) = ((em * 0.76) as i32, (em * 0.24) as i32);
        Ok((left, self.baseline - above, left + width, self.baseline + below))
    }
}
