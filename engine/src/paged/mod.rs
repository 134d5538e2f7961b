//! A mapping of bounded memory, filled when it is touched.

#[cfg(feature = "bgzf")]
mod bgzf;
mod disk;
mod held;
mod immutable;
mod slots;
mod source;

#[cfg(feature = "bgzf")]
pub use bgzf::Bgzf;
pub(crate) use disk::Queue;
pub(crate) use immutable::{Immutability, Proof};
pub(crate) use source::{Access, FileSource, Source};

/// What happens when the source of a `Paged` fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnIoError {
    /// A.
    #[default]
    Abort,
}

use std::io;

fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
