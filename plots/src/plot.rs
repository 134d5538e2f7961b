//! An area with two axes, for curves, dots and maps.

use crate::Error;
use crate::axis::Axis;
use crate::palette;
use crate::scene::{Align, Label, Line};
use crate::sheet::Sheet;
use crate::text::{self, Size, Weight};

/// The area, in pixels; `right` and `bottom` are the ends of the axes.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    pub(crate) left: i32,
    pub(crate) top: i32,
    pub(crate) right: i32,
    pub(crate) bottom: i32,
    x: Axis,
    y: Axis,
}

impl Plot {
    /// Takes `height` pixels of the sheet, and what the axes need besides, and draws the axes.
    pub(crate) fn place(sheet: &mut Sheet, height: i32, x: Axis, y: Axis) -> Result<Plot, Error> {
        let mut labels_width = 0;
        for (_, name) in &y.ticks {
            labels_width = labels_width.max(text::width(name, Size::Small, Weight::Normal)?);
        }
        let top = sheet.y + Size::Small.line() + 12;
        let left = sheet.left() + labels_width + 8;
        // The last tick's label is centred on the end of the axis.
        let last = x.ticks.last().map_or("", |tick| &tick.1);
        let right = sheet.right() - text::width(last, Size::Small, Weight::Normal)? / 2;
        let plot = Plot { left, top, right, bottom: top + height, x, y };
        plot.draw_axes(sheet)?;
        sheet.y = plot.bottom + 2 * Size::Small.line() + 8;
        Ok(plot)
    }

    /// The pixel of a value; outside of the axes, the nearest on their edge.
    pub(crate) fn at(&self, x: f64, y: f64) -> (i32, i32) {
        (self.x_of(x), self.y_of(y))
    }

    pub(crate) fn x_of(&self, x: f64) -> i32 {
        self.left + (self.x.scale.share(x) * f64::from(self.right - self.left)).round() as i32
    }

    pub(crate) fn y_of(&self, y: f64) -> i32 {
        self.bottom - (self.y.scale.share(y) * f64::from(self.bottom - self.top)).round() as i32
    }

    fn draw_axes(&self, sheet: &mut Sheet) -> Result<(), Error> {
        let rows = self.y.ticks.iter().map(|(value, name)| (self.y_of(*value), name));
        for (y, name) in spread(rows, |_| Ok(Size::Small.line()))? {
            let color = if y == self.bottom { palette::QUIET } else { palette::GRID };
            let (from, to) = ((self.left, y), (self.right, y));
            sheet.scene.grid.push(Line { from, to, color, width: 1 });
            sheet.scene.labels.push(Label::quiet(name, (self.left - 7, y + 5), Align::Right));
        }
        let below = self.bottom + Size::Small.line();
        let columns = self.x.ticks.iter().map(|(value, name)| (self.x_of(*value), name));
        let space = |name: &str| Ok(text::width(name, Size::Small, Weight::Normal)? + 10);
        for (x, name) in spread(columns, space)? {
            let (from, to) = ((x, self.bottom), (x, self.bottom + 4));
            sheet.scene.grid.push(Line { from, to, color: palette::QUIET, width: 1 });
            sheet.scene.labels.push(Label::quiet(name, (x, below), Align::Center));
        }
        let title = (sheet.left(), self.top - 13);
        sheet.scene.labels.push(Label::quiet(&self.y.title, title, Align::Left));
        let title = (self.right, below + Size::Small.line());
        sheet.scene.labels.push(Label::quiet(&self.x.title, title, Align::Right));
        Ok(())
    }
}

/// Every tick, or every second, third, .. so that no label touches the next.
pub(crate) fn spread<'a>(
    ticks: impl Iterator<Item = (i32, &'a String)>,
    space: impl Fn(&str) -> Result<i32, Error>,
) -> Result<Vec<(i32, &'a str)>, Error> {
    let ticks: Vec<(i32, &str)> = ticks.map(|(at, name)| (at, name.as_str())).collect();
    let mut widest = 0;
    for (_, name) in &ticks {
        widest = widest.max(space(name)?);
    }
    let fits = |every: &usize| {
        let kept: Vec<_> = ticks.iter().step_by(*every).collect();
        kept.windows(2).all(|two| (two[1].0 - two[0].0).abs() >= widest)
    };
    let every = (1..ticks.len().max(2)).find(fits).unwrap_or(ticks.len().max(1));
    Ok(ticks.into_iter().step_by(every).collect())
}
