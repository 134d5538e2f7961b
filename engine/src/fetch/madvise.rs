use std::io;

use super::chain::Chain;
use super::{Fetch, Read, device};
use crate::residency::Residency;
use crate::sys::{self, FileFacts, Span};

/// Bytes between two pages that are asked about before the device is started on a span: a question
/// takes about 1 us. A hole between two of them is left to the kernel's own read-ahead.
const SAMPLE_BYTES: usize = 1 << 20;
/// From this read-ahead on, the kernel keeps a disk busy by itself, and with larger folios than a
/// WILLNEED makes. Measured, cold ext4, 8 MiB of read-ahead: plain mmap 3.3 GB/s, the device's
/// limit; with WILLNEED ahead of it 2.3; driven (`chain`) no more than by itself.
const READ_AHEAD_ENOUGH: usize = 1 << 20;

/// MADV_WILLNEED to start the disk, or for a run the kernel's own read-ahead where that can be driven;
/// MADV_POPULATE_READ to build the page table. Coherent with the file, keeps no descriptor of the
/// program's.
#[derive(Debug)]
pub(crate) struct Madvise {
    facts: Option<FileFacts>,
    around: usize,
    device: Option<device::ReadAhead>,
    whole: Span,
    /// The file offset of the first page.
    offset: u64,
    runs: Runs,
}

/// How runs are read ahead.
#[derive(Debug)]
enum Runs {
    /// There was none yet.
    Untried,
    Chained(Chain),
    Advised,
}

impl Madvise {
    /// For a file of which `facts` are known, mapped at `whole` from `offset` on. `around` is the kernel's
    /// fault-around in bytes.
    pub(crate) fn new(
        facts: Option<FileFacts>,
        around: usize,
        whole: Span,
        offset: u64,
    ) -> Madvise {
        Madvise { facts, around, device: None, whole, offset, runs: Runs::Untried }
    }

    /// Who reads runs; the file is opened for that when it is first asked.
    fn runs(&mut self) -> &Runs {
        if matches!(self.runs, Runs::Untried) {
            let window = self.device().window;
            let open = |facts| Chain::open(self.whole, self.offset, facts, window);
            self.runs = self.facts.and_then(open).map_or(Runs::Advised, Runs::Chained);
        }
        &self.runs
    }

    /// Whether the kernel's own read-ahead is best left to itself.
    fn is_enough(&mut self) -> bool {
        self.device().window >= READ_AHEAD_ENOUGH
    }

    fn device(&mut self) -> device::ReadAhead {
        let device = self.facts.map_or((0, 0), |facts| facts.device);
        *self.device.get_or_insert_with(|| device::read_ahead(device))
    }
}

impl Fetch for Madvise {
    fn to_read(&mut self, span: Span) -> Read {
        match self.residency(span) {
            Residency::Resident => Read::Resident,
            Residency::Absent if self.is_enough() => Read::Left,
            _ => Read::Absent,
        }
    }

    fn hand_over(&mut self, span: Span) -> bool {
        match self.runs() {
            Runs::Chained(chain) => match chain.broken() {
                None => chain.read(span),
                Some(error) => {
                    tracing::debug!(%error, "mmap-ahead: the kernel's read-ahead cannot be driven");
                    self.runs = Runs::Advised;
                    false
                }
            },
            Runs::Untried | Runs::Advised => false,
        }
    }

    fn start(&mut self, spans: &[Span]) -> io::Result<()> {
        let cut = self.device().willneed_cut;
        sys::will_need(spans.iter().flat_map(|span| span.pieces(cut)))
    }

    fn map(&mut self, span: Span) -> io::Result<()> {
        sys::populate_around(span, self.around)
    }

    fn leaves(&mut self, span: Span) -> bool {
        self.is_enough() && self.residency(span) == Residency::Absent
    }

    fn residency(&self, span: Span) -> Residency {
        let samples = span.len.div_ceil(SAMPLE_BYTES);
        match self.facts {
            Some(facts) if facts.is_cache_visible => {
                let is_cached = samples_are_cached(span, samples);
                if is_cached { Residency::Resident } else { Residency::Absent }
            }
            _ => Residency::Unknown,
        }
    }
}

/// Whether `count` pages spread over `span` are all cached.
pub(crate) fn samples_are_cached(span: Span, count: usize) -> bool {
    let step = (span.len / count).max(1);
    span.pieces(step).all(|piece| {
        // Pages arrive in ascending order: the last one of a piece says most.
        let page = sys::page_size().bytes() as usize;
        let at = Span { addr: (piece.addr + piece.len - 1) / page * page, len: 1 };
        sys::first_page_is_cached(at).unwrap_or(false)
    })
}
