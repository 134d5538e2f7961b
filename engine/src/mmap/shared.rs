//! What [`Mmap`](crate::Mmap), [`MmapMut`](crate::MmapMut) and [`MmapRaw`](crate::MmapRaw) can all
//! do, written once.

/// memmap2's calls that say how the memory is used: advise, lock, remap.
macro_rules! advice_methods {
    ($type:ident) => {
        impl $type {
            /// Tells the kernel how the whole mapping will be used.
            ///
            /// [`Advice::Random`] also stops reading ahead for this mapping; [`Advice::Normal`] and
            /// [`Advice::Sequential`] let it go on.
            ///
            /// # Errors
            /// Those of madvise(2); the engine takes no notice of refused advice.
            ///
            /// Source: madvise(2).
            pub fn advise(&self, advice: Advice) -> io::Result<()> {
                let map = self.inner.map();
                map.advise(advice)?;
                self.inner.advised(advice, 0, map.len());
                Ok(())
            }

            /// Tells the kernel how the whole mapping will be used, with advice that can change
            /// what the memory holds.
            ///
            /// # Errors
            /// Those of madvise(2).
            ///
            /// # Safety
            /// What [`UncheckedAdvice`] says of the value.
            ///
            /// Source: madvise(2).
            pub unsafe fn unchecked_advise(&self, advice: UncheckedAdvice) -> io::Result<()> {
                // SAFETY: the same contract, passed on to the caller.
                unsafe { self.inner.map().unchecked_advise(advice) }
            }

            /// Tells the kernel how `len` bytes from `offset` on will be used.
            ///
            /// Unit: bytes of the slice. `offset` need not be page-aligned: the page that holds it
            /// is advised as a whole. On all of the mapping it is the same as
            /// [`advise`](Self::advise).
            ///
            /// # Errors
            /// `InvalidInput` when `offset` or `len` is larger than the mapping; those of
            /// madvise(2).
            ///
            /// Source: madvise(2).
            pub fn advise_range(
                &self,
                advice: Advice,
                offset: usize,
                len: usize,
            ) -> io::Result<()> {
                self.inner.map().advise_range(advice, offset, len)?;
                self.inner.advised(advice, offset, len);
                Ok(())
            }

            /// [`unchecked_advise`](Self::unchecked_advise) for `len` bytes from `offset` on.
            ///
            /// Unit: bytes of the slice, rounded as in [`advise_range`](Self::advise_range).
            ///
            /// # Errors
            /// As [`advise_range`](Self::advise_range).
            ///
            /// # Safety
            /// What [`UncheckedAdvice`] says of the value, for every page that the range touches.
            ///
            /// Source: madvise(2).
            pub unsafe fn unchecked_advise_range(
                &self,
                advice: UncheckedAdvice,
                offset: usize,
                len: usize,
            ) -> io::Result<()> {
                // SAFETY: the same contract, passed on to the caller.
                unsafe { self.inner.map().unchecked_advise_range(advice, offset, len) }
            }

            /// Locks the whole mapping into memory.
            ///
            /// # Errors
            /// Those of mlock(2). In [`Mode::Guard`](crate::Mode::Guard) also ENOMEM while a window
            /// is closed.
            ///
            /// Source: mlock(2).
            pub fn lock(&self) -> io::Result<()> {
                self.inner.follow().advised();
                self.inner.map().lock()
            }

            /// Undoes [`lock`](Self::lock).
            ///
            /// # Errors
            /// Those of munlock(2).
            ///
            /// Source: munlock(2).
            pub fn unlock(&self) -> io::Result<()> {
                self.inner.map().unlock()
            }

            /// Makes the mapping `new_len` bytes long, in place unless `options` let it move.
            ///
            /// Waits until no prefetch of this mapping is in flight, and follows the mapping anew
            /// afterwards, also when the kernel refused. Only on Linux.
            ///
            /// Default: [`RemapOptions::new`] keeps the address. A file kept by
            /// [`keep_file`](crate::MmapOptions::keep_file) is closed.
            ///
            /// # Errors
            /// Those of mremap(2); the mapping is then as it was.
            ///
            /// # Safety
            /// Beyond the end of the file there is nothing to read: touching it raises SIGBUS.
            ///
            /// Source: mremap(2).
            #[cfg(target_os = "linux")]
            pub unsafe fn remap(
                &mut self,
                new_len: usize,
                options: RemapOptions,
            ) -> io::Result<()> {
                self.inner.resize(|map, _| {
                    // SAFETY: the same contract, passed on to the caller.
                    unsafe { map.remap(new_len, options) }
                })
            }
        }
    };
}

/// What memmap2 does not have.
macro_rules! ahead_methods {
    ($type:ty) => {
        impl $type {
            /// Has `range` read into memory and into the page table (a writable mapping: into memory
            /// only), in the background.
            ///
            /// Unit: bytes of the slice; half-open or not, as the range is written. Never blocks
            /// and never fails. What lies beyond the end is ignored; at most the
            /// [`budget`](crate::MmapOptions::budget) is fetched.
            ///
            /// The handle tells how far it got and can cancel it; dropping the handle lets it run.
            /// Without effect on anonymous memory, with [`Mode::Off`](crate::Mode::Off) and with
            /// `MMAP_AHEAD=off` in the environment.
            ///
            /// Kernel: 5.14 for MADV_POPULATE_READ; before that only the page cache is filled.
            pub fn prefetch(&self, range: impl RangeBounds<usize>) -> Prefetch {
                let range = clip(&range, self.inner.map().len());
                self.inner.follow().prefetch(std::slice::from_ref(&range))
            }

            /// [`prefetch`](Self::prefetch) of many ranges at once, in the order given.
            ///
            /// Unit: bytes of the slice, half-open. Parts beyond the end are ignored, and so are
            /// empty ranges. Cheaper than one call a range: a batch is one job with one handle.
            pub fn prefetch_many(&self, ranges: &[Range<usize>]) -> Prefetch {
                self.inner.follow().prefetch(&clip_many(ranges, self.inner.map().len()))
            }

            /// Whether `range` is in the page cache.
            ///
            /// Unit: bytes of the slice; every page that the range touches counts. Parts beyond the
            /// end are ignored. The answer may be out of date when it arrives, and is
            /// [`Residency::Unknown`] where the kernel does not tell, on writable mappings, and
            /// once the mapping has changed its protection or length.
            ///
            /// Source: mincore(2).
            pub fn residency(&self, range: impl RangeBounds<usize>) -> Residency {
                self.inner.follow().residency(clip(&range, self.inner.map().len()))
            }

            /// Stops reading ahead until [`resume`](Self::resume).
            ///
            /// What is in flight ends by itself. Explicit prefetches still work. Calls do not nest.
            pub fn pause(&self) {
                self.inner.follow().pause();
            }

            /// Undoes [`pause`](Self::pause).
            pub fn resume(&self) {
                self.inner.follow().resume();
            }

            /// What was done for this mapping until now.
            ///
            /// The counters start anew when the mapping changes its protection or length.
            pub fn stats(&self) -> Stats {
                self.inner.follow().stats()
            }
        }
    };
}

/// memmap2's calls that write stores back to the file.
macro_rules! flush_methods {
    ($type:ident) => {
        impl $type {
            /// Writes what was stored to the disk, and waits for it.
            ///
            /// # Errors
            /// Those of msync(2).
            ///
            /// Source: msync(2), MS_SYNC.
            pub fn flush(&self) -> io::Result<()> {
                self.inner.map().flush()
            }

            /// Starts to write what was stored to the disk.
            ///
            /// Without effect on Linux, where the kernel keeps track of stores by itself.
            ///
            /// # Errors
            /// Those of msync(2).
            ///
            /// Source: msync(2), MS_ASYNC.
            pub fn flush_async(&self) -> io::Result<()> {
                self.inner.map().flush_async()
            }

            /// [`flush`](Self::flush) for `len` bytes from `offset` on.
            ///
            /// Unit: bytes of the slice; whole pages are written.
            ///
            /// # Errors
            /// `InvalidInput` when the range is not inside the mapping; those of msync(2).
            ///
            /// Source: msync(2), MS_SYNC.
            pub fn flush_range(&self, offset: usize, len: usize) -> io::Result<()> {
                self.inner.map().flush_range(offset, len)
            }

            /// [`flush_async`](Self::flush_async) for `len` bytes from `offset` on.
            ///
            /// Unit: bytes of the slice; whole pages are written.
            ///
            /// # Errors
            /// As [`flush_range`](Self::flush_range).
            ///
            /// Source: msync(2), MS_ASYNC.
            pub fn flush_async_range(&self, offset: usize, len: usize) -> io::Result<()> {
                self.inner.map().flush_async_range(offset, len)
            }
        }
    };
}
