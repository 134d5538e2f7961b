use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut, Range, RangeBounds};

#[cfg(target_os = "linux")]
use memmap2::RemapOptions;
use memmap2::{Advice, UncheckedAdvice};

use super::origin::Origin;
use super::range::{clip, clip_many};
use super::{Mapping, Mmap, MmapAsRawDesc, MmapOptions};
#[cfg(all(target_os = "linux", not(elsewhere)))]
use super::{presence::no_guard, range::within};
#[cfg(all(target_os = "linux", not(elsewhere)))]
use crate::Error;
use crate::runtime::Access;
use crate::{Prefetch, Residency, Stats};

/// A file or anonymous memory, to be read and written.
///
/// It dereferences to `&mut [u8]`. Writable memory is not read ahead by itself; explicit
/// [`prefetch`](MmapMut::prefetch) works on mappings of files. A program that stores forward into a file
/// has its pages made ready by [`MmapOptions::write_ahead`].
///
/// # Safety
/// The constructors for files are `unsafe` for the reasons given at [`Mmap`].
///
/// ```
/// use mmap_ahead::MmapMut;
///
/// let mut map = MmapMut::map_anon(13)?;
/// map.copy_from_slice(b"Hello, world!");
/// let map = map.make_read_only()?;
/// assert_eq!(&map[7..12], b"world");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct MmapMut {
    pub(super) inner: Mapping<memmap2::MmapMut>,
}

impl MmapMut {
    /// Maps a whole file, shared and writable: `MmapOptions::new().map_mut(file)`.
    ///
    /// # Errors
    /// As [`MmapOptions::map_mut`].
    ///
    /// # Safety
    /// See [`Mmap`].
    pub unsafe fn map_mut<T: MmapAsRawDesc>(file: T) -> io::Result<MmapMut> {
        // SAFETY: the same contract, passed on to the caller.
        unsafe { MmapOptions::new().map_mut(file) }
    }

    /// Maps `length` bytes of zeros: `MmapOptions::new().len(length).map_anon()`.
    ///
    /// # Errors
    /// As [`MmapOptions::map_anon`].
    pub fn map_anon(length: usize) -> io::Result<MmapMut> {
        MmapOptions::new().len(length).map_anon()
    }

    /// Makes the mapping read-only; a file is read ahead from then on.
    ///
    /// Waits until no prefetch of this mapping is in flight.
    ///
    /// # Errors
    /// Those of mprotect(2); the mapping is then gone.
    ///
    /// Source: mprotect(2).
    pub fn make_read_only(self) -> io::Result<Mmap> {
        let inner =
            self.inner.protect(Origin::access_read_only, memmap2::MmapMut::make_read_only)?;
        Ok(Mmap { inner })
    }

    /// Makes the mapping readable and executable.
    ///
    /// Waits until no prefetch of this mapping is in flight. Where instruction and data caches are
    /// separate (many ARM chips), freshly written code needs a platform-specific call besides. It
    /// is not read ahead by itself.
    ///
    /// # Errors
    /// Those of mprotect(2); the mapping is then gone.
    ///
    /// Source: mprotect(2).
    pub fn make_exec(self) -> io::Result<Mmap> {
        let inner = self.inner.protect(|_| Access::Other, memmap2::MmapMut::make_exec)?;
        Ok(Mmap { inner })
    }
}

#[cfg(all(target_os = "linux", not(elsewhere)))]
impl MmapMut {
    /// [`guarded`](MmapMut::guarded) for whoever stores too: where the file has vanished, stores go to
    /// zeros and are lost, and the answer is an error.
    ///
    /// A store into a page that the file system has no space for vanishes in the same way.
    ///
    /// # Errors
    /// As [`guarded`](MmapMut::guarded).
    ///
    /// # Panics
    /// When `write` does.
    pub fn guarded_mut<R>(&mut self, write: impl FnOnce(&mut [u8]) -> R) -> Result<R, Error> {
        self.inner.guard().map_err(no_guard)?;
        self.error().map_or(Ok(()), Err)?;
        let answer = write(self);
        self.error().map_or(Ok(answer), Err)
    }
}

flush_methods!(MmapMut);
advice_methods!(MmapMut);
ahead_methods!(MmapMut);
presence_methods!(MmapMut);
slice_methods!(MmapMut);

#[cfg(feature = "stable_deref_trait")]
// SAFETY: as for `Mmap`.
unsafe impl stable_deref_trait::StableDeref for MmapMut {}

impl Deref for MmapMut {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.inner.map()
    }
}

impl DerefMut for MmapMut {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.inner.map_mut()
    }
}

impl AsRef<[u8]> for MmapMut {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for MmapMut {
    #[inline]
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl fmt::Debug for MmapMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.map().fmt(f)
    }
}
