use super::Paged;
use super::open::Trust;
use super::source::{Immutable, Source};
use crate::Error;
use crate::policy::PolicyKind;
use std::path::Path;
use std::sync::Arc;

/// What happens when a page cannot be read from its source.
///
/// Default: [`OnIoError::Abort`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnIoError {
    /// As with any mapping: one line on stderr names file, offset and error, and whoever touched the
    /// page gets SIGBUS, which ends the process unless it is handled.
    ///
    /// Kernel: 6.6 (UFFDIO_POISON) sends it to the thread that touched the page; before, the process
    /// gets it.
    #[default]
    Abort,
    /// The page shows zeros from then on, and [`Paged::error`] says which page it was first. Every
    /// other byte is right. A page that was seen before, was thrown away and cannot be read again is as
    /// with [`OnIoError::Abort`]: what safe code has seen does not become zeros.
    Zero,
}

/// How much is read for one touch where nothing is known of the reader.
///
/// Default: [`FrameSize::Auto`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrameSize {
    /// One page for a lone touch, up to 64 KiB and then whole frames of 2 MiB along a run.
    #[default]
    Auto,
    /// This many bytes for every touch: a power of two from one page to 64 KiB. Runs are still read
    /// ahead in frames of 2 MiB.
    Small(u32),
}

/// Who serves the touch of a page that is not in memory.
///
/// Default: [`Faults::ServiceThread`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Faults {
    /// The thread of the [`Paged`]: whoever touched sleeps until it is woken. System calls may be given
    /// any part of the slice.
    #[default]
    ServiceThread,
    /// For lone touches the thread that touched, which reads the page itself inside a handler of SIGBUS;
    /// nobody has to be woken. Runs are still read ahead by the service, and it takes pages away. Worth
    /// it where many threads touch at random, and dear where they wait on other threads anyway.
    ///
    /// What it costs:
    ///
    /// - **System calls** that are given a page which is not in memory return EFAULT and do not wait
    ///   (as with [`FaultScope::UserMode`](crate::FaultScope::UserMode), which [`Paged::mode`] says then).
    ///   The remedy: [`Paged::read_at`] into a buffer of one's own, or touch the pages before the call
    ///   and call again after EFAULT; [`Paged::prefetch`] makes the touch cheap.
    /// - **SIGBUS**: a handler is installed for the process, once and for ever, with the first such
    ///   `Paged`. What is not ours goes to the handler that was there before. Whoever installs another
    ///   one later must hand on to ours; a thread that blocks SIGBUS dies of its first touch; a library
    ///   that holds this code must not be unloaded.
    /// - **All signals** are held back while a thread reads: as long as one read of the disk.
    /// - After the first page that could not be read, or when the lease is taken away, the service serves
    ///   everything, for what becomes of the page is its affair.
    ///
    /// Without effect, as [`Paged::mode`] says: with a [`Source`] that is no file
    /// ([`Source::file`]), with [`FrameSize::Small`] above one page, when 256 others are open, and when
    /// the handler cannot be installed because another one was put in the place of ours.
    ///
    /// Kernel: 4.14 (UFFD_FEATURE_SIGBUS); without effect before. Source: userfaultfd(2),
    /// ioctl_userfaultfd(2).
    OnFaultingThread,
}

/// The memory that a [`Paged`] uses unless [`PagedOptions::memory_limit`] says otherwise: 256 MiB.
///
/// A guess: a hundredth of what a machine that reads large files has, and enough to keep sixteen
/// streams apart.
pub const MEMORY_LIMIT_DEFAULT: u64 = 256 << 20;

/// The least memory limit: 8 MiB (as many times that as a page has 4 KiB). That is two pages for each of far more threads than may fault at
/// once, and room for the reads in flight.
pub const MEMORY_LIMIT_MIN: u64 = 8 << 20;

/// How a [`Paged`] is opened.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("data");
/// # std::fs::write(&path, vec![1; 4 << 20]).unwrap();
/// let paged = mmap_ahead::PagedOptions::new().memory_limit(64 << 20).open(&path)?;
/// assert_eq!(paged.iter().map(|&byte| u64::from(byte)).sum::<u64>(), 4 << 20);
/// # Ok::<(), mmap_ahead::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PagedOptions {
    pub(super) memory_limit: u64,
    pub(super) frame_size: FrameSize,
    pub(super) queue_depth: usize,
    pub(super) policy: PolicyKind,
    pub(super) on_io_error: OnIoError,
    pub(super) faults: Faults,
}

impl Default for PagedOptions {
    fn default() -> PagedOptions {
        PagedOptions::new()
    }
}

impl PagedOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> PagedOptions {
        PagedOptions {
            memory_limit: MEMORY_LIMIT_DEFAULT,
            frame_size: FrameSize::default(),
            queue_depth: 32,
            policy: PolicyKind::default(),
            on_io_error: OnIoError::default(),
            faults: Faults::default(),
        }
    }

    /// The most memory that it uses, everything included: what is under the readers, what is in
    /// flight, what is kept for a moment.
    ///
    /// Unit: bytes, rounded down to 2 MiB. Default: [`MEMORY_LIMIT_DEFAULT`]; least:
    /// [`MEMORY_LIMIT_MIN`].
    #[must_use]
    pub fn memory_limit(mut self, bytes: u64) -> PagedOptions {
        self.memory_limit = bytes;
        self
    }

    /// How much is read for a lone touch. Default: [`FrameSize::Auto`].
    #[must_use]
    pub fn frame_size(mut self, size: FrameSize) -> PagedOptions {
        self.frame_size = size;
        self
    }

    /// How many reads are in flight at most, 16 to 256. Default: 32.
    #[must_use]
    pub fn queue_depth(mut self, reads: usize) -> PagedOptions {
        self.queue_depth = reads;
        self
    }

    /// What is read ahead. Default: [`PolicyKind::Adaptive`]; with [`PolicyKind::Off`] only what is
    /// touched is read.
    #[must_use]
    pub fn policy(mut self, policy: PolicyKind) -> PagedOptions {
        self.policy = policy;
        self
    }

    /// What becomes of a page that cannot be read. Default: [`OnIoError::Abort`].
    #[must_use]
    pub fn on_io_error(mut self, then: OnIoError) -> PagedOptions {
        self.on_io_error = then;
        self
    }

    /// Who serves the touch of a page that is not in memory. Default: [`Faults::ServiceThread`].
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> PagedOptions {
        self.faults = faults;
        self
    }

    /// Opens the file at `path`, if its bytes provably cannot change: see [`Paged`].
    ///
    /// # Errors
    /// - [`Error::Syscall`]: those of open(2), EISDIR for a directory, EINVAL for what is no regular
    ///   file.
    /// - [`Error::NotImmutable`]: no proof was found, and the file does not fit into the limit.
    /// - [`Error::Unsupported`]: no userfaultfd here, and the file does not fit into the limit.
    /// - [`Error::Configuration`]: an option is out of range.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Paged, Error> {
        Paged::from_path(path.as_ref(), self, Trust::Proof)
    }

    /// Opens the file at `path` and takes the caller's word that it does not change.
    ///
    /// # Safety
    /// While the `Paged` lives, nobody changes or truncates the file: pages that were thrown away are
    /// read again, and what safe code has checked before would change under it.
    ///
    /// # Errors
    /// As [`open`](PagedOptions::open), without [`Error::NotImmutable`].
    pub unsafe fn open_assume_immutable(&self, path: impl AsRef<Path>) -> Result<Paged, Error> {
        Paged::from_path(path.as_ref(), self, Trust::Caller)
    }

    /// Maps a [`Source`] that fits into the memory limit: each of its pages is read once.
    ///
    /// # Errors
    /// [`Error::NotImmutable`] when it does not fit; else as [`open`](PagedOptions::open).
    pub fn source(&self, source: impl Source) -> Result<Paged, Error> {
        Paged::from_source(Arc::new(source), self, Trust::Proof)
    }

    /// Maps a [`Source`] of any length that never changes.
    ///
    /// # Errors
    /// As [`open`](PagedOptions::open), without [`Error::NotImmutable`].
    pub fn immutable_source(&self, source: impl Immutable) -> Result<Paged, Error> {
        Paged::from_source(Arc::new(source), self, Trust::Caller)
    }

    pub(super) fn check(&self, page_bytes: u64) -> Result<(), Error> {
        // As many pages on every kernel.
        let least = MEMORY_LIMIT_MIN * (page_bytes / 4096).max(1);
        if self.memory_limit < least {
            let limit = self.memory_limit;
            return Err(Error::configuration(format!(
                "a memory limit of {limit} bytes is too small: at least {least}"
            )));
        }
        if !(16..=256).contains(&self.queue_depth) {
            return Err(Error::configuration(format!(
                "a queue depth of {} is out of range: 16 to 256",
                self.queue_depth
            )));
        }
        if let FrameSize::Small(bytes) = self.frame_size {
            let fits = (page_bytes..=super::pager::PIECE_BYTES).contains(&u64::from(bytes));
            if !fits || !bytes.is_power_of_two() {
                return Err(Error::configuration(format!(
                    "a frame of {bytes} bytes is not a power of two from {page_bytes} to 65536"
                )));
            }
        }
        Ok(())
    }
}
