//! Make it so: what carries a plan out. Whatever the kernel refuses is counted and left to the
//! kernel's own behaviour.

mod device;
mod madvise;
mod remap;
mod stores;
mod twin;

pub(crate) use device::read_ahead_of;
pub(crate) use madvise::{Madvise, samples_are_cached};
pub(crate) use remap::Remap;
pub(crate) use stores::ForStores;

use std::io;

use crate::residency::Residency;
use crate::sys::Span;

/// What was found of a range that is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// It is in the page cache already.
    Resident,
    /// The device has to be started on it.
    Absent,
    /// It is better left to the kernel's own read-ahead.
    Left,
}

/// A way to fetch. One for each followed mapping.
pub(crate) trait Fetch: Send {
    /// What has to be done so that the device brings `span`. Makes no call that may block.
    fn to_read(&mut self, span: Span) -> Read;

    /// Has the device started on every span and does not wait for it: long ones in blocks of 2 MiB where
    /// that can be, the others in one go where the kernel can. Returns how many bytes were given to those who
    /// read blocks.
    fn start(&mut self, spans: &[Span]) -> io::Result<usize>;

    /// Has `span` in the page table when it returns.
    fn map(&mut self, span: Span) -> io::Result<()>;

    /// Whether `span` is absent, and the kernel's own read-ahead will bring it as fast as can be: it
    /// is better left alone until then.
    fn leaves(&mut self, span: Span) -> bool;

    /// Whether `span` seems to be in the page cache, judged by a few of its pages.
    fn residency(&self, span: Span) -> Residency;
}
