//! A regular file at an offset of our own: by pread(2), or past the page cache.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

#[cfg(target_os = "linux")]
use super::ahead::Disk;
use super::direct::{Direct, How};
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
    direct: Direct,
    /// While a direct run is under way: what pread(2) is to read from, and how far.
    part: Option<(Arc<File>, u64)>,
    run: ColdRun,
    stats: ReaderStats,
}

/// How far a forward run of pread(2) has come, and whether it has to wait for the disk.
#[derive(Debug, Default)]
struct ColdRun {
    start: u64,
    end: u64,
    waits: bool,
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
            direct: Direct::default(),
            part: None,
            run: ColdRun::default(),
            stats: ReaderStats::new(ReadPath::Pread),
        })
    }

    /// Gets ready to read at the offset; whether the bytes are [`lent`](PagedFile::lent).
    pub(super) fn prepare(&mut self) -> bool {
        if self.wants_direct() {
            self.direct.begin(&self.file, self.offset);
            // Refused or not: it is not asked again soon.
            self.run.start = self.offset;
        }
        self.part = match self.direct.how(self.offset) {
            How::Lent => return true,
            How::PreadOf(file, until) => Some((file, until)),
            How::Pread => None,
        };
        false
    }

    /// Whether the run so far is reason enough to try direct reads.
    fn wants_direct(&self) -> bool {
        let ColdRun { start, end, waits } = self.run;
        waits && end == self.offset && self.direct.may_begin(end - start, end)
    }

    /// Whether somebody else may have the bytes at the offset: [`prepare`](PagedFile::prepare) knows.
    pub(super) fn is_at_a_border(&self) -> bool {
        self.part.as_ref().is_some_and(|&(_, until)| until == self.offset) || self.wants_direct()
    }

    /// The bytes at the offset that are in memory already.
    pub(super) fn lent(&self) -> &[u8] {
        self.direct.lent(self.offset)
    }

    /// Steps over bytes that were lent.
    pub(super) fn consume(&mut self, amount: usize) {
        let amount = amount.min(self.lent().len()) as u64;
        self.offset += amount;
        if amount > 0 {
            self.stats.direct_bytes += amount;
            self.stats.path = ReadPath::Direct;
        }
    }

    /// Goes `by` bytes on or back if those are lent; whether they were.
    pub(super) fn seek_lent(&mut self, by: i64) -> bool {
        let target = self.offset.checked_add_signed(by);
        let target = target.filter(|&target| !self.direct.lent(target).is_empty());
        self.offset = target.unwrap_or(self.offset);
        target.is_some()
    }

    pub(super) fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        retry(|| self.file.read_at(buf, offset))
    }

    pub(super) fn len(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    /// How much is left of the file; remembers where it ends.
    pub(super) fn left(&mut self) -> io::Result<u64> {
        self.len_seen = self.len()?;
        Ok(self.len_seen.saturating_sub(self.offset))
    }

    pub(super) fn stats(&self) -> ReaderStats {
        self.stats
    }

    /// Reads as much of `buf` as there is, first what needs no waiting.
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.part.as_ref().map_or(u64::MAX, |(_, until)| until - self.offset);
        let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let mut filled = 0;
        while filled < len {
            match self.fill_some(&mut buf[filled..len]) {
                Ok(0) => break,
                Ok(len) => filled += len,
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
            if self.offset == self.len_seen || self.wants_direct() {
                break;
            }
        }
        if filled > 0 {
            self.stats.pread_bytes += filled as u64;
            self.stats.path = ReadPath::Pread;
        }
        Ok(filled)
    }

    /// A read from `start` to `end` is done.
    fn ran(&mut self, start: u64, end: u64, waits: bool) {
        if start != self.run.end {
            self.run.start = start;
        }
        (self.run.end, self.run.waits) = (end, waits);
    }

    #[cfg(target_os = "linux")]
    fn fill_some(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let offset = self.offset;
        if let Some((file, _)) = &self.part {
            self.stats.reads += 1;
            let len = retry(|| file.read_at(buf, offset))?;
            self.offset += len as u64;
            self.ran(offset, self.offset, false);
            return Ok(len);
        }
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
        self.ran(offset, self.offset, !matches!(now, Now::Read(_)));
        self.stats.ahead_bytes += self.disk.read(&self.file, offset, self.offset);
        Ok(len)
    }

    #[cfg(not(target_os = "linux"))]
    fn fill_some(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.wait(buf)?;
        self.ran(self.offset, self.offset + len as u64, true);
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

/// By pread(2) alone: whoever calls it has asked [`prepare`](PagedFile::prepare) first.
impl Read for PagedFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.fill(buf)
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
        self.direct.doubt();
        self.part = None;
        Ok(self.offset)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        Ok(self.offset)
    }
}
