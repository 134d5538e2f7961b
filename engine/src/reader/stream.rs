//! Pipes, terminals, sockets, devices, /proc: plain read(2).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use super::{ReadPath, ReaderStats, retry};

#[derive(Debug)]
pub(super) struct Stream {
    file: File,
    reads: u64,
}

impl Stream {
    pub(super) fn new(file: File) -> Stream {
        Stream { file, reads: 0 }
    }

    pub(super) fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        retry(|| self.file.read_at(buf, offset))
    }

    pub(super) fn len(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    pub(super) fn stats(&self) -> ReaderStats {
        ReaderStats { reads: self.reads, ..ReaderStats::new(ReadPath::Stream) }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        retry(|| self.file.read(buf))
    }
}

impl Seek for Stream {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
