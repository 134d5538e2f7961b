//! Where the bytes come from.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// Bytes that a [`Paged`](super::Paged) can be filled from: a file, or something compressed, remote
/// or generated.
///
/// Its methods are called on threads of their own, several at once, never on the thread that
/// serves page faults. It must not touch the `Paged` that it fills: that waits for itself.
pub trait Source: Send + Sync + 'static {
    /// How many bytes there are. Asked once.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads from `offset` on into `buf`. Fewer bytes than fit are allowed; 0 is an error here,
    /// since nobody asks past the end.
    ///
    /// `offset` and the address and length of `buf` are multiples of
    /// [`alignment`](Source::alignment); `buf` may reach past the end.
    ///
    /// # Errors
    /// Whatever reading it takes: see [`OnIoError`](super::OnIoError).
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// What offsets and lengths must be multiples of: a power of two, at most the size of a page.
    ///
    /// Default: 1.
    fn alignment(&self) -> usize {
        1
    }

    /// A file of the same length whose bytes are these, if there is one: it is read by io_uring
    /// then, and `read_at` only where that is not to be had.
    ///
    /// Default: none.
    fn file(&self) -> Option<Arc<OwnedFd>> {
        None
    }
}

/// A [`Source`] whose bytes never change: what was read once is read the same again.
///
/// # Safety
/// Whatever happens, [`Source::read_at`] gives the same bytes for the same offset, or an error. A
/// checked `str` in such a mapping would otherwise stop being one.
pub unsafe trait Immutable: Source {}

/// A file, past the page cache where its file system can.
#[derive(Debug)]
pub(crate) struct FileSource {
    /// For io_uring, and for pread(2): two descriptors of one open file.
    file: Arc<OwnedFd>,
    reader: File,
    len: u64,
    access: Access,
}

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Access {
    /// O_DIRECT: the device writes into our memory, and the page cache stays as it is.
    Direct,
    /// Through the page cache: tmpfs, overlay, /proc and others refuse O_DIRECT.
    Buffered,
}

/// What direct reads are aligned to. Devices with blocks of 512 bytes or 4 KiB are content.
const DIRECT_ALIGNMENT: usize = 4096;

impl FileSource {
    /// Opens `path` for reading.
    ///
    /// # Errors
    /// Those of open(2); EISDIR for a directory, and EINVAL for what is no regular file.
    pub(crate) fn open(path: &Path) -> io::Result<FileSource> {
        // Before it is opened: a FIFO would wait for its writer, and a tape would rewind.
        let kind = std::fs::metadata(path)?;
        if kind.is_dir() {
            return Err(io::Error::from_raw_os_error(libc::EISDIR));
        }
        if !kind.is_file() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let open = |flags| File::options().read(true).custom_flags(flags).open(path);
        let direct = open(libc::O_DIRECT).ok().filter(reads_directly);
        let access = if direct.is_some() { Access::Direct } else { Access::Buffered };
        let file = match direct {
            Some(file) => file,
            None => open(0)?,
        };
        let metadata = file.metadata()?;
        let reader = file.try_clone()?;
        Ok(FileSource { len: metadata.len(), file: Arc::new(file.into()), reader, access })
    }

    pub(crate) fn access(&self) -> Access {
        self.access
    }

    pub(crate) fn descriptor(&self) -> &Arc<OwnedFd> {
        &self.file
    }
}

/// Some file systems take the flag and refuse the read; some (tmpfs) take both and go through the
/// page cache all the same.
fn reads_directly(file: &File) -> bool {
    let mut block = Aligned([0; 2 * DIRECT_ALIGNMENT]);
    let begin = block.0.as_ptr().align_offset(DIRECT_ALIGNMENT);
    file.read_at(&mut block.0[begin..begin + DIRECT_ALIGNMENT], 0).is_ok()
}

struct Aligned([u8; 2 * DIRECT_ALIGNMENT]);

impl Source for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reader.read_at(buf, offset)
    }

    fn alignment(&self) -> usize {
        match self.access {
            Access::Direct => DIRECT_ALIGNMENT,
            Access::Buffered => 1,
        }
    }

    fn file(&self) -> Option<Arc<OwnedFd>> {
        Some(Arc::clone(&self.file))
    }
}

/// The longest piece that [`read_unaligned`] reads at once.
const BOUNCE_LEN: usize = 1 << 20;

/// Reads any range of `source` into any `buf`, through aligned memory where the source asks for it.
pub(super) fn read_unaligned(
    source: &dyn Source,
    buf: &mut [u8],
    offset: u64,
) -> io::Result<usize> {
    let alignment = source.alignment();
    if buf.is_empty() {
        return Ok(0);
    }
    if alignment == 1 {
        let read = super::retry(|| source.read_at(buf, offset))?;
        return Ok(read.min(buf.len()));
    }
    let lead = (offset % alignment as u64) as usize;
    let len = (lead + buf.len()).min(BOUNCE_LEN).next_multiple_of(alignment);
    let mut bounce = vec![0; len + alignment];
    let begin = bounce.as_ptr().align_offset(alignment);
    let aligned = &mut bounce[begin..begin + len];
    let read = super::retry(|| source.read_at(aligned, offset - lead as u64))?;
    let read = read.min(len).saturating_sub(lead).min(buf.len());
    buf[..read].copy_from_slice(&aligned[lead..lead + read]);
    Ok(read)
}
