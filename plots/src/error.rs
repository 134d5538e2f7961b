//! Why a figure was not drawn.

use std::path::PathBuf;

/// Why a figure was not drawn. Nothing is written unless the data was good.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to draw.
    #[error("no results to draw")]
    Empty,
    /// A result file holds no line.
    #[error("{file}: holds no results")]
    Hollow {
        /// The file's name.
        file: String,
    },
    /// A line of a result file is damaged, or of an unknown kind.
    #[error("{file}: line {line}: {what}")]
    Line {
        /// The file's name.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it, in words.
        what: String,
    },
    /// More than one figure can show.
    #[error("{count} {what} do not fit into one figure: at most {most}")]
    TooMany {
        /// Of what there are too many.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many fit.
        most: usize,
    },
    /// A picture could not be painted.
    #[error("painting failed: {what}")]
    Paint {
        /// What the back end said.
        what: String,
    },
    /// A result file could not be read.
    #[error("cannot read {}: {what}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why, in words.
        what: String,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}: {what}", path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why, in words.
        what: String,
    },
}
