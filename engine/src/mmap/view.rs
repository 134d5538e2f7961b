use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, Range, RangeBounds};
use std::os::fd::AsFd;

use memmap2::Advice;

use super::mapping::Mapped;
use super::range::{clip, clip_many};
use super::{Backing, Mapping, Mmap};
use crate::sys::SecondMap;
use crate::{Error, Prefetch, Residency, Stats};

/// A second mapping of a file that is mapped, for one reader of it: see [`Mmap::reader_view`].
///
/// It dereferences to `&[u8]`, the same bytes at other addresses, lives no longer than the mapping that
/// it was made of, and is unmapped when it is dropped.
pub struct ReaderView<'a> {
    inner: Mapping<SecondMap>,
    parent: PhantomData<&'a Mmap>,
}

impl Mmap {
    /// Maps the same bytes once more, for a reader with a way of its own through them: its advice, its
    /// streams and its counters are its own, so that one reader's hint never changes another's.
    ///
    /// `advice` is for all of the view: with [`Advice::Random`] nothing is read ahead for it, with
    /// [`Advice::Normal`] and [`Advice::Sequential`] it is followed as [`mode`](crate::MmapOptions::mode)
    /// says. Mode, policy and budget are those of the mapping; advice and locks that it was given are not
    /// taken over. A view takes address space and page tables of its own, and no memory besides: the
    /// pages are the same.
    ///
    /// A view of a mapping that is under the SIGBUS guard
    /// ([`guard_sigbus`](crate::MmapOptions::guard_sigbus), [`guarded`](Mmap::guarded)) is under it too. What
    /// was replaced in either is its own, and told by its own [`error`](ReaderView::error).
    ///
    /// No descriptor is needed for a shared mapping. A private one ([`map_copy_read_only`]) can be mapped
    /// again only from its file: it has to be kept by [`keep_file`](crate::MmapOptions::keep_file).
    ///
    /// **What views share.** Both belong to one open file, and the kernel keeps the state of its own
    /// read-ahead there (`file->f_ra`: the window that it read last, and how often touches missed it). Two
    /// views that run forward at different places move that window to and fro, and random touches without
    /// [`Advice::Random`] make the kernel stop reading around faults for all of them; those of a view that
    /// was made with it do not count. What this crate reads ahead does not depend on it. Who wants that
    /// state apart too opens the file once more.
    ///
    /// Only on Linux.
    ///
    /// # Errors
    /// `Unsupported` ([`Error::Unsupported`] inside) for a private mapping without a kept file, one that
    /// has changed its protection or length since, and anonymous memory. Those of mremap(2), mmap(2) and
    /// madvise(2). Those of the SIGBUS guard, as a constructor's.
    ///
    /// Kernel: any; before 4.14 mremap(2) does not refuse private mappings, but they never get there.
    /// Source: mremap(2), "If the value of old_size is zero"; mm/filemap.c, do_sync_mmap_readahead.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("data");
    /// # std::fs::write(&path, vec![1; 4 << 20]).unwrap();
    /// use mmap_ahead::{Advice, Mmap};
    ///
    /// let file = std::fs::File::open(path)?;
    /// // SAFETY: nobody changes the file while it is mapped.
    /// let map = unsafe { Mmap::map(&file)? };
    /// let lookups = map.reader_view(Advice::Random)?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| assert_eq!(lookups[3 << 20], 1));
    ///     scope.spawn(|| assert_eq!(map.iter().map(|&byte| u64::from(byte)).sum::<u64>(), 4 << 20));
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// [`map_copy_read_only`]: crate::MmapOptions::map_copy_read_only
    pub fn reader_view(&self, advice: Advice) -> io::Result<ReaderView<'_>> {
        let origin = self.inner.origin();
        let kept = self.inner.kept().filter(|_| !origin.was_writable);
        let area = match (origin.backing, kept) {
            (Backing::SharedFile, _) => SecondMap::duplicate(self.inner.map())?,
            (Backing::PrivateFile, Some(file)) => {
                SecondMap::map_private(file.as_fd(), origin.file_offset, self.len())?
            }
            (Backing::PrivateFile, None) => {
                let needs = "a shared mapping, or one that was made with `MmapOptions::keep_file`";
                return Err(
                    Error::Unsupported { what: "a view of a private mapping", needs }.into()
                );
            }
            (Backing::Anonymous, _) => {
                let needs = "a mapping of a file";
                return Err(Error::Unsupported { what: "a view of anonymous memory", needs }.into());
            }
        };
        area.advise(advice)?;
        let inner = self.inner.beside(area)?;
        inner.advised(advice, 0, self.len());
        Ok(ReaderView { inner, parent: PhantomData })
    }
}

impl ReaderView<'_> {
    /// Tells the kernel how the whole view will be used from now on, as [`Mmap::advise`] does.
    ///
    /// # Errors
    /// Those of madvise(2).
    ///
    /// Source: madvise(2).
    pub fn advise(&self, advice: Advice) -> io::Result<()> {
        let area = self.inner.map();
        area.advise(advice)?;
        self.inner.advised(advice, 0, area.len());
        Ok(())
    }
}

ahead_methods!(ReaderView<'_>);
presence_methods!(ReaderView<'_>);

impl Mapped for SecondMap {
    fn addr(&self) -> usize {
        self.bytes().as_ptr() as usize
    }
    fn len(&self) -> usize {
        self.len()
    }
}

impl Deref for ReaderView<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.inner.map().bytes()
    }
}

impl AsRef<[u8]> for ReaderView<'_> {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for ReaderView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = self.as_ptr_range();
        f.debug_struct("ReaderView").field("ptr", &range.start).field("len", &self.len()).finish()
    }
}
