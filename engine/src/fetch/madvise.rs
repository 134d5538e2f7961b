use std::io;

use super::twin::Twin;
use super::{Fetch, Read, device};
use crate::residency::Residency;
use crate::sys::{self, FileFacts, Span};

/// Bytes between two pages that are asked about before the device is started on a span: a question
/// takes about 1 us. A hole between two of them is left to the kernel's own read-ahead.
const SAMPLE_BYTES: usize = 1 << 20;
/// From this read-ahead on, the kernel keeps a disk busy by itself, and with larger folios than a
/// WILLNEED makes. Measured, cold ext4, 8 MiB of read-ahead: plain mmap 3.3 GB/s, the device's
/// limit; with WILLNEED ahead of it 2.3.
const READ_AHEAD_ENOUGH: usize = 1 << 20;

/// Faults in a second mapping to start the disk on blocks of 2 MiB (`twin`), MADV_WILLNEED on less;
/// MADV_POPULATE_READ to build the page table. Coherent with the file, keeps no descriptor.
#[derive(Debug)]
pub(crate) struct Madvise {
    facts: Option<FileFacts>,
    around: usize,
    device: Option<device::ReadAhead>,
    whole: Span,
    /// The file offset of the first page.
    offset: u64,
    /// Who reads blocks; `None` until the first is wanted, and nobody where that cannot be.
    twin: Option<Option<Twin>>,
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
        Madvise { facts, around, device: None, whole, offset, twin: None }
    }

    /// Who reads blocks; the file is mapped once more for that when it is first asked.
    fn twin(&mut self) -> Option<&Twin> {
        let Madvise { twin, facts, whole, offset, .. } = self;
        twin.get_or_insert_with(|| {
            // Without a block device there is no queue to keep busy (network, overlay, memory).
            let facts = facts.filter(|facts| facts.device.0 != 0)?;
            let twin = Twin::new(*whole, *offset, facts.is_cache_visible);
            twin.inspect_err(|error| tracing::debug!(%error, "mmap-ahead: no second mapping")).ok()
        })
        .as_ref()
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

    fn start(&mut self, spans: &[Span]) -> io::Result<usize> {
        let mut left = Vec::new();
        for &span in spans {
            // Who reads nothing long needs no second mapping.
            match if Twin::is_for(span) { self.twin() } else { None } {
                Some(twin) => twin.read(span, &mut left),
                None => left.push(span),
            }
        }
        let len_of = |spans: &[Span]| spans.iter().map(|span| span.len).sum::<usize>();
        let in_blocks = len_of(spans) - len_of(&left);
        let cut = self.device().willneed_cut;
        sys::will_need(left.iter().flat_map(|span| span.pieces(cut))).map(|()| in_blocks)
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn who_reads_nothing_long_has_no_second_mapping() {
        let file: File = tempfile::tempfile_in("/var/tmp").unwrap();
        file.set_len(4 << 20).unwrap();
        // SAFETY: nobody else has the file.
        let map = unsafe { memmap2::Mmap::map(&file) }.unwrap();
        let whole = Span { addr: map.as_ptr() as usize, len: map.len() };
        let facts = sys::file_facts(file.as_raw_fd()).ok();
        let mut madvise = Madvise::new(facts, 0, whole, 0);
        assert_eq!(madvise.start(&[whole.slice(0, 64 << 10)]).unwrap(), 0);
        assert!(madvise.twin.is_none());
        madvise.start(&[whole]).unwrap();
        assert!(madvise.twin.is_some());
    }
}
