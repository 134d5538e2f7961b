//! A proven run through a cold file: read in folios of 2 MiB, every other one mapped.
//!
//! One touch of a cold page under MADV_HUGEPAGE starts 4 MiB and maps the 2 MiB that were touched.
//! The other 2 MiB are in memory but not in the page table: they are the marker. The reader takes
//! one fault of a microsecond or ten there, and there is nothing that could be false about it.

use std::io;
use std::time::Instant;

use super::View;
use crate::page::{ByteLen, PageCount, PageIndex, PageRange};
use crate::sys::{self, Span};

/// The size of a huge folio.
const FOLIO_BYTES: u64 = 2 << 20;
/// Cold reads of whole windows in a row before a run counts as cold, at first; it doubles each time
/// that huge reads are given up.
const COLD_READS_FIRST: u32 = 4;
/// Touches in a row that brought in no huge folio, or one of memory that is not there yet, before they
/// are given up for a while. A reader that overtook us has its own pages in flight there, and makes
/// all of them small.
const FAILURES_MAX: u32 = 2;
/// Pages of a huge folio that are sampled, and how long that takes at most when the memory is really
/// there (about 1 us). Where a virtual machine's host has taken free memory back, it returns it page
/// by page, 2 us each, at the reader's cost; single pages come from memory that was used lately.
const SAMPLES: usize = 8;
const SAMPLES_NANOS_MAX: u128 = 6000;

/// What was done for a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// Nothing: it is for the ordinary way.
    Nothing,
    /// It was read together with the one behind it, and mapped.
    Mapped,
    /// It was read before, together with the one in front of it; it is the marker.
    Left,
}

/// Whether huge reads are on, and how far they got.
#[derive(Debug, Default)]
pub(super) struct Huge {
    state: State,
    cold_reads: u32,
    given_up: u32,
    failures: u32,
    /// What the last touch has read.
    read: PageRange,
    /// Where the last ordinary read ended: its single pages may be in flight still.
    ordinary_to: PageIndex,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Off,
    On,
    /// The mapping does not lie right, or has advice of its own.
    Refused,
}

impl Huge {
    /// Never again.
    pub(super) fn refuse(&mut self) {
        self.state = State::Refused;
    }

    pub(super) fn is_on(&self) -> bool {
        self.state == State::On
    }

    /// A read far ahead of the reader found the pages absent, or present.
    pub(super) fn read_ahead(&mut self, view: &View, range: PageRange, was_absent: bool) {
        if was_absent {
            self.ordinary_to = self.ordinary_to.max(range.end);
        }
        if range.count() < folio(view) {
            return;
        }
        self.cold_reads = if was_absent { self.cold_reads + 1 } else { 0 };
        let enough = COLD_READS_FIRST.saturating_mul(1 << self.given_up.min(16));
        if self.cold_reads >= enough && self.state == State::Off {
            self.state = if lies_right(view) { State::On } else { State::Refused };
        }
    }

    fn failed(&mut self) {
        self.failures += 1;
        if self.failures >= FAILURES_MAX {
            self.state = State::Off;
            self.given_up += 1;
            (self.failures, self.cold_reads) = (0, 0);
        }
    }

    /// Whether `window` was read together with the one in front of it.
    fn is_read(&self, window: PageRange) -> bool {
        self.read.start <= window.start && window.end <= self.read.end
    }

    /// Reads and maps `window` if it is a whole folio; `is_cold` is asked when it matters.
    pub(super) fn map(
        &mut self,
        view: &View,
        window: PageRange,
        is_cold: impl FnOnce() -> bool,
    ) -> io::Result<Done> {
        let folio = folio(view);
        let is_whole = window.count() == folio && window.start.0.is_multiple_of(folio.0);
        if is_whole && self.is_read(window) {
            return Ok(Done::Left);
        }
        if !self.is_on() || !is_whole {
            return Ok(Done::Nothing);
        }
        if window.start < self.ordinary_to || !is_cold() {
            return Ok(Done::Nothing);
        }
        let pair = PageRange::at(window.start, PageCount(folio.0 * 2)).intersect(view.pages());
        sys::read_huge(view.span_of(pair))?;
        let is_huge = view.any_present(view.block_of(window.end.minus(PageCount(1))))?;
        if is_huge {
            self.read = pair;
        }
        if is_huge && is_quick(view.span_of(window)) {
            (self.failures, self.given_up) = (0, 0);
        } else {
            self.failed();
        }
        Ok(if is_huge { Done::Mapped } else { Done::Nothing })
    }
}

fn folio(view: &View) -> PageCount {
    view.page_size.pages_for(ByteLen(FOLIO_BYTES))
}

/// Folios can be mapped whole only where addresses and file offsets agree.
fn lies_right(view: &View) -> bool {
    (view.span.addr as u64).wrapping_sub(view.offset).is_multiple_of(FOLIO_BYTES)
        && view.offset.is_multiple_of(FOLIO_BYTES)
}

fn is_quick(span: Span) -> bool {
    let begun = Instant::now();
    let sampled = sys::sample_pages(span, SAMPLES);
    sampled.is_ok() && begun.elapsed().as_nanos() <= SAMPLES_NANOS_MAX
}
