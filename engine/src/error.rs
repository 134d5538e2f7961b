//! What opening and explicit calls may answer. Prefetching itself never fails a read.

use std::io;

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
    /// A system call failed.
    #[error("{call} failed: {source}")]
    Syscall {
        /// Which call.
        call: &'static str,
        /// With what error.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn configuration(what: String) -> Error {
        Error::Configuration { what }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        match error {
            Error::Configuration { .. } => io::Error::new(io::ErrorKind::InvalidInput, error),
            Error::NotImmutable { .. } => io::Error::new(io::ErrorKind::PermissionDenied, error),
            Error::Unsupported { .. } => io::Error::new(io::ErrorKind::Unsupported, error),
            Error::DamagedRecord { .. } | Error::StaleRecord { .. } => {
                io::Error::new(io::ErrorKind::InvalidData, error)
            }
            Error::Syscall { source, .. } => source,
        }
    }
}
