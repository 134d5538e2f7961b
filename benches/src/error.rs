//! What can go wrong, and the exit status it deserves.

use std::io;
use std::path::{Path, PathBuf};

/// An error that is one clear line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument that cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// The operating system refused something about a file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A run, or its preparation, failed.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// Names the file that an error of the operating system is about; for `map_err`.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::File { path: path.to_owned(), source }
    }

    /// A failed run, in words.
    pub fn failed(words: impl Into<String>) -> Error {
        Error::Failed(words.into())
    }

    /// The exit status of a program that ends because of this: 2 for wrong usage, else 1.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::File { .. } | Error::Failed(_) => 1,
        }
    }
}
