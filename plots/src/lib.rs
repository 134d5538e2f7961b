//! Figures drawn from result files, and the page that shows them. Nothing here measures anything.
//!
//! - [`results`] reads result files: one JSON object a line; its page lists every kind.
//! - `figures` holds one figure a file, each a function from results to a drawing. A drawing is a
//!   `scene` of marks, lines and texts in pixels that `paint` paints as SVG and as PNG, so both
//!   show the same thing. The font, DejaVu Sans, is inside the program: no font library and no
//!   installed font is needed.
//! - [`report`] makes one HTML page of it, which needs nothing from anywhere else.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

mod axis;
mod error;
mod figures;
mod paint;
mod palette;
mod plot;
pub mod report;
pub mod results;
mod rows;
mod scene;
mod sheet;
mod styles;
#[cfg(test)]
mod testing;
mod text;

pub use error::Error;
pub use results::Results;
pub use sheet::Width;

use scene::Scene;

/// Pixels of a PNG for one of the figure: sharp on today's screens.
const PNG_SCALE: i32 = 2;

/// A figure, drawn for pages and for telephones.
#[derive(Debug)]
pub struct Drawing {
    /// The name of its files.
    pub name: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// How to read it, for somebody who sees such a figure for the first time.
    pub words: &'static str,
    wide: Scene,
    narrow: Scene,
}

/// Draws every figure that `results` hold something for.
///
/// # Errors
/// [`Error::Empty`] when that is none; [`Error::TooMany`] when one figure cannot show all.
pub fn draw(results: &Results) -> Result<Vec<Drawing>, Error> {
    let mut drawings = Vec::new();
    for figure in figures::ALL {
        let figures::Figure { name, title, words, draw } = figure;
        let (wide, narrow) = (draw(results, Width::Wide)?, draw(results, Width::Narrow)?);
        if let (Some(wide), Some(narrow)) = (wide, narrow) {
            drawings.push(Drawing { name, title, words, wide, narrow });
        }
    }
    if drawings.is_empty() { Err(Error::Empty) } else { Ok(drawings) }
}

impl Drawing {
    /// The figure as an SVG document.
    ///
    /// # Errors
    /// [`Error::Paint`].
    pub fn svg(&self, width: Width) -> Result<String, Error> {
        match width {
            Width::Wide => self.wide.svg(),
            Width::Narrow => self.narrow.svg(),
        }
    }

    /// Writes `NAME.svg` and `NAME.png` (two pixels for one) in `dir`, which is made when it is
    /// missing; gives their paths.
    ///
    /// # Errors
    /// [`Error::Paint`], [`Error::Write`].
    pub fn write(&self, dir: &Path) -> Result<[PathBuf; 2], Error> {
        let paths = ["svg", "png"].map(|kind| dir.join(format!("{}.{kind}", self.name)));
        write(&paths[0], self.svg(Width::Wide)?.as_bytes())?;
        write(&paths[1], &self.wide.png(PNG_SCALE)?)?;
        Ok(paths)
    }
}

/// Writes a file, and makes its folder when it is missing.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let at = |path: &Path, error: std::io::Error| Error::Write {
        path: path.to_owned(),
        what: error.to_string(),
    };
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(|error| at(dir, error))?;
    }
    fs::write(path, bytes).map_err(|error| at(path, error))
}
