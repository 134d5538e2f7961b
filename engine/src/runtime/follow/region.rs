//! A live mapping: where it is, what it maps, what may be done with it.

use std::ops::Range;

use crate::sys::{self, Span};

/// What may be done with a mapping, as far as the engine has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// PROT_READ, MAP_SHARED.
    ReadShared,
    /// PROT_READ | PROT_EXEC, MAP_SHARED.
    ExecShared,
    /// PROT_READ, MAP_PRIVATE.
    ReadPrivate,
    /// PROT_READ | PROT_WRITE, MAP_SHARED: written ahead where that was asked for.
    WriteShared,
    /// Writable in any other way, or anonymous: never followed by itself.
    Other,
}

/// A live mapping: where it is, what it maps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    /// The first byte of the slice (not rounded to a page).
    pub(crate) addr: usize,
    /// The length of the slice in bytes.
    pub(crate) len: usize,
    /// The file offset of the first byte; 0 for anonymous memory.
    pub(crate) file_offset: u64,
    pub(crate) access: Access,
}

impl Region {
    /// How far the slice starts behind the start of its page.
    pub(super) fn lead(&self) -> usize {
        self.addr % sys::page_size().bytes() as usize
    }

    /// The part of the slice that maps `bytes` of the file; empty when there is none.
    pub(super) fn part_of(&self, bytes: Range<u64>) -> Range<usize> {
        let part = |offset: u64| {
            let at = offset.saturating_sub(self.file_offset);
            usize::try_from(at).map_or(self.len, |at| at.min(self.len))
        };
        part(bytes.start)..part(bytes.end)
    }

    /// The whole mapping, from its first page's start to its last page's end.
    pub(super) fn whole(&self) -> Span {
        self.pages_of(0..self.len)
    }

    /// The whole pages that hold `range`.
    pub(super) fn pages_of(&self, range: Range<usize>) -> Span {
        let page = sys::page_size().bytes() as usize;
        let start = (self.addr + range.start) / page * page;
        let end = (self.addr + range.end).next_multiple_of(page);
        Span { addr: start, len: end - start }
    }
}
