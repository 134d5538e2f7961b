//! `Read`, `BufRead` and `Seek` over a file, read ahead of the offset.

#[cfg(target_os = "linux")]
mod ahead;
mod cursor;
#[cfg(all(target_os = "linux", not(elsewhere)))]
pub(crate) mod direct;
#[cfg(any(elsewhere, not(target_os = "linux")))]
#[path = "elsewhere.rs"]
mod direct;
mod file;
mod lender;
#[cfg(target_os = "linux")]
mod reach;
mod stream;
#[cfg(target_os = "linux")]
mod trial;

use std::fs::File;
use std::io::{self, BufRead, BufReader, IoSliceMut, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use self::cursor::MapCursor;
use self::file::PagedFile;
use self::lender::Lender;
use self::stream::Stream;
use crate::Mmap;

/// The one buffer of a reader of a regular file: 256 KiB, filled again and again.
///
/// Measured: pread(2) of 128 KiB to 1 MiB is equally fast here; more than the second-level cache
/// (1 to 2 MiB) is slower.
const FILE_BUFFER_LEN: usize = 256 << 10;

/// The buffer of a reader of anything else: 64 KiB, what a pipe holds.
const STREAM_BUFFER_LEN: usize = 64 << 10;

/// Reads a file from front to back, with the disk kept busy ahead of the offset.
///
/// Safe, unlike a mapping: it lends only memory that it owns, so a file that grows, shrinks or
/// changes meanwhile is read as by read(2). What was lent stays as it was when it was lent; what is
/// read next is what the file holds then.
///
/// # Three ways, and which is taken
/// - **pread(2)** into a buffer of 256 KiB, or straight into the caller's: what is in the page cache
///   already, short files, and reads that jump.
/// - **Direct reads**, for the rest of a forward run that has come to 512 KiB and has to wait for
///   the disk, with 16 MiB or more of the file ahead: 15 reads of 2 MiB in flight (io_uring, O_DIRECT)
///   into frames of huge pages, past the page cache. [`fill_buf`](BufRead::fill_buf) lends a frame
///   without a copy. Frames of which three quarters are cached come by pread(2) even then. A run goes
///   on over gaps of up to 64 KiB, and ends with a longer jump.
/// - **Asked ahead**: where direct reads cannot be had, and for shorter files, up to 8 MiB ahead of a
///   cold run are asked for, on disks whose `read_ahead_kb` is below 512 (from there on the kernel
///   does it better by itself), and only if that proves faster in the first 7 MiB of the run.
///
/// [`stats`](Reader::stats) says how many bytes came which way.
///
/// # Limits
/// - Direct reads take up to 32 MiB and three file descriptors, from their beginning until the reader
///   is dropped; the memory is given back at once when they end for good.
/// - A frame is lent only if the file's length and times are those from before it was read, and its
///   pages are no dirtier. A file that was changed less than 20 ms ago (3 s where times are whole
///   seconds) is not read directly. Not noticed is one single write(2) past the page cache that takes
///   longer than that and began before the read: its bytes may come as they were before it.
/// - They end for good when one fails (pread(2) then returns the error, from the byte that has it),
///   and where O_DIRECT is only a name (encrypted or compressed files).
/// - In a forked child it is pread(2) from where the reader stands.
/// - Pipes, terminals, sockets and special files are read by plain read(2); seeking there is what the
///   system makes of it (ESPIPE for a pipe). EINTR is retried.
/// - Reading starts at the file's own offset, which is not kept in step: a process that shares the
///   open file does not see how far this reader came.
///
/// Kernel: direct reads need io_uring (5.6; blocked in most containers), /proc and a file system
/// with O_DIRECT; cachestat(2) (6.5, files that the caller owns or may write) tells what is cached,
/// before that four pages of each frame are tried with RWF_NOWAIT (4.14). Without any of them: pread.
/// Source: open(2), io_uring(7), cachestat(2), preadv2(2), inode(7).
///
/// ```
/// use std::io::BufRead;
/// use mmap_ahead::Reader;
///
/// let reader = Reader::open("Cargo.toml")?;
/// assert_eq!(reader.lines().next().unwrap()?, "[package]");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    source: Source,
}

#[derive(Debug)]
enum Source {
    File(Box<Lender>),
    Stream(BufReader<Stream>),
    Map(MapCursor),
}

/// How a [`Reader`] gets at its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReadPath {
    /// pread(2) into a buffer of its own, or straight into the caller's if that is as large.
    Pread,
    /// Direct reads (O_DIRECT, io_uring) into frames that the reader owns and lends.
    Direct,
    /// read(2), for pipes and special files, and for files that say they are empty (/proc).
    Stream,
    /// No copy: slices of a mapping.
    Mapping,
}

/// What a [`Reader`] did until now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReaderStats {
    /// How it got at the bytes last.
    pub path: ReadPath,
    /// Bytes that came by pread(2) into the buffer, or into the caller's.
    pub pread_bytes: u64,
    /// Bytes that were handed out of frames of direct reads.
    pub direct_bytes: u64,
    /// Calls of read(2), pread(2) or preadv2(2). Without those of [`Reader::read_at`].
    pub reads: u64,
    /// Of these, the ones that found the page cache without the bytes, or could not tell.
    pub waits: u64,
    /// How many bytes the page cache was asked to read ahead of the offset.
    pub ahead_bytes: u64,
}

/// Does the same with whichever source it is.
macro_rules! each {
    ($reader:expr, $source:ident => $do:expr) => {
        match $reader {
            Source::File($source) => $do,
            Source::Stream($source) => $do,
            Source::Map($source) => $do,
        }
    };
}

impl Reader {
    /// Opens the file at `path` for reading.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open(path: impl AsRef<Path>) -> io::Result<Reader> {
        File::open(path).map(Reader::from_file)
    }

    /// Reads an open file from its present offset on.
    #[must_use]
    pub fn from_file(file: File) -> Reader {
        let source = match PagedFile::new(file) {
            Ok(file) => Source::File(Box::new(Lender::new(file))),
            Err(file) => {
                Source::Stream(BufReader::with_capacity(STREAM_BUFFER_LEN, Stream::new(file)))
            }
        };
        Reader { source }
    }

    /// Reads a mapping without copying: [`fill_buf`](BufRead::fill_buf) lends all that is left of
    /// it.
    ///
    /// It takes the mapping or a share of it (`Arc<Mmap>`). Reading ahead is the mapping's own.
    ///
    /// # Safety
    /// As long as the reader lives, nobody changes or truncates the file, however it is named: the
    /// slices that safe code gets from this reader would change under it.
    #[must_use]
    pub unsafe fn from_mmap(map: impl Into<Arc<Mmap>>) -> Reader {
        Reader { source: Source::Map(MapCursor::new(map.into())) }
    }

    /// Reads at `offset` of the file, whatever this reader's own offset is, and leaves that as it
    /// is.
    ///
    /// May read less than `buf` holds; 0 at the end of the file. Past the reader's buffer: it is as
    /// fresh as pread(2).
    ///
    /// # Errors
    /// Those of pread(2): ESPIPE for a pipe.
    ///
    /// Source: pread(2).
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        match &self.source {
            Source::File(source) => source.read_at(buf, offset),
            Source::Stream(source) => source.get_ref().read_at(buf, offset),
            Source::Map(source) => Ok(source.read_at(buf, offset)),
        }
    }

    /// The length of the file in bytes, as it is now; 0 for what has no length, such as a pipe.
    ///
    /// # Errors
    /// Those of fstat(2).
    pub fn len(&self) -> io::Result<u64> {
        match &self.source {
            Source::File(source) => source.len(),
            Source::Stream(source) => source.get_ref().len(),
            Source::Map(source) => Ok(source.len()),
        }
    }

    /// Whether [`len`](Reader::len) is 0.
    ///
    /// # Errors
    /// As [`len`](Reader::len).
    pub fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// What was done until now.
    #[must_use]
    pub fn stats(&self) -> ReaderStats {
        match &self.source {
            Source::File(source) => source.stats(),
            Source::Stream(source) => source.get_ref().stats(),
            Source::Map(_) => ReaderStats::new(ReadPath::Mapping),
        }
    }
}

impl ReaderStats {
    fn new(path: ReadPath) -> ReaderStats {
        ReaderStats { path, pread_bytes: 0, direct_bytes: 0, reads: 0, waits: 0, ahead_bytes: 0 }
    }
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        each!(&mut self.source, source => source.read(buf))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        each!(&mut self.source, source => source.read_vectored(bufs))
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        each!(&mut self.source, source => source.read_to_end(buf))
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        each!(&mut self.source, source => source.read_to_string(buf))
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        each!(&mut self.source, source => source.read_exact(buf))
    }
}

impl BufRead for Reader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        each!(&mut self.source, source => source.fill_buf())
    }

    fn consume(&mut self, amount: usize) {
        each!(&mut self.source, source => source.consume(amount));
    }
}

impl Seek for Reader {
    /// Forgets what is buffered, as [`BufReader`] does: what is read next is fresh.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        each!(&mut self.source, source => source.seek(to))
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        each!(&mut self.source, source => source.stream_position())
    }

    /// Keeps what is buffered if the new offset lies in it.
    fn seek_relative(&mut self, by: i64) -> io::Result<()> {
        each!(&mut self.source, source => source.seek_relative(by))
    }
}

/// Calls again while a signal interrupts the call.
pub(crate) fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_call_is_made_again_and_other_errors_are_not() {
        let mut answers = vec![Ok(7), Err(io::ErrorKind::Interrupted.into())];
        assert_eq!(retry(|| answers.pop().unwrap()).unwrap(), 7);
        let mut answers = vec![Ok(7), Err(io::ErrorKind::WouldBlock.into())];
        let error = retry(|| answers.pop().unwrap()).unwrap_err();
        assert_eq!((error.kind(), answers.len()), (io::ErrorKind::WouldBlock, 1));
    }
}
