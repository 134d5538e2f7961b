//! Readers that copy, and those that lend.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek};

use mmap_ahead::Reader;

use super::Tally;
use crate::steps::Step;

/// The reader of one run through what a buffered reader lends: no copy of its own.
pub(super) fn sum_lent(
    reader: &mut impl BufRead,
    steps: impl Iterator<Item = Step>,
) -> io::Result<Tally> {
    let mut tally = Tally::default();
    for step in steps {
        let mut offset = step.offset;
        while offset < step.range().end {
            let lent = reader.fill_buf()?;
            let want = lent.len().min((step.range().end - offset) as usize);
            if want == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            tally.checksum.add(offset, &lent[..want]);
            reader.consume(want);
            offset += want as u64;
        }
        tally.bytes += step.len;
        tally.steps += 1;
    }
    Ok(tally)
}

/// As the method of `File`, which is made of read_at in the same way.
pub(super) fn read_exact_at(
    reader: &Reader,
    mut piece: &mut [u8],
    mut offset: u64,
) -> io::Result<()> {
    while !piece.is_empty() {
        match reader.read_at(piece, offset)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => {
                piece = &mut piece[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// The reader of copies: a step is copied a buffer at a time by `read_exact`.
pub(super) fn sum(
    steps: impl Iterator<Item = Step>,
    buffer: &mut [u8],
    mut read_exact: impl FnMut(&mut [u8], u64) -> io::Result<()>,
) -> io::Result<Tally> {
    let mut tally = Tally::default();
    for step in steps {
        let mut offset = step.offset;
        while offset < step.range().end {
            let want = (step.range().end - offset).min(buffer.len() as u64);
            let piece = &mut buffer[..want as usize];
            read_exact(piece, offset)?;
            tally.checksum.add(offset, piece);
            offset += want;
        }
        tally.bytes += step.len;
        tally.steps += 1;
    }
    Ok(tally)
}

/// `BufReader`'s own way to a place: inside its buffer where it can.
pub(super) fn seek_and_read(
    reader: &mut BufReader<File>,
    piece: &mut [u8],
    offset: u64,
) -> io::Result<()> {
    let at = reader.stream_position()?;
    reader.seek_relative(offset.wrapping_sub(at) as i64)?;
    reader.read_exact(piece)
}
