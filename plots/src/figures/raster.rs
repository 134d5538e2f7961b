//! Many points on few pixels: what falls on the same square is drawn once.

use plotters::style::RGBColor;

use crate::plot::Plot;
use crate::scene::Cells;

/// How wide a square is, in pixels.
const SIZE: i32 = 2;

/// The squares of a plot; each holds the most important kind that fell on it.
pub(super) struct Raster {
    left: i32,
    top: i32,
    columns: i32,
    rows: i32,
    /// Row by row: 0 for nothing, else the kind plus 1.
    kinds: Vec<u8>,
}

impl Raster {
    pub(super) fn over(plot: &Plot) -> Raster {
        let columns = (plot.right - plot.left) / SIZE;
        let rows = (plot.bottom - plot.top) / SIZE;
        let kinds = vec![0; (columns * rows) as usize];
        Raster { left: plot.left, top: plot.top, columns, rows, kinds }
    }

    /// Marks a point by its pixel. A higher kind covers a lower one.
    pub(super) fn point(&mut self, at: (i32, i32), kind: u8) {
        self.span(at.0, at.1, at.1, kind);
    }

    /// Marks a vertical line between two pixels, both included.
    pub(super) fn span(&mut self, x: i32, y: i32, other_y: i32, kind: u8) {
        let column = ((x - self.left) / SIZE).clamp(0, self.columns - 1);
        let row = |y: i32| ((y - self.top) / SIZE).clamp(0, self.rows - 1);
        for row in row(y.min(other_y))..=row(y.max(other_y)) {
            let square = &mut self.kinds[(row * self.columns + column) as usize];
            *square = (*square).max(kind + 1);
        }
    }

    /// The squares of one kind.
    pub(super) fn cells(&self, kind: u8, color: RGBColor) -> Cells {
        let mut runs: Vec<(i32, i32, i32)> = Vec::new();
        for (row, squares) in (0..).zip(self.kinds.chunks(self.columns as usize)) {
            let top = self.top + row * SIZE;
            let mut from = None;
            for (column, square) in (0..).zip(squares.iter().chain(&[0])) {
                match (from, *square == kind + 1) {
                    (None, true) => from = Some(column),
                    (Some(first), false) => {
                        runs.push((self.left + first * SIZE, top, column - first));
                        from = None;
                    }
                    _ => {}
                }
            }
        }
        Cells { size: SIZE, runs, color }
    }
}
