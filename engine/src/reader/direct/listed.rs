//! Reads that are known beforehand, as many at once as the disk takes: the limit for everything else.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use super::queue::{BLOCK_LEN, Queue};

/// So many bytes are started with one system call while there is no need to wait: eight reads of
/// 8 KiB, one of a frame. A guess.
const BATCH_LEN: usize = 64 << 10;

/// A file that is read past the page cache.
#[derive(Debug)]
pub struct DirectFile {
    file: Arc<OwnedFd>,
}

/// How many reads are in flight, into which memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Reads at once.
    pub reads: usize,
    /// Buffers.
    pub buffers: usize,
    /// Bytes of each; a multiple of 4 KiB that divides 2 MiB.
    pub buffer_len: usize,
}

impl DirectFile {
    /// Opens the file with O_DIRECT.
    ///
    /// # Errors
    /// Those of open(2); EINVAL where the file system refuses.
    pub fn open(path: &Path) -> io::Result<DirectFile> {
        let file = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path)?;
        Ok(DirectFile { file: Arc::new(file.into()) })
    }

    /// Reads the ranges, and hands the bytes out in their order: a buffer, or less, at a time.
    ///
    /// # Errors
    /// Those of io_uring and of the reads; UnexpectedEof where the file ends inside a range.
    pub fn read(
        &self,
        ranges: impl IntoIterator<Item = Range<u64>>,
        depth: Depth,
        mut each: impl FnMut(u64, &[u8]),
    ) -> io::Result<()> {
        let Depth { reads, buffers, buffer_len } = depth;
        let mut queue = Queue::new(Arc::clone(&self.file), reads, buffer_len, buffers)?;
        let mut pieces =
            ranges.into_iter().flat_map(|range| Pieces { range, len: buffer_len as u64 });
        let mut flying = VecDeque::new();
        let mut added = 0;
        loop {
            while queue.has_room() {
                let Some(piece) = pieces.next() else { break };
                let start = piece.start / BLOCK_LEN * BLOCK_LEN;
                let len = (piece.end - start).next_multiple_of(BLOCK_LEN) as usize;
                flying.push_back((queue.push(start, len)?, start, piece));
                added += len;
            }
            if added >= BATCH_LEN {
                queue.submit()?;
                added = 0;
            }
            let Some((number, start, piece)) = flying.pop_front() else { return Ok(()) };
            let landed = queue.take(number)?;
            let inside = (piece.start - start) as usize..(piece.end - start) as usize;
            if landed.result? < inside.end {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            each(piece.start, &landed.cell.bytes()[inside]);
            queue.give_back(landed.cell);
        }
    }
}

/// A range in pieces that fit a buffer, together with the rest of their first block.
struct Pieces {
    range: Range<u64>,
    len: u64,
}

impl Iterator for Pieces {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        let Range { start, end } = self.range;
        let piece = start..end.min(start / BLOCK_LEN * BLOCK_LEN + self.len);
        self.range.start = piece.end;
        (!piece.is_empty()).then_some(piece)
    }
}
