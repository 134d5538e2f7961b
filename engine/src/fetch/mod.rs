//! Make it so: what carries a plan out. Whatever the kernel refuses is counted and left to the
//! kernel's own behaviour.

mod device;
mod madvise;
mod remap;

pub(crate) use madvise::{Madvise, samples_are_cached};
pub(crate) use remap::Remap;

use std::io;

use crate::residency::Residency;
use crate::sys::Span;

/// What starting the device on a range found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// It was in the page cache already: nothing was started.
    Resident,
    /// The device was started on it.
    Started,
    /// It was left to the kernel's own read-ahead.
    Left,
}

/// A way to fetch. One for each followed mapping.
pub(crate) trait Fetch: Send {
    /// Starts the device on `span`; does not wait for it.
    fn read(&mut self, span: Span) -> io::Result<Read>;

    /// Has `span` in the page table when it returns.
    fn map(&mut self, span: Span) -> io::Result<()>;

    /// Whether `span` is absent, and the kernel's own read-ahead will bring it as fast as can be: it
    /// is better left alone until then.
    fn leaves(&mut self, span: Span) -> bool;

    /// Whether `span` seems to be in the page cache, judged by a few of its pages.
    fn residency(&self, span: Span) -> Residency;
}
