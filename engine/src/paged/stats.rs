use super::disk::Queue;
use super::immutable::Immutability;
use super::options::Faults;
use super::source::Access;
use crate::stats::counters;
use crate::sys::FaultScope;

counters! {
    /// What a [`Paged`](super::Paged) did, from its opening until now.
    ///
    /// All counters only grow. They are read one by one while the service runs on, so they are not a
    /// consistent snapshot to the last unit.
    PagedStats, PagedCounters:
    /// Touches of pages that were not in memory.
    faults,
    /// Of these, the ones that were served on the thread that touched
    /// ([`Faults::OnFaultingThread`](super::Faults::OnFaultingThread)).
    faults_here,
    /// Of all, the ones whose page was on its way from the disk.
    late,
    /// Reads of the source.
    reads,
    /// Bytes that they brought.
    bytes_read,
    /// Frames of 2 MiB put under the reader (UFFDIO_MOVE).
    frames_mapped,
    /// Frames that were used again for other bytes after their reader had passed.
    frames_evicted,
    /// Frames that were read ahead and given up before a reader came.
    frames_wasted,
    /// Frames that could not be moved and were copied page by page.
    frames_copied,
    /// Frames that could not be taken back, because a system call held them.
    frames_pinned,
    /// Frames that the kernel had taken apart into small pages and that were made huge again.
    frames_mended,
    /// Moves that were tried again because the device still held the pages (EBUSY).
    pinned_retries,
    /// Small pages put under the reader (UFFDIO_COPY).
    pages_copied,
    /// Small pages taken away.
    pages_evicted,
    /// Frames and small pages put back without I/O soon after they had been taken away.
    second_chances,
    /// Reads that failed.
    io_errors,
}

/// How a [`Paged`](super::Paged) works here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PagedMode {
    /// Filled when it is touched.
    Userfault {
        /// Whose touches are served.
        scope: FaultScope,
        /// Who has the reads in flight.
        queue: Queue,
        /// Past the page cache or through it; none when the source is no file.
        access: Option<Access>,
        /// Why the bytes cannot change.
        immutability: Immutability,
        /// Who serves the touches.
        faults: Faults,
    },
    /// No userfaultfd here, or an empty file: all of it was read when it was opened.
    Owned,
}
