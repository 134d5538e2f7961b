//! A mapping that is recorded: looked at, never read ahead.

use std::io;

use super::clock;
use super::pace::Next;
use super::shared::Shared;
use super::task::BeforeFetch;
use crate::page::{ByteLen, Nanos, PageCount, PageIndex, PageRange};
use crate::record::{FileStamp, RecordedSet, Touched};
use crate::stats::Counters;
use crate::sys::{self, FileFacts, Pagemap, Span};

/// Looks at the whole page table come no closer together than this, nor than so many times what the
/// last one took: 2% of a core at the most. A guess.
const LOOK_NANOS_MIN: u64 = 20_000_000;
const LOOK_REST_FACTOR: u64 = 50;
/// A look at more than this may take longer than other mappings should wait: at 3 us for 2 MiB, 1 ms.
const LOOK_BYTES_PROMPT: usize = 512 << 20;

/// What was seen of one mapping since it was made.
#[derive(Debug)]
pub(super) struct Recording {
    span: Span,
    /// The file's page that is the first of the mapping.
    first: PageIndex,
    stamp: FileStamp,
    pagemap: &'static Pagemap,
    touched: Touched,
    not_before: Nanos,
}

impl Recording {
    /// Begins to record `span`, which maps the file from `offset` on: from now on the kernel reads a
    /// page that is touched alone (MADV_RANDOM), so that what is present was touched.
    pub(super) fn begin(span: Span, offset: u64, facts: FileFacts) -> io::Result<Recording> {
        let pagemap = sys::pagemap().ok_or(io::ErrorKind::Unsupported)?;
        sys::advise_random(span)?;
        let size = sys::page_size();
        Ok(Recording {
            span,
            first: size.index_of(offset),
            stamp: facts.stamp,
            pagemap,
            touched: Touched::new(size.pages_for(ByteLen(span.len as u64))),
            not_before: Nanos(0),
        })
    }

    /// The worker's look. It comes back while something new is found; after that the faults of the
    /// process call it, see `pool`.
    pub(super) fn step(&mut self, shared: &Shared, before_fetch: BeforeFetch<'_>) -> Next {
        let begun = clock::now();
        if begun < self.not_before {
            return Next::At(self.not_before);
        }
        if self.span.len > LOOK_BYTES_PROMPT {
            before_fetch();
        }
        Counters::add(&shared.counters.polls, 1);
        let found = self.look();
        let ended = clock::now();
        let rest = (ended.since(begun).0 * LOOK_REST_FACTOR).max(LOOK_NANOS_MIN);
        self.not_before = Nanos(ended.0 + rest);
        match found {
            Ok(true) => Next::At(self.not_before),
            Ok(false) => Next::Dormant,
            Err(error) => {
                tracing::warn!(%error, "mmap-ahead: cannot look at the page table");
                Next::Dormant
            }
        }
    }

    /// All that was touched until now.
    pub(super) fn set(&mut self) -> io::Result<RecordedSet> {
        self.look()?;
        let (size, first) = (sys::page_size(), PageCount(self.first.0));
        let file = PageRange::at(PageIndex(0), size.pages_for(self.stamp.len));
        // The mapping may be longer than the file was when it was made.
        let in_file = |range: &PageRange| {
            PageRange::new(range.start.plus(first), range.end.plus(first)).intersect(file)
        };
        let ranges = self.touched.order().iter().map(in_file).filter(|range| !range.is_empty());
        Ok(RecordedSet::new(self.stamp, size, ranges.collect()))
    }

    /// The mapping lives on and is not recorded any more.
    pub(super) fn end(&self) {
        if let Err(error) = sys::advise_normal(self.span) {
            tracing::debug!(%error, "mmap-ahead: a recorded mapping keeps MADV_RANDOM");
        }
    }

    /// Adds what became present since the last look. Returns whether anything did.
    fn look(&mut self) -> io::Result<bool> {
        let Recording { span, pagemap, touched, .. } = self;
        let size = sys::page_size();
        let mut is_new = false;
        pagemap.present(*span, usize::MAX, |from, to| {
            is_new |= touched.note(size.cover(from as u64..to as u64));
        })?;
        Ok(is_new)
    }
}
