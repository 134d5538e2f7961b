//! Horizontal bars in groups: a name at the left, a bar, a value behind it. They fit any width.

use plotters::style::RGBColor;

use crate::Error;
use crate::axis::Axis;
use crate::palette;
use crate::plot::spread;
use crate::scene::{Align, Block, Curve, Dash, Ground, Label, Line};
use crate::sheet::Sheet;
use crate::text::{self, Size, Weight};

/// As many rows as one figure takes.
const ROWS_MOST: usize = 300; // guess
const BAR: i32 = 18;
const ROW: i32 = 25;
/// Neighbouring groups share an axis while none is this many times as high as another.
const RATIO_MAX: f64 = 4.0;

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Lengths that stand one after the other.
    pub(crate) parts: Vec<(f64, RGBColor)>,
    /// The ends of the 95% interval, where there is one.
    pub(crate) interval: Option<[f64; 2]>,
    /// What stands behind the bar.
    pub(crate) value: String,
}

/// Bars under one heading.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) heading: String,
    pub(crate) rows: Vec<Row>,
    /// A line through all bars of the group.
    pub(crate) limit: Option<f64>,
}

impl Row {
    fn sum(&self) -> f64 {
        self.parts.iter().map(|part| part.0).sum()
    }

    fn most(&self) -> f64 {
        self.sum().max(self.interval.map_or(0.0, |interval| interval[1]))
    }
}

impl Group {
    fn most(&self) -> f64 {
        let rows = self.rows.iter().map(Row::most).fold(0.0, f64::max);
        rows.max(self.limit.unwrap_or(0.0))
    }
}

/// The columns, in pixels.
struct Columns {
    names: i32,
    left: i32,
    right: i32,
}

/// Draws the groups; neighbours that are comparable share an axis, which `axis` makes for the most
/// that it has to show.
pub(crate) fn draw(
    sheet: &mut Sheet,
    groups: &[Group],
    axis: &dyn Fn(f64) -> Axis,
) -> Result<(), Error> {
    let count = groups.iter().map(|group| group.rows.len()).sum();
    if count > ROWS_MOST {
        return Err(Error::TooMany { what: "bars", count, most: ROWS_MOST });
    }
    let columns = columns(sheet, groups)?;
    for panel in panels(groups) {
        let axis = axis(panel.iter().map(Group::most).fold(f64::MIN_POSITIVE, f64::max));
        draw_panel(sheet, panel, &columns, &axis)?;
    }
    Ok(())
}

/// Draws the groups on one axis, comparable or not.
pub(crate) fn draw_as_one(sheet: &mut Sheet, groups: &[Group], axis: &Axis) -> Result<(), Error> {
    let columns = columns(sheet, groups)?;
    draw_panel(sheet, groups, &columns, axis)
}

fn draw_panel(
    sheet: &mut Sheet,
    groups: &[Group],
    columns: &Columns,
    axis: &Axis,
) -> Result<(), Error> {
    let mut bands = Vec::new();
    for group in groups {
        bands.push(draw_group(sheet, group, columns, axis)?);
    }
    draw_axis(sheet, columns, axis, &bands)
}

fn panels(groups: &[Group]) -> Vec<&[Group]> {
    let mut panels = Vec::new();
    let mut rest = groups;
    while !rest.is_empty() {
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        let fits = |group: &&Group| {
            // Bars of no length fit with any.
            let most = Some(group.most()).filter(|most| *most > 0.0);
            (low, high) = (low.min(most.unwrap_or(low)), high.max(most.unwrap_or(high)));
            high <= low * RATIO_MAX
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (panel, others) = rest.split_at(count);
        panels.push(panel);
        rest = others;
    }
    panels
}

fn columns(sheet: &Sheet, groups: &[Group]) -> Result<Columns, Error> {
    let (mut names, mut values) = (0, 0);
    for row in groups.iter().flat_map(|group| &group.rows) {
        names = names.max(text::width(&row.name, Size::Label, Weight::Normal)?);
        values = values.max(text::width(&row.value, Size::Label, Weight::Normal)?);
    }
    let names = names.min((sheet.right() - sheet.left()) * 2 / 5);
    let left = sheet.left() + names + 10;
    Ok(Columns { names, left, right: (sheet.right() - values - 10).max(left + 60) })
}

impl Columns {
    fn x_of(&self, axis: &Axis, value: f64) -> i32 {
        self.left + (axis.scale.share(value) * f64::from(self.right - self.left)).round() as i32
    }
}

/// The heading and the bars; the first and the last row of pixels of the bars.
fn draw_group(
    sheet: &mut Sheet,
    group: &Group,
    columns: &Columns,
    axis: &Axis,
) -> Result<(i32, i32), Error> {
    sheet.heading(&group.heading)?;
    let top = sheet.y + 2;
    for row in &group.rows {
        draw_row(sheet, row, columns, (axis, group.limit))?;
    }
    let bottom = sheet.y + 2;
    if let Some(limit) = group.limit {
        let x = columns.x_of(axis, limit);
        let points = vec![(x, top), (x, bottom)];
        let (color, width, dash) = (palette::INK, 2, Dash::Short);
        sheet.scene.curve(Curve { points, color, width, dash });
    }
    Ok((top, bottom))
}

fn draw_row(
    sheet: &mut Sheet,
    row: &Row,
    columns: &Columns,
    (axis, limit): (&Axis, Option<f64>),
) -> Result<(), Error> {
    let lines = text::wrap(&row.name, Size::Label, Weight::Normal, columns.names)?;
    let height = ROW.max(lines.len() as i32 * Size::Label.line() + 4);
    let middle = sheet.y + height / 2 + 2;
    let first = middle - (lines.len() as i32 - 1) * Size::Label.line() / 2 + 6;
    for (line, text) in (0..).zip(lines) {
        let at = (columns.left - 10, first + line * Size::Label.line());
        sheet.scene.labels.push(Label::new(text, at, Align::Right));
    }
    let (top, bottom) = (middle - BAR / 2, middle + BAR / 2);
    let (mut sum, mut left) = (0.0, columns.left);
    for (length, color) in &row.parts {
        sum += length;
        // Something to see even where the value is next to nothing.
        let least = if row.parts.len() == 1 { left + 1 } else { left };
        let right = columns.x_of(axis, sum).max(least);
        if right > left {
            sheet.scene.bars.push(Block { left, top, right, bottom, color: *color });
        }
        left = right;
    }
    let end = row.interval.map_or(left, |[low, high]| {
        let ends = (columns.x_of(axis, low), columns.x_of(axis, high));
        draw_whisker(sheet, middle, ends);
        left.max(ends.1)
    });
    let width = text::width(&row.value, Size::Label, Weight::Normal)?;
    let hidden = |x: &i32| (end..end + width + 12).contains(x);
    // Behind the limit's line rather than under it.
    let end = limit.map(|limit| columns.x_of(axis, limit)).filter(hidden).unwrap_or(end);
    let value = Label::new(&row.value, (end + 8, middle + 6), Align::Left);
    sheet.scene.labels.push(Label { ground: Ground::Paper, ..value });
    sheet.y += height;
    Ok(())
}

fn draw_whisker(sheet: &mut Sheet, y: i32, (low, high): (i32, i32)) {
    const CAP: i32 = 5;
    for (from, to) in [
        ((low, y), (high, y)),
        ((low, y - CAP), (low, y + CAP)),
        ((high, y - CAP), (high, y + CAP)),
    ] {
        sheet.scene.whiskers.push(Line { from, to, color: palette::INK, width: 2 });
    }
}

/// Grid lines through the groups' bars, and the numbers below the last.
fn draw_axis(
    sheet: &mut Sheet,
    columns: &Columns,
    axis: &Axis,
    bands: &[(i32, i32)],
) -> Result<(), Error> {
    let ticks = axis.ticks.iter().map(|(value, name)| (columns.x_of(axis, *value), name));
    let space = |name: &str| Ok(text::width(name, Size::Small, Weight::Normal)? + 10);
    let below = sheet.y + 6 + Size::Small.line();
    for (x, name) in spread(ticks, space)? {
        for (top, bottom) in bands {
            let color = if x == columns.left { palette::QUIET } else { palette::GRID };
            let (from, to) = ((x, *top), (x, *bottom));
            sheet.scene.grid.push(Line { from, to, color, width: 1 });
        }
        sheet.scene.labels.push(Label::quiet(name, (x, below), Align::Center));
    }
    let title = (sheet.right(), below + Size::Small.line());
    sheet.scene.labels.push(Label::quiet(&axis.title, title, Align::Right));
    sheet.y = title.1 + 4;
    Ok(())
}
