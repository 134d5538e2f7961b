//! What can go wrong between processes.

use std::io;

/// Why shared memory was not attached to, or not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShmError {
    /// A number that cannot be meant.
    #[error("{what}")]
    Configuration {
        /// What is wrong, in words.
        what: String,
    },
    /// The file holds something else, or was cut short: make a new one.
    #[error("this file holds no such shared memory: {why}")]
    NotOurs {
        /// What is wrong with it.
        why: &'static str,
    },
    /// Every side is taken once and never again: make a new file for a new pair.
    #[error("the {role} is taken already")]
    Taken {
        /// Which side.
        role: &'static str,
    },
    /// The other side wrote what it never should.
    #[error("the peer has written nonsense into the shared memory: {why}")]
    Corrupt {
        /// What.
        why: &'static str,
    },
    /// The file was cut short while it was in use; told only under `guard_sigbus`.
    #[error("the file was cut short while it was in use")]
    CutShort,
    /// The other side ended without saying so.
    #[error("the peer died")]
    PeerDied,
    /// A party of a latch was dropped before it arrived: the latch will never open.
    #[error("a party gave up before it arrived")]
    GaveUp,
    /// The other side was dropped while something was still wanted of it.
    #[error("the other side is closed")]
    Closed,
    /// A system call failed.
    #[error("{call} failed: {source}")]
    Syscall {
        /// Which one.
        call: &'static str,
        /// With what error.
        source: io::Error,
    },
}

impl ShmError {
    /// Names the call that failed; for `map_err`.
    pub(super) fn of<E: Into<io::Error>>(call: &'static str) -> impl FnOnce(E) -> ShmError {
        move |source| ShmError::Syscall { call, source: source.into() }
    }
}

impl From<ShmError> for io::Error {
    fn from(error: ShmError) -> io::Error {
        let kind = match &error {
            ShmError::Configuration { .. } => io::ErrorKind::InvalidInput,
            ShmError::NotOurs { .. } | ShmError::Corrupt { .. } | ShmError::CutShort => {
                io::ErrorKind::InvalidData
            }
            ShmError::Taken { .. } => io::ErrorKind::ResourceBusy,
            ShmError::PeerDied | ShmError::GaveUp | ShmError::Closed => io::ErrorKind::BrokenPipe,
            ShmError::Syscall { source, .. } => source.kind(),
        };
        io::Error::new(kind, error)
    }
}
