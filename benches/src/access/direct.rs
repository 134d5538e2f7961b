//! `direct`: whoever knows all steps beforehand and keeps the disk as busy as it can be.

use std::io::{self, ErrorKind};
use std::iter::Peekable;
use std::ops::Range;
use std::path::Path;

use mmap_ahead::lab::{Depth, DirectFile};

use super::Tally;
use crate::device;
use crate::steps::{STEP_LEN, Step, Steps};

/// The longest direct read: 2 MiB, as `Reader`'s and the probe's.
const DIRECT_LEN_MAX: u64 = 2 << 20;

/// The memory of direct reads: 32 MiB, as the probe's.
const DIRECT_MEMORY: u64 = 32 << 20;

/// Direct reads are refused where there is nothing to go past: since Linux 6.6 tmpfs takes O_DIRECT
/// and copies from memory.
pub(super) fn open(path: &Path) -> io::Result<DirectFile> {
    let kind = device::file_system(path).map_err(io::Error::other)?;
    if device::is_memory(&kind) {
        let words = format!("lies on {kind}, which has no disk for `direct` to read from");
        return Err(io::Error::new(ErrorKind::Unsupported, words));
    }
    DirectFile::open(path)
}

/// Reads all of it, several steps at once.
pub(super) fn sum(file: &DirectFile, steps: Steps) -> io::Result<Tally> {
    let mut tally = Tally::default();
    let mut count = 0;
    let depth = depth_for(&steps);
    let whole = if steps.is_one_run() { DIRECT_LEN_MAX } else { 0 };
    let ranges = Merged { steps: steps.inspect(|_| count += 1).peekable(), len_max: whole };
    file.read(ranges, depth, |offset, bytes| {
        tally.checksum.add(offset, bytes);
        tally.bytes += bytes.len() as u64;
    })?;
    tally.steps = count;
    Ok(tally)
}

/// 32 reads at once of what a step reads; fewer and longer ones where that is much or one run.
fn depth_for(steps: &Steps) -> Depth {
    let step_len = steps.touch().saturating_add(STEP_LEN).next_power_of_two();
    let buffer_len = if steps.is_one_run() { DIRECT_LEN_MAX } else { step_len.min(DIRECT_LEN_MAX) };
    let buffers = (DIRECT_MEMORY / buffer_len).clamp(2, 64) as usize;
    Depth { reads: (buffers - 1).min(32), buffers, buffer_len: buffer_len as usize }
}

/// Steps that adjoin each other, as one range of at most `len_max` bytes (or one step).
struct Merged<S: Iterator<Item = Step>> {
    steps: Peekable<S>,
    len_max: u64,
}

impl<S: Iterator<Item = Step>> Iterator for Merged<S> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        let mut range = self.steps.next()?.range();
        let fits = |range: &Range<u64>, step: &Step| {
            step.offset == range.end && step.range().end - range.start <= self.len_max
        };
        while let Some(step) = self.steps.next_if(|step| fits(&range, step)) {
            range.end = step.range().end;
        }
        Some(range)
    }
}
