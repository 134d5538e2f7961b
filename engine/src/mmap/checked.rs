//! What [`Mmap`](crate::Mmap), [`MmapMut`](crate::MmapMut) and [`MmapRaw`](crate::MmapRaw) do about
//! vanished pages, written once.

/// What needs no slice.
macro_rules! presence_methods {
    ($type:ty) => {
        /// Bytes that may have vanished, as errors.
        #[cfg(all(target_os = "linux", not(elsewhere)))]
        impl $type {
            /// Copies bytes from `offset` on into `buf`. A page that is not there is an error, and no
            /// signal is raised.
            ///
            /// Unit: bytes of the slice. Less than `buf` holds is copied at the end of the mapping
            /// only, and 0 beyond it, also where the file goes on.
            ///
            /// The kernel does the copying, so no page of the mapping is touched by the program. After
            /// the copy the size of the file is looked at: **bytes past it are an error, never zeros**.
            /// The size is that of the file kept by [`keep_file`](crate::MmapOptions::keep_file), or of
            /// the file that now has the name under which this one was mapped or to which it was
            /// renamed. Of a file that has no name (removed, a memfd) and is not kept, only whole pages
            /// can be told to be missing: in the page that holds the new end the kernel gives zeros; so it is
            /// with a name that this user may not look up any more. A file that was cut **and has grown again** in between reads as what it is now.
            ///
            /// Costs about 1 us and the copy. The first call reads /proc/self/maps.
            ///
            /// # Errors
            /// [`Error::Vanished`]; `buf` may have been written to. [`Error::Syscall`] where seccomp
            /// forbids process_vm_readv(2), and when the size cannot be looked at just now: no descriptor
            /// is left to read /proc/self/maps with.
            ///
            /// Kernel: any. Source: process_vm_readv(2).
            pub fn read_at(&self, buf: &mut [u8], offset: usize) -> Result<usize, Error> {
                self.inner.read_at(buf, offset)
            }

            /// What is known to be wrong: bytes that the mapping had when it was made are not there any
            /// more. `None` while nothing is.
            ///
            /// It stays known once a page was replaced by zeros (see
            /// [`guard_sigbus`](crate::MmapOptions::guard_sigbus)); and it is looked whether the file is
            /// shorter now than it was, within the limits of [`read_at`](Self::read_at). So after a
            /// reader has read its bytes, `None` says that what it read was there. Of several missing bytes
            /// the first is named.
            ///
            /// Without the guard it knows of the length only. Always `None` for anonymous memory. That it
            /// cannot look just now ([`Error::Syscall`]) is an answer too.
            pub fn error(&self) -> Option<Error> {
                self.inner.error()
            }
        }
    };
}

/// What lends slices.
macro_rules! slice_methods {
    ($type:ident) => {
        /// Slices of bytes that may vanish.
        #[cfg(all(target_os = "linux", not(elsewhere)))]
        impl $type {
            /// The bytes of `range`, every page of which was just seen to be there.
            ///
            /// Unit: bytes of the slice. The pages are read and put into the page table before it
            /// returns (MADV_POPULATE_READ), and the size of the file is looked at as in
            /// [`read_at`](Self::read_at).
            ///
            /// **It says that the bytes were there when it was called.** A file that is cut later raises
            /// SIGBUS at the touch all the same, unless the mapping was made with
            /// [`guard_sigbus`](crate::MmapOptions::guard_sigbus): then zeros are read, and
            /// [`error`](Self::error) tells.
            ///
            /// # Errors
            /// [`Error::OutsideMapping`] for a range that is not inside the slice, [`Error::Vanished`]
            /// when a page of it cannot be read, [`Error::Unsupported`] before Linux 5.14.
            ///
            /// Kernel: 5.14. Source: madvise(2), MADV_POPULATE_READ.
            pub fn try_slice(&self, range: impl RangeBounds<usize>) -> Result<&[u8], Error> {
                let range = within(&range, self.len())?;
                self.inner.populate(range.clone())?;
                Ok(&self[range])
            }

            /// Runs `read` with the bytes, and answers what it answers, or an error if some of the bytes
            /// were not there.
            ///
            /// Takes the mapping under the SIGBUS guard
            /// ([`guard_sigbus`](crate::MmapOptions::guard_sigbus)) for the rest of its life. Where the
            /// file has vanished `read` sees zeros and runs on to its end; its answer is then dropped.
            /// So `read` must be content with any bytes, and what it does besides answering is done.
            ///
            /// Not run at all when [`error`](Self::error) knows something already: a file shorter than
            /// when it was mapped, a page that was replaced before.
            ///
            /// # Errors
            /// [`Error::Vanished`], within the limits of [`error`](Self::error); [`Error::Syscall`] when
            /// the guard cannot be installed: more than 4,096 mappings are under it, or another SIGBUS
            /// handler was put in its place.
            ///
            /// # Panics
            /// When `read` does.
            pub fn guarded<R>(&self, read: impl FnOnce(&[u8]) -> R) -> Result<R, Error> {
                self.inner.guard().map_err(no_guard)?;
                self.error().map_or(Ok(()), Err)?;
                let answer = read(self);
                self.error().map_or(Ok(answer), Err)
            }
        }
    };
}
