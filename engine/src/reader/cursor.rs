//! A mapping, read like a file: nothing is copied that the caller does not copy.

use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::sync::Arc;

use crate::Mmap;

#[derive(Debug)]
pub(super) struct MapCursor {
    map: Arc<Mmap>,
    offset: u64,
}

impl MapCursor {
    pub(super) fn new(map: Arc<Mmap>) -> MapCursor {
        MapCursor { map, offset: 0 }
    }

    pub(super) fn len(&self) -> u64 {
        self.map.len() as u64
    }

    pub(super) fn read_at(&self, buf: &mut [u8], offset: u64) -> usize {
        let bytes = self.from(offset);
        let len = bytes.len().min(buf.len());
        buf[..len].copy_from_slice(&bytes[..len]);
        len
    }

    /// The bytes from `offset` on; none beyond the end.
    fn from(&self, offset: u64) -> &[u8] {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        self.map.get(offset..).unwrap_or(&[])
    }
}

impl Read for MapCursor {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.read_at(buf, self.offset);
        self.offset += len as u64;
        Ok(len)
    }
}

impl BufRead for MapCursor {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.from(self.offset))
    }

    fn consume(&mut self, amount: usize) {
        let amount = amount.min(self.from(self.offset).len());
        self.offset += amount as u64;
    }
}

impl Seek for MapCursor {
    /// As lseek(2): beyond the end is allowed, before the start is EINVAL.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(by) => self.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.offset.checked_add_signed(by),
        };
        let target = target.filter(|&offset| i64::try_from(offset).is_ok());
        self.offset = target.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        Ok(self.offset)
    }
}
