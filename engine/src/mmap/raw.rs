use std::fmt;
use std::io;
use std::ops::{Range, RangeBounds};

#[cfg(target_os = "linux")]
use memmap2::RemapOptions;
use memmap2::{Advice, UncheckedAdvice};

use super::range::{clip, clip_many};
use super::{Mapping, Mmap, MmapAsRawDesc, MmapMut, MmapOptions};
#[cfg(all(target_os = "linux", not(elsewhere)))]
use crate::Error;
use crate::{Prefetch, Residency, Stats};

/// A mapping that is only a pointer and a length: no slice is ever made of it.
///
/// Safe to create, since reading it takes a raw pointer: for memory that others write meanwhile.
/// Made read-only ([`MmapOptions::map_raw_read_only`], or from an [`Mmap`]) it is read ahead like
/// one.
pub struct MmapRaw {
    pub(super) inner: Mapping<memmap2::MmapRaw>,
}

impl MmapRaw {
    /// Maps a whole file, shared and writable: `MmapOptions::new().map_raw(file)`.
    ///
    /// # Errors
    /// As [`MmapOptions::map_raw`].
    pub fn map_raw<T: MmapAsRawDesc>(file: T) -> io::Result<MmapRaw> {
        MmapOptions::new().map_raw(file)
    }

    /// The first byte. Valid for reads of [`len`](MmapRaw::len) bytes while `self` lives, as far as
    /// the file reaches.
    #[inline]
    pub fn as_ptr(&self) -> *const u8 {
        self.inner.map().as_ptr()
    }

    /// The first byte, for writing.
    ///
    /// Writing through it is undefined behaviour when the mapping is read-only, when a slice of the
    /// same memory is alive, or when another thread reads there without synchronisation.
    #[inline]
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.inner.map().as_mut_ptr()
    }

    /// The length in bytes; what lies beyond the end of the file raises SIGBUS when touched.
    #[inline]
    #[allow(clippy::len_without_is_empty, reason = "memmap2's surface, no more")]
    pub fn len(&self) -> usize {
        self.inner.map().len()
    }
}

flush_methods!(MmapRaw);
advice_methods!(MmapRaw);
ahead_methods!(MmapRaw);
presence_methods!(MmapRaw);

impl fmt::Debug for MmapRaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.map().fmt(f)
    }
}

impl From<Mmap> for MmapRaw {
    fn from(map: Mmap) -> MmapRaw {
        MmapRaw { inner: map.inner.retype(memmap2::MmapRaw::from) }
    }
}

impl From<MmapMut> for MmapRaw {
    fn from(map: MmapMut) -> MmapRaw {
        MmapRaw { inner: map.inner.retype(memmap2::MmapRaw::from) }
    }
}
