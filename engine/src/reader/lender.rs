//! The buffer of a regular file: that of pread(2), or a frame that was read past the page cache.

use std::io::{self, BufRead, BufReader, IoSliceMut, Read, Seek, SeekFrom};

use super::file::PagedFile;
use super::{FILE_BUFFER_LEN, ReaderStats};

/// [`BufReader`], and while its buffer is empty, frames are lent in its place.
#[derive(Debug)]
pub(super) struct Lender(BufReader<PagedFile>);

impl Lender {
    pub(super) fn new(file: PagedFile) -> Lender {
        Lender(BufReader::with_capacity(FILE_BUFFER_LEN, file))
    }

    pub(super) fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.get_ref().read_at(buf, offset)
    }

    pub(super) fn len(&self) -> io::Result<u64> {
        self.0.get_ref().len()
    }

    pub(super) fn stats(&self) -> ReaderStats {
        self.0.get_ref().stats()
    }

    /// What can be lent without a system call.
    fn buffer(&self) -> &[u8] {
        let buffer = self.0.buffer();
        if buffer.is_empty() { self.0.get_ref().lent() } else { buffer }
    }

    /// Copies what can be lent without a system call.
    fn copy(&mut self, buf: &mut [u8]) -> usize {
        let buffer = self.buffer();
        let len = buffer.len().min(buf.len());
        buf[..len].copy_from_slice(&buffer[..len]);
        self.consume(len);
        len
    }

    /// As much of `buf` as one call may give: all that is buffered, or all that the file has.
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.0.buffer().is_empty() {
            return Ok(self.copy(buf));
        }
        let mut filled = self.copy(buf);
        // An empty `buf` has the buffer filled, as with `BufReader`.
        while filled < buf.len() || (buf.is_empty() && self.buffer().is_empty()) {
            let (lends, rest) = (self.0.get_mut().prepare(), &mut buf[filled..]);
            let result = if lends { Ok(self.copy(rest)) } else { self.0.read(rest) };
            match result {
                Ok(0) => break,
                Ok(len) => filled += len,
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
            if !lends && !self.0.get_ref().is_at_a_border() {
                break;
            }
        }
        Ok(filled)
    }
}

impl Read for Lender {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.fill(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut filled = 0;
        for buf in bufs {
            match self.fill(buf) {
                Ok(len) if len == buf.len() => filled += len,
                Ok(len) => return Ok(filled + len),
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        let left = self.0.get_mut().left()?;
        let left = left.saturating_add(self.0.buffer().len() as u64);
        buf.try_reserve(usize::try_from(left).unwrap_or(usize::MAX))?;
        Plain(self).read_to_end(buf)
    }
}

/// `Read` with nothing but `read`, to get at the trait's own `read_to_end`.
struct Plain<'a>(&'a mut Lender);

impl Read for Plain<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.fill(buf)
    }
}

impl BufRead for Lender {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.buffer().is_empty() && !self.0.get_mut().prepare() {
            return self.0.fill_buf();
        }
        Ok(self.buffer())
    }

    fn consume(&mut self, amount: usize) {
        if self.0.buffer().is_empty() {
            self.0.get_mut().consume(amount);
        } else {
            self.0.consume(amount);
        }
    }
}

impl Seek for Lender {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        self.0.stream_position()
    }

    fn seek_relative(&mut self, by: i64) -> io::Result<()> {
        if self.0.buffer().is_empty() && self.0.get_mut().seek_lent(by) {
            return Ok(());
        }
        self.0.seek_relative(by)
    }
}
