use std::fmt;
use std::io;
use std::ops::{Deref, Range, RangeBounds};

#[cfg(target_os = "linux")]
use memmap2::RemapOptions;
use memmap2::{Advice, MapIfSafeError, UncheckedAdvice};

use super::range::{clip, clip_many};
use super::{Mapping, MmapAsRawDesc, MmapMut, MmapOptions, Origin};
#[cfg(all(target_os = "linux", not(elsewhere)))]
use super::{presence::no_guard, range::within};
use crate::{Error, Prefetch, RecordedSet, Residency, Stats};

/// A file in memory, to be read, and read ahead of whoever reads it.
///
/// It dereferences to `&[u8]` and stays valid when the file is closed. Mappings of
/// [`FOLLOWED_LEN_MIN`](crate::FOLLOWED_LEN_MIN) and more are followed as [`MmapOptions::mode`]
/// says; shorter ones are plain memmap2. It keeps no file descriptor, unless asked to by
/// [`MmapOptions::keep_file`].
///
/// Dropping it ends the following and then unmaps. If the kernel is stuck in a call for this
/// mapping (a file that nobody serves), drop does not wait: the memory is unmapped when that call
/// returns.
///
/// # Safety
/// The constructors are `unsafe` as in memmap2: `&[u8]` says that the bytes do not change, and
/// nothing keeps another program from writing the file, or from truncating it, after which a touch
/// raises SIGBUS.
///
/// ```
/// use std::fs::File;
/// use mmap_ahead::Mmap;
///
/// let file = File::open("Cargo.toml")?;
/// // SAFETY: nobody writes this file while the example runs.
/// let map = unsafe { Mmap::map(&file)? };
/// assert!(map.starts_with(b"[package]"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Mmap {
    pub(super) inner: Mapping<memmap2::Mmap>,
}

impl Mmap {
    /// Maps a whole file: `MmapOptions::new().map(file)`.
    ///
    /// # Errors
    /// As [`MmapOptions::map`].
    ///
    /// # Safety
    /// See [`Mmap`].
    pub unsafe fn map<T: MmapAsRawDesc>(file: T) -> io::Result<Mmap> {
        // SAFETY: the same contract, passed on to the caller.
        unsafe { MmapOptions::new().map(file) }
    }

    /// Maps a whole file whose bytes cannot change: `MmapOptions::new().map_if_safe(file)`.
    ///
    /// # Errors
    /// As [`MmapOptions::map_if_safe`].
    pub fn map_if_safe<T: MmapAsRawDesc>(file: T) -> Result<Mmap, MapIfSafeError> {
        MmapOptions::new().map_if_safe(file)
    }

    /// What was touched of the mapping since it was made with [`MmapOptions::record`].
    ///
    /// It looks at the page table now and goes on recording. Pages touched by this process only; what
    /// other processes or read(2) touch is not seen, nor pages that the kernel took out of the page
    /// table again before a look (under memory pressure). The file's length and modification time are
    /// those of when it was mapped.
    ///
    /// # Errors
    /// `Unsupported` ([`Error::Unsupported`] inside) when the mapping is not being recorded: see
    /// `record`; once the mapping has changed its protection or length; in a forked child. What
    /// reading /proc/self/pagemap answers.
    ///
    /// Kernel: 6.7 for PAGEMAP_SCAN, any for its fallback /proc/self/pagemap.
    pub fn recorded(&self) -> io::Result<RecordedSet> {
        self.inner.follow().recorded()
    }

    /// Has what was recorded read into memory and into the page table, in the background: a
    /// [`prefetch_many`](Mmap::prefetch_many) of the set.
    ///
    /// Never blocks. The disk is started on all of it in the order of the set, 64 ranges a call,
    /// before any of it is mapped; ranges that adjoin are read as one, and a single page is read
    /// alone, never with its neighbours. What lies outside the mapping is ignored. It is a method and
    /// no option, so that a refusal is seen and the handle can be awaited.
    ///
    /// **The [`budget`](MmapOptions::budget) holds**: what the set has beyond it, less what earlier
    /// prefetches still wait for, is left out from its end on. For all of a large set, map with
    /// `.budget(set.bytes())` or more.
    ///
    /// With [`Mode::Off`](crate::Mode::Off), `MMAP_AHEAD=off`, in a forked child, while recording, and
    /// on Unixes other than Linux the handle is [`PrefetchState::Refused`](crate::PrefetchState).
    ///
    /// # Errors
    /// [`Error::StaleRecord`] when the file's length or modification time (as of when it was mapped)
    /// or the kernel's page size is not that of the recording. [`Error::Unsupported`] for a mapping
    /// under [`FOLLOWED_LEN_MIN`](crate::FOLLOWED_LEN_MIN), and once the mapping has changed its
    /// protection or length. Nothing is fetched then.
    ///
    /// Kernel: as [`prefetch`](Mmap::prefetch); 6.13 for process_madvise on oneself, before that one
    /// call a range.
    pub fn replay(&self, set: &RecordedSet) -> Result<Prefetch, Error> {
        self.inner.follow().replay(set)
    }

    /// Makes the mapping writable, which ends reading ahead; explicit prefetches still work.
    ///
    /// Waits until no prefetch of this mapping is in flight. A shared mapping needs a file that was
    /// opened for writing.
    ///
    /// # Errors
    /// Those of mprotect(2); the mapping is then gone.
    ///
    /// Source: mprotect(2).
    pub fn make_mut(self) -> io::Result<MmapMut> {
        let inner = self.inner.protect(Origin::access_writable, memmap2::Mmap::make_mut)?;
        Ok(MmapMut { inner })
    }
}

advice_methods!(Mmap);
ahead_methods!(Mmap);
presence_methods!(Mmap);
slice_methods!(Mmap);

#[cfg(feature = "stable_deref_trait")]
// SAFETY: the slice lives in the mapping, which moving the handle does not move; memmap2 promises
// the same for the type inside.
unsafe impl stable_deref_trait::StableDeref for Mmap {}

impl Deref for Mmap {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.inner.map()
    }
}

impl AsRef<[u8]> for Mmap {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Mmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.map().fmt(f)
    }
}
