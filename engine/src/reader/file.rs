//! A regular file, by pread(2) at an offset of our own.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

#[cfg(target_os = "linux")]
use super::ahead::Disk;
use super::{ReadPath, ReaderStats, retry};
#[cfg(target_os = "linux")]
use crate::sys::{Now, read_now};

/// The most that one pread waits for: 1 MiB. Between two of them the disk is asked for more.
/// A guess: large enough for the copy to outweigh the call, small against what is asked ahead.
const WAIT_LEN_MAX: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct PagedFile {
    file: File,
    offset: u64,
    /// The length when it was last looked at: a short read that ends here needs no second one.
    len_seen: u64,
    #[cfg(target_os = "linux")]
    disk: Disk,
    stats: ReaderStats,
}

impl PagedFile {
    /// Takes a regular file that has bytes, and gives back anything else. Files in /proc say that
    /// they are empty and are not: they are streams.
    pub(super) fn new(mut file: File) -> Result<PagedFile, File> {
        let (Ok(metadata), Ok(offset)) = (file.metadata(), file.stream_position()) else {
            return Err(file);
        };
        if !metadata.is_file() || metadata.len() == 0 {
            return Err(file);
        }
        Ok(PagedFile {
            file,
            offset,
            len_seen: metadata.len(),
            #[cfg(target_os = "linux")]
            disk: Disk::new(),
            stats: ReaderStats::new(ReadPath::Pread),
        })
    }

    pub(super) fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        retry(|| self.file.read_at(buf, offset))
    }

    pub(super) fn len(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    pub(super) fn stats(&self) -> ReaderStats {
        self.stats
    }

    /// Reads as much of `buf` as there is, first what needs no waiting.
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.fill_some(&mut buf[filled..]) {
                Ok(0) => break,
                Ok(len) => filled += len,
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
            if self.offset == self.len_seen {
                break;
            }
        }
        Ok(filled)
    }

    #[cfg(target_os = "linux")]
    fn fill_some(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let offset = self.offset;
        let now = if self.disk.tells() {
            self.stats.reads += 1;
            retry(|| read_now(&self.file, buf, offset))?
        } else {
            Now::Unknown
        };
        let len = match now {
            Now::Read(len) => len,
            Now::Wait | Now::Unknown => {
                self.stats.ahead_bytes += self.disk.missed(&self.file, offset, now);
                self.wait(buf)?
            }
        };
        self.offset += len as u64;
        self.stats.ahead_bytes += self.disk.read(&self.file, offset, self.offset);
        Ok(len)
    }

    #[cfg(not(target_os = "linux"))]
    fn fill_some(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.wait(buf)?;
        self.offset += len as u64;
        Ok(len)
    }

    fn wait(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stats.reads += 1;
        self.stats.waits += 1;
        let len = buf.len().min(WAIT_LEN_MAX);
        retry(|| self.file.read_at(&mut buf[..len], self.offset))
    }
}

impl Read for PagedFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.fill(buf)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.len_seen = self.len()?;
        let left = usize::try_from(self.len_seen.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        buf.try_reserve(left)?;
        Plain(self).read_to_end(buf)
    }
}

/// `Read` with nothing but `read`, to get at the trait's own `read_to_end`.
struct Plain<'a>(&'a mut PagedFile);

impl Read for Plain<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.fill(buf)
    }
}

impl Seek for PagedFile {
    /// Lets the system judge the target: its limits and errors are those of lseek(2).
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Current(by) => {
                let target = self.offset.checked_add_signed(by);
                SeekFrom::Start(target.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?)
            }
            absolute => absolute,
        };
        self.offset = self.file.seek(to)?;
        Ok(self.offset)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        Ok(self.offset)
    }
}
