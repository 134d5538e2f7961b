use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Fetch, Madvise, Read};
use crate::residency::Residency;
use crate::sys::{self, Span};

/// Builds the page table with MAP_FIXED | MAP_POPULATE over the window; starts the disk as
/// [`Madvise`] does. Only for read-only shared mappings with a file of their own (TRAPS 6).
#[derive(Debug)]
pub(crate) struct Remap {
    madvise: Madvise,
    file: Arc<File>,
    /// The address and the file offset of the mapping's first page.
    addr: usize,
    offset: u64,
    refused: bool,
    /// Set when the caller gave advice or locked pages, which a remap would lose.
    is_advised: Arc<AtomicBool>,
}

impl Remap {
    pub(crate) fn new(
        madvise: Madvise,
        file: Arc<File>,
        whole: Span,
        offset: u64,
        is_advised: Arc<AtomicBool>,
    ) -> Remap {
        Remap { madvise, file, addr: whole.addr, offset, refused: false, is_advised }
    }
}

impl Fetch for Remap {
    fn to_read(&mut self, span: Span) -> Read {
        self.madvise.to_read(span)
    }

    fn start(&mut self, spans: &[Span]) -> io::Result<usize> {
        self.madvise.start(spans)
    }

    fn leaves(&mut self, span: Span) -> bool {
        self.madvise.leaves(span)
    }

    fn residency(&self, span: Span) -> Residency {
        self.madvise.residency(span)
    }

    /// A refusal (the limit on areas, most likely) leaves the mapping as it was; from then on
    /// madvise maps.
    fn map(&mut self, span: Span) -> io::Result<()> {
        if self.refused || self.is_advised.load(Ordering::Acquire) {
            return self.madvise.map(span);
        }
        let offset = self.offset + (span.addr - self.addr) as u64;
        sys::remap_populated(span, self.file.as_fd(), offset).inspect_err(|_| self.refused = true)
    }
}
