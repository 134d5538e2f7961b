//! A snapshot's file: a head of 32 bytes (magic, whose snapshot it is, length of the mapping, number of ranges),
//! start and length of each range, the bytes of the ranges one after the other. All numbers are u64, little-endian.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::SnapshotError;

const MAGIC: [u8; 8] = *b"mmsnap02";
const HEAD_LEN: u64 = 32;
const ENTRY_LEN: u64 = 16;

pub(super) fn write(
    out: &mut impl Write,
    owner: u64,
    map: &[u8],
    ranges: &[Range<usize>],
) -> io::Result<()> {
    out.write_all(&MAGIC)?;
    put(out, owner)?;
    put(out, map.len() as u64)?;
    put(out, ranges.len() as u64)?;
    for range in ranges {
        put(out, range.start as u64)?;
        put(out, range.len() as u64)?;
    }
    ranges.iter().try_for_each(|range| out.write_all(&map[range.clone()]))
}

fn put(out: &mut impl Write, number: u64) -> io::Result<()> {
    out.write_all(&number.to_le_bytes())
}

/// A file whose head and table are right.
pub(super) struct Snapshot {
    path: PathBuf,
    file: BufReader<File>,
    /// Those of one chain have the same.
    owner: u64,
    len: usize,
    ranges: Vec<Range<usize>>,
}

impl Snapshot {
    pub(super) fn open(path: &Path) -> Result<Snapshot, SnapshotError> {
        let path = path.to_owned();
        let opened = File::open(&path).and_then(|file| {
            let file_len = file.metadata()?.len();
            Ok((BufReader::with_capacity(1 << 20, file), file_len))
        });
        let (mut file, file_len) = match opened {
            Ok(opened) => opened,
            Err(source) => return Err(SnapshotError::File { path, source }),
        };
        match read_table(&mut file, file_len) {
            Ok((owner, len, ranges)) => Ok(Snapshot { path, file, owner, len, ranges }),
            Err(why) => Err(SnapshotError::Damaged { path, why }),
        }
    }

    /// An error when `later`, which needs this one, is of another chain.
    pub(super) fn belongs_to(&self, later: &Snapshot) -> Result<(), SnapshotError> {
        if self.owner == later.owner {
            return Ok(());
        }
        let why = "it needs the one before it, which was written over";
        Err(SnapshotError::Damaged { path: later.path.clone(), why })
    }

    /// Whether it needs none before it.
    pub(super) fn is_all(&self) -> bool {
        self.ranges == std::slice::from_ref(&(0..self.len))
    }

    /// Makes `bytes`, which are as they were before it, what they were when it was taken.
    pub(super) fn apply(mut self, bytes: &mut Vec<u8>) -> Result<(), SnapshotError> {
        let holds: usize = self.ranges.iter().map(Range::len).sum();
        // What a mapping grew by is in the snapshot. A length alone is not believed.
        if self.len > bytes.len().saturating_add(holds) {
            let why = "it is longer than the one before, by more than it holds";
            return Err(SnapshotError::Damaged { path: self.path, why });
        }
        bytes.resize(self.len, 0);
        for range in self.ranges {
            if let Err(source) = self.file.read_exact(&mut bytes[range]) {
                return Err(SnapshotError::File { path: self.path, source });
            }
        }
        Ok(())
    }
}

/// Owner, length of the mapping and ranges, all of which lie in it, in order, and are in the file wholly.
fn read_table(
    file: &mut impl Read,
    file_len: u64,
) -> Result<(u64, usize, Vec<Range<usize>>), &'static str> {
    const SHORT: &str = "it is too short";
    let mut magic = [0; 8];
    file.read_exact(&mut magic).map_err(|_| SHORT)?;
    if magic != MAGIC {
        return Err("it does not begin as one");
    }
    let owner = get(file).ok_or(SHORT)?;
    let len = get(file).ok_or(SHORT)?;
    let count = get(file).ok_or(SHORT)?;
    if count > file_len.saturating_sub(HEAD_LEN) / ENTRY_LEN {
        return Err(SHORT);
    }
    let mut ranges = Vec::with_capacity(count as usize);
    let (mut end_before, mut sum) = (0, 0_u64);
    for _ in 0..count {
        let start = get(file).ok_or(SHORT)?;
        let end = get(file).ok_or(SHORT)?.checked_add(start).ok_or("a range has no end")?;
        if start < end_before || end > len {
            return Err("its ranges are out of order or outside the mapping");
        }
        sum += end - start;
        end_before = end;
        ranges.push(start as usize..end as usize);
    }
    // No overflow: the table was read from the file, and the ranges lie side by side.
    if file_len.checked_sub(HEAD_LEN + count * ENTRY_LEN) != Some(sum) {
        return Err("its length is not that of its ranges");
    }
    let len = usize::try_from(len).map_err(|_| "its mapping does not fit into memory")?;
    Ok((owner, len, ranges))
}

fn get(file: &mut impl Read) -> Option<u64> {
    let mut bytes = [0; 8];
    file.read_exact(&mut bytes).ok()?;
    Some(u64::from_le_bytes(bytes))
}
