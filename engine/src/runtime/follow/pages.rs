//! Which pages of a mapping hold what is asked for.

use std::ops::Range;

use crate::runtime::Region;
use crate::sys::{self, Span};

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
