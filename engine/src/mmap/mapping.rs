//! A memmap2 mapping, its ties to the runtime and to who notices stores, and the order in which they end.

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
#[cfg(all(target_os = "linux", not(elsewhere)))]
use std::ops::Range;
use std::os::fd::RawFd;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use memmap2::Advice;

use super::origin::{Backing, Origin, may_store};
use super::{Extent, Presence};
#[cfg(all(target_os = "linux", not(elsewhere)))]
use crate::Error;
use crate::dirty::Tied;
use crate::runtime::{Access, Follow, Region};
#[cfg(all(target_os = "linux", not(elsewhere)))]
use crate::sys::Span;

/// What [`Mapping`] needs to know of memmap2's three types.
pub(super) trait Mapped: Send + 'static {
    fn addr(&self) -> usize;
    fn len(&self) -> usize;
}

impl Mapped for memmap2::Mmap {
    fn addr(&self) -> usize {
        self.as_ptr() as usize
    }
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }
}

impl Mapped for memmap2::MmapMut {
    fn addr(&self) -> usize {
        self.as_ptr() as usize
    }
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }
}

impl Mapped for memmap2::MmapRaw {
    fn addr(&self) -> usize {
        self.as_ptr() as usize
    }
    fn len(&self) -> usize {
        self.len()
    }
}

/// A mapping that is followed: the ties end first, then the memory is unmapped.
pub(super) struct Mapping<M: Mapped> {
    parts: ManuallyDrop<Parts<M>>,
}

struct Parts<M> {
    map: M,
    /// Changed only under `&mut self` or by the runtime's own synchronised calls, none of which
    /// runs the caller's code: a panic cannot leave it half changed.
    follow: AssertUnwindSafe<Follow>,
    /// As `follow`.
    tied: AssertUnwindSafe<Tied>,
    access: Access,
    origin: Origin,
    /// Changed under `&mut self` or by its own synchronised calls, as `follow`.
    presence: AssertUnwindSafe<Presence>,
}

impl<M: Mapped> Mapping<M> {
    /// Ties a fresh mapping to the runtime. `file` is looked at during this call only, unless the
    /// options say `keep_file`.
    pub(super) fn start(map: M, file: Option<RawFd>, access: Access, origin: Origin) -> Mapping<M> {
        let presence = Presence::new(file, extent(&map, &origin), &origin);
        let is_kept = access == Access::WriteShared && origin.ahead.keep_file;
        let tied = Tied::keeping(presence.kept().filter(|_| is_kept));
        Mapping::tie(map, file, access, origin, (presence, tied))
    }

    fn tie(
        map: M,
        file: Option<RawFd>,
        access: Access,
        origin: Origin,
        (presence, tied): (Presence, Tied),
    ) -> Mapping<M> {
        let kept = presence.kept().filter(|_| file.is_some());
        let follow = AssertUnwindSafe(follow(&map, file, kept, access, &origin));
        let (presence, tied) = (AssertUnwindSafe(presence), AssertUnwindSafe(tied));
        Mapping { parts: ManuallyDrop::new(Parts { map, follow, tied, access, origin, presence }) }
    }

    #[inline]
    pub(super) fn map(&self) -> &M {
        &self.parts.map
    }

    #[inline]
    pub(super) fn map_mut(&mut self) -> &mut M {
        &mut self.parts.map
    }

    pub(super) fn follow(&self) -> &Follow {
        &self.parts.follow
    }

    #[cfg(all(target_os = "linux", not(elsewhere)))]
    pub(super) fn origin(&self) -> &Origin {
        &self.parts.origin
    }

    #[cfg(all(target_os = "linux", not(elsewhere)))]
    pub(super) fn tied(&self) -> &Tied {
        &self.parts.tied
    }

    /// The memory, and what notices stores to it.
    #[cfg(all(target_os = "linux", not(elsewhere)))]
    pub(super) fn map_and_tied(&mut self) -> (&M, &mut Tied) {
        let parts = &mut *self.parts;
        (&parts.map, &mut parts.tied)
    }

    /// Tells the runtime of advice that the kernel took for `len` bytes from `offset` on.
    pub(super) fn advised(&self, advice: Advice, offset: usize, len: usize) {
        if !matches!(advice, Advice::WillNeed | Advice::PopulateRead | Advice::PopulateWrite) {
            self.follow().advised();
        }
        if offset != 0 || len != self.map().len() {
            return;
        }
        match advice {
            Advice::Random => self.follow().advised_random(true),
            Advice::Normal | Advice::Sequential => self.follow().advised_random(false),
            _ => {}
        }
    }

    /// The same memory as another of memmap2's types; the tie is untouched.
    pub(super) fn retype<N: Mapped>(self, retype: impl FnOnce(M) -> N) -> Mapping<N> {
        let Parts { map, follow, tied, access, origin, presence } = self.into_parts();
        let map = retype(map);
        Mapping { parts: ManuallyDrop::new(Parts { map, follow, tied, access, origin, presence }) }
    }

    /// Changes the protection: nothing is in flight meanwhile, and it is followed anew as `access`.
    /// When `change` fails, the mapping is gone, as with memmap2.
    pub(super) fn protect<N: Mapped>(
        self,
        access: impl FnOnce(&Origin) -> Access,
        change: impl FnOnce(M) -> io::Result<N>,
    ) -> io::Result<Mapping<N>> {
        let Parts { map, mut follow, mut tied, access: _, origin, presence } = self.into_parts();
        let AssertUnwindSafe(mut presence) = presence;
        follow.settle();
        tied.end();
        presence.suspend();
        let map = change(map)?;
        let access = access(&origin);
        let origin = Origin { was_writable: origin.was_writable || may_store(access), ..origin };
        presence.resume(extent(&map, &origin), access);
        Ok(Mapping::tie(map, None, access, origin, (presence, Tied::keeping(None))))
    }

    /// Changes address or length: nothing is in flight meanwhile, and the mapping is followed anew,
    /// also when `change` failed.
    #[cfg(target_os = "linux")]
    pub(super) fn resize(
        &mut self,
        change: impl FnOnce(&mut M, &Tied) -> io::Result<()>,
    ) -> io::Result<()> {
        let parts = &mut *self.parts;
        parts.follow.settle();
        parts.tied.settle();
        parts.presence.suspend();
        let result = change(&mut parts.map, &parts.tied);
        parts.presence.resume(extent(&parts.map, &parts.origin), parts.access);
        parts.tied.resume(parts.map.addr(), parts.map.len());
        *parts.follow = follow(&parts.map, None, None, parts.access, &parts.origin);
        result
    }

    /// Takes the mapping under the SIGBUS guard.
    pub(super) fn guard(&self) -> io::Result<()> {
        self.parts.presence.guard(self.extent(), self.parts.access)
    }

    /// All of it, whole pages.
    #[cfg(all(target_os = "linux", not(elsewhere)))]
    pub(super) fn pages(&self) -> Span {
        self.extent().pages(0..self.map().len())
    }

    fn extent(&self) -> Extent {
        extent(&self.parts.map, &self.parts.origin)
    }

    fn into_parts(self) -> Parts<M> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is never dropped nor used again, so the parts are taken once.
        unsafe { ManuallyDrop::take(&mut this.parts) }
    }
}

#[cfg(all(target_os = "linux", not(elsewhere)))]
impl Mapping<memmap2::Mmap> {
    /// The descriptor that is kept, if one is.
    pub(super) fn kept(&self) -> Option<Arc<File>> {
        self.parts.presence.kept()
    }

    /// Ties `map`, the same bytes at other addresses, to the runtime, with a stream state of its own.
    ///
    /// # Errors
    /// Those of the SIGBUS guard, if this mapping is under it.
    pub(super) fn beside<N: Mapped>(&self, map: N) -> io::Result<Mapping<N>> {
        let origin = self.parts.origin.clone();
        let access = origin.access_read_only();
        let (addr, len, file_offset) = (map.addr(), map.len(), origin.file_offset);
        let region = Region { addr, len, file_offset, access };
        let kept = self.kept();
        let follow = self.follow().beside(region, kept.as_ref(), &origin.ahead);
        let presence = AssertUnwindSafe(self.parts.presence.beside());
        let (follow, tied) = (AssertUnwindSafe(follow), AssertUnwindSafe(Tied::keeping(None)));
        let parts = Parts { map, follow, tied, access, origin, presence };
        let mapping = Mapping { parts: ManuallyDrop::new(parts) };
        if self.parts.presence.is_guarded() {
            mapping.guard()?;
        }
        Ok(mapping)
    }
}

impl<M: Mapped> Drop for Mapping<M> {
    fn drop(&mut self) {
        // SAFETY: drop runs once, `into_parts` keeps it from running, and nothing follows it.
        let parts = unsafe { ManuallyDrop::take(&mut self.parts) };
        let Parts { map, follow: AssertUnwindSafe(follow), mut tied, presence, .. } = parts;
        tied.end();
        follow.release(move || {
            // No page is replaced any more when the addresses become somebody else's.
            drop(presence);
            drop(map);
        });
    }
}

/// What is known of vanished pages.
#[cfg(all(target_os = "linux", not(elsewhere)))]
impl<M: Mapped> Mapping<M> {
    /// See `Presence::error`.
    pub(super) fn error(&self) -> Option<Error> {
        self.parts.presence.error(self.extent())
    }

    /// See `Mmap::read_at`.
    pub(super) fn read_at(&self, buf: &mut [u8], offset: usize) -> Result<usize, Error> {
        let len = buf.len().min(self.map().len().saturating_sub(offset));
        if len > 0 {
            let range = offset..offset + len;
            self.open(&range)?;
            self.parts.presence.copy_out(self.extent(), range, &mut buf[..len])?;
        }
        Ok(len)
    }

    /// See `Presence::populate`; the range is inside the slice.
    pub(super) fn populate(&self, range: Range<usize>) -> Result<(), Error> {
        self.open(&range)?;
        self.parts.presence.populate(self.extent(), range)
    }

    /// To the kernel a page that Mode::Guard closed is as good as gone.
    fn open(&self, range: &Range<usize>) -> Result<(), Error> {
        let opened = self.follow().open(range.clone());
        opened.map_err(|source| Error::Syscall { call: "mprotect", source })
    }
}

fn extent<M: Mapped>(map: &M, origin: &Origin) -> Extent {
    Extent { addr: map.addr(), len: map.len(), file_offset: origin.file_offset }
}

fn follow<M: Mapped>(
    map: &M,
    file: Option<RawFd>,
    kept: Option<Arc<File>>,
    access: Access,
    origin: &Origin,
) -> Follow {
    if origin.backing == Backing::Anonymous {
        return Follow::inert();
    }
    let file_offset = origin.file_offset;
    let region = Region { addr: map.addr(), len: map.len(), file_offset, access };
    Follow::start(region, file, kept.as_ref(), &origin.ahead)
}
