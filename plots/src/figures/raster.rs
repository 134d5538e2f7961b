//! Many points on few pixels: what falls on the same square is drawn once.

use plotters::style::RGBColor;

use crate::plot::Plot;
use crate::scene::Cells;

/// The squares of a plot; each holds the most important kind that fell on it.
pub(super) struct Raster {
    size: i32,
    left: i32,
    top: i32,
    columns: i32,
    rows: i32,
    /// Row by row: 0 for nothing, else the kind plus 1.
    kinds: Vec<u8>,
    /// Row by row: where lines begin (+) and end (-), for each kind that has lines.
    lines: Vec<(u8, Vec<i32>)>,
}

impl Raster {
    /// Squares over a plot that hold about `points` points: small ones only where there are many.
    pub(super) fn over(plot: &Plot, points: usize) -> Raster {
        let size = if points < 6_000 { 4 } else { 2 };
        let columns = (plot.right - plot.left) / size;
        let rows = (plot.bottom - plot.top) / size;
        let kinds = vec![0; (columns * rows) as usize];
        Raster { size, left: plot.left, top: plot.top, columns, rows, kinds, lines: Vec::new() }
    }

    fn column(&self, x: i32) -> i32 {
        ((x - self.left) / self.size).clamp(0, self.columns - 1)
    }

    /// The row of a pixel.
    pub(super) fn row(&self, y: i32) -> i32 {
        ((y - self.top) / self.size).clamp(0, self.rows - 1)
    }

    /// The first pixel of a row and the one after its last.
    pub(super) fn pixels(&self, row: i32) -> (i32, i32) {
        let top = self.top + row * self.size;
        (top, top + self.size)
    }

    /// Marks a point by its pixel. A higher kind covers a lower one.
    pub(super) fn point(&mut self, at: (i32, i32), kind: u8) {
        let index = (self.row(at.1) * self.columns + self.column(at.0)) as usize;
        self.kinds[index] = self.kinds[index].max(kind + 1);
    }

    /// Marks a row from one pixel to another, both included. As many as there are cost no more than
    /// their ends until [`fill`](Raster::fill).
    pub(super) fn line(&mut self, row: i32, from: i32, to: i32, kind: u8) {
        let width = self.columns + 1;
        let index = match self.lines.iter().position(|(other, _)| *other == kind) {
            Some(index) => index,
            None => {
                self.lines.push((kind, vec![0; (width * self.rows) as usize]));
                self.lines.len() - 1
            }
        };
        let (from, to) = (self.column(from), self.column(to.max(from)));
        let ends = &mut self.lines[index].1;
        ends[(row * width + from) as usize] += 1;
        ends[(row * width + to + 1) as usize] -= 1;
    }

    /// Draws all lines.
    pub(super) fn fill(&mut self) {
        let width = self.columns as usize;
        for (kind, ends) in std::mem::take(&mut self.lines) {
            for (row, ends) in ends.chunks(width + 1).enumerate() {
                let mut open = 0;
                for (square, end) in self.kinds[row * width..][..width].iter_mut().zip(ends) {
                    open += end;
                    if open > 0 {
                        *square = (*square).max(kind + 1);
                    }
                }
            }
        }
    }

    /// The squares of one kind.
    pub(super) fn cells(&self, kind: u8, color: RGBColor) -> Cells {
        let mut runs: Vec<(i32, i32, i32)> = Vec::new();
        for (row, squares) in (0..).zip(self.kinds.chunks(self.columns as usize)) {
            let top = self.pixels(row).0;
            let mut from = None;
            for (column, square) in (0..).zip(squares.iter().chain(&[0])) {
                match (from, *square == kind + 1) {
                    (None, true) => from = Some(column),
                    (Some(first), false) => {
                        runs.push((self.left + first * self.size, top, column - first));
                        from = None;
                    }
                    _ => {}
                }
            }
        }
        Cells { size: self.size, runs, color }
    }
}
