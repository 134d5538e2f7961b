//! What opening and explicit calls may answer. Prefetching itself never fails a read.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why an explicit call was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The options contradict each other or name something unknown.
    #[error("{what}")]
    Configuration {
        /// What is wrong, in words.
        what: String,
    },
    /// This kernel, file system or user cannot do it.
    #[error("{what} is not supported here: {needs}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// What it would need.
        needs: &'static str,
    },
    /// The bytes of a file that does not fit into the memory limit might change between two reads
    /// of the same page, and safe code would see them change.
    #[error(
        "the file may change while it is mapped ({why}): raise the memory limit to its size, seal it \
         (memfd), put it under fs-verity, or vouch for it with `open_assume_immutable`"
    )]
    NotImmutable {
        /// Why no proof was found.
        why: String,
    },
    /// A file that was to hold a recorded set does not.
    #[error("this is no recorded set: {why}")]
    DamagedRecord {
        /// What is wrong with it.
        why: &'static str,
    },
    /// A recorded set is of another file, or of another state of this one.
    #[error("the recorded set is of another file, or of an older one: {why}")]
    StaleRecord {
        /// What differs.
        why: String,
    },
    /// Bytes of a mapped file are not there any more, or never were.
    #[error("{}: no bytes at offset {offset}: {loss}", file.display())]
    Vanished {
        /// The name of the file as the kernel knows it; a file that was removed, by its last one.
        file: PathBuf,
        /// The offset in the file of the first byte that is known to be missing, of those that were
        /// asked for.
        offset: u64,
        /// Why it is missing.
        loss: Loss,
    },
    /// A range of bytes is not inside the mapping.
    #[error("bytes {start}..{end} are not inside the mapping, which has {len}")]
    OutsideMapping {
        /// The first byte asked for.
        start: usize,
        /// The one behind the last.
        end: usize,
        /// The bytes of the mapping.
        len: usize,
    },
    /// A system call failed.
    #[error("{call} failed: {source}")]
    Syscall {
        /// Which call.
        call: &'static str,
        /// With what error.
        source: io::Error,
    },
}

/// Why a byte of a mapped file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// The file ends before it: it was cut, or was mapped beyond its end.
    PastEnd {
        /// The length of the file, in bytes, when the error was made.
        len: u64,
    },
    /// The file has such a byte, and its page could not be read: the device failed, or there was no
    /// space or memory for it.
    NotRead,
    /// The file has such a byte now. When it was touched, it could not be read or was cut off, and
    /// zeros have stood in its place since: map the file anew.
    Replaced,
    /// Its page cannot be read, and the file has no name by which to find out more.
    Unknown,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::PastEnd { len } => write!(f, "the file now ends at {len}"),
            Loss::NotRead => {
                f.write_str("its page could not be read (a failing device, or no space)")
            }
            Loss::Replaced => {
                f.write_str("it was not there when it was touched, and zeros stand for it since")
            }
            Loss::Unknown => {
                f.write_str("cut off, or not readable; the file has no name to ask by")
            }
        }
    }
}

impl Error {
    pub(crate) fn configuration(what: String) -> Error {
        Error::Configuration { what }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        match error {
            Error::Configuration { .. } | Error::OutsideMapping { .. } => {
                io::Error::new(io::ErrorKind::InvalidInput, error)
            }
            Error::Vanished { loss: Loss::PastEnd { .. }, .. } => {
                io::Error::new(io::ErrorKind::UnexpectedEof, error)
            }
            Error::Vanished { .. } => io::Error::other(error),
            Error::NotImmutable { .. } => io::Error::new(io::ErrorKind::PermissionDenied, error),
            Error::Unsupported { .. } => io::Error::new(io::ErrorKind::Unsupported, error),
            Error::DamagedRecord { .. } | Error::StaleRecord { .. } => {
                io::Error::new(io::ErrorKind::InvalidData, error)
            }
            Error::Syscall { source, .. } => source,
        }
    }
}
