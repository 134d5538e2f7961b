//! A file in block gzip: many small gzip members, each inflated on its own.

mod blocks;

use std::fmt::{self, Debug, Formatter};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use self::blocks::{Header, Start, TRAILER_LEN, broken, scan};
use super::Source;

/// A block-gzip file (BGZF: what bgzip and samtools write, `.bam` among others) as a [`Source`] of
/// its uncompressed bytes.
///
/// A block holds at most 64 KiB and is inflated as a whole, straight into the reader's buffer where
/// it fits there. Nothing is kept: a read of a part costs as much as one of the block, and 64 KiB
/// mostly lie in two of them. The CRC32 and the length of each block are checked whenever it is
/// read. The table of blocks takes 16 bytes a block, about 0.1% of a compressed file. No lock is
/// held: threads inflate side by side. The compressed bytes are read through the page cache.
///
/// **Not [`Immutable`](super::Immutable)**: somebody may write to the file, and the CRC tells of
/// damage, not of another block that is whole. So it can be mapped while all of it fits into the
/// memory limit ([`PagedOptions::source`](super::PagedOptions::source)). Beyond that, whoever knows
/// that the file stays as it is vouches for it:
///
/// ```no_run
/// use mmap_ahead::{Bgzf, Immutable, PagedOptions, Source};
///
/// struct Archived(Bgzf);
///
/// impl Source for Archived {
///     fn len(&self) -> u64 {
///         self.0.len()
///     }
///
///     fn read_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
///         self.0.read_at(buf, offset)
///     }
/// }
///
/// // SAFETY: nobody writes to the archive once a file is in it.
/// unsafe impl Immutable for Archived {}
///
/// let genome = Archived(Bgzf::open("/archive/genome.fa.gz")?);
/// let map = PagedOptions::new().immutable_source(genome)?;
/// println!("{} bytes, {} of them N", map.len(), map.iter().filter(|&&base| base == b'N').count());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
/// SAM specification, section 4.1 (samtools/hts-specs, `SAMv1.tex`); RFC 1952 (gzip).
pub struct Bgzf {
    file: File,
    /// Where each block starts, and at last where the file ends.
    starts: Vec<Start>,
}

impl Bgzf {
    /// Opens `path` and finds its blocks: two small reads a block (1.5 us in the page cache), and
    /// nothing is inflated.
    ///
    /// # Errors
    /// Those of open(2) and pread(2); EISDIR for a directory, EINVAL for what is no regular file;
    /// `InvalidData` for what is no BGZF, with the offset in the file where it stops being it, and
    /// for a truncated file: one that ends within a block or without the empty block that says
    /// that all was written.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Bgzf> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from_raw_os_error(libc::EISDIR));
        }
        if !metadata.is_file() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let starts = scan(&file, metadata.len())?;
        Ok(Bgzf { file, starts })
    }

    /// Gives the bytes from `offset` on that block `index` holds, as many as fit.
    fn read_block(
        &self,
        index: usize,
        buf: &mut [u8],
        offset: u64,
        inflater: &mut Inflater,
    ) -> io::Result<usize> {
        let (start, end) = (self.starts[index], self.starts[index + 1]);
        let len = (end.uncompressed - start.uncompressed) as usize;
        if len == 0 {
            return Ok(0);
        }
        inflater.load(&self.file, start.compressed, end.compressed)?;
        let skipped = (offset - start.uncompressed) as usize;
        if skipped == 0 && len <= buf.len() {
            inflater.inflate(&mut buf[..len]).map_err(|what| broken(start.compressed, what))?;
            return Ok(len);
        }
        let mut block = vec![0; len];
        inflater.inflate(&mut block).map_err(|what| broken(start.compressed, what))?;
        let wanted = (len - skipped).min(buf.len());
        buf[..wanted].copy_from_slice(&block[skipped..skipped + wanted]);
        Ok(wanted)
    }
}

impl Source for Bgzf {
    fn len(&self) -> u64 {
        self.starts.last().map_or(0, |end| end.uncompressed)
    }

    /// Reads from `offset` on into `buf`, fewer bytes at the end and before a broken block.
    ///
    /// # Errors
    /// Those of pread(2); `InvalidData` for a block that is broken, or another than when the file
    /// was opened; `UnexpectedEof` where the file was cut since. They name the offset of the block
    /// in the file. `buf` may have been written to all the same.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut inflater = Inflater::new();
        // The last of those that start here: the others hold nothing. Past the end there is none.
        let first = self.starts.partition_point(|start| start.uncompressed <= offset) - 1;
        let mut filled = 0;
        for index in first..self.starts.len() - 1 {
            if filled == buf.len() {
                break;
            }
            let rest = &mut buf[filled..];
            match self.read_block(index, rest, offset + filled as u64, &mut inflater) {
                Ok(len) => filled += len,
                Err(error) if filled == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(filled)
    }
}

impl Debug for Bgzf {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let blocks = self.starts.len() - 1;
        f.debug_struct("Bgzf").field("len", &self.len()).field("blocks", &blocks).finish()
    }
}

/// The compressed bytes of a block, and what makes of them what they stand for. A new one for each
/// read: that is 2 us, next to 90 us for a block (flate2 1.1 with zlib-rs 0.6, here).
struct Inflater {
    compressed: Vec<u8>,
    inflate: Decompress,
}

impl Inflater {
    fn new() -> Inflater {
        Inflater { compressed: Vec::new(), inflate: Decompress::new(false) }
    }

    /// Reads the block at `begin..end` of the file.
    fn load(&mut self, file: &File, begin: u64, end: u64) -> io::Result<()> {
        self.compressed.resize((end - begin) as usize, 0);
        file.read_exact_at(&mut self.compressed, begin).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                let what =
                    format!("the block at offset {begin} was cut off since the file was opened");
                io::Error::new(io::ErrorKind::UnexpectedEof, what)
            }
            _ => error,
        })
    }

    /// Makes `out`, which is as long as all that the block holds, of the block that was read.
    fn inflate(&mut self, out: &mut [u8]) -> Result<(), &'static str> {
        let header = Header::parse(&self.compressed)?;
        if header.block_len != self.compressed.len() {
            return Err("has changed since the file was opened");
        }
        let (data, trailer) = self.compressed[header.len..]
            .split_last_chunk::<TRAILER_LEN>()
            .ok_or("shorter than its header")?;
        let [c0, c1, c2, c3, isize @ ..] = *trailer;
        if u32::from_le_bytes(isize) as usize != out.len() {
            return Err("has changed since the file was opened");
        }
        self.inflate.reset(false);
        let status = self.inflate.decompress(data, out, FlushDecompress::Finish);
        let all = self.inflate.total_in() == data.len() as u64
            && self.inflate.total_out() == out.len() as u64;
        match status {
            Ok(Status::StreamEnd) if all => {}
            Ok(_) => return Err("its data is not as long as it says"),
            Err(_) => return Err("its data is no deflate stream"),
        }
        let mut crc = Crc::new();
        crc.update(out);
        let same = crc.sum() == u32::from_le_bytes([c0, c1, c2, c3]);
        same.then_some(()).ok_or("wrong CRC32")
    }
}

#[cfg(test)]
mod tests;
