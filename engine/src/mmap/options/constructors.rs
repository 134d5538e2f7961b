#[cfg(target_os = "linux")]
use std::fs::File;
use std::io;

use memmap2::MapIfSafeError;

#[cfg(target_os = "linux")]
use crate::mmap::AppendMap;
use crate::mmap::mapping::Mapped;
use crate::mmap::origin::may_store;
use crate::mmap::{Backing, Mapping, Mmap, MmapAsRawDesc, MmapMut, MmapOptions, MmapRaw, Origin};
use crate::runtime::Access;

/// The constructors, memmap2's.
impl MmapOptions {
    /// Maps a file to be read (PROT_READ, MAP_SHARED).
    ///
    /// # Errors
    /// memmap2's: those of fstat(2) and mmap(2), such as EACCES for a file that is not open for
    /// reading; `InvalidData` when the offset lies beyond the end of the file or the length does
    /// not fit `isize`.
    ///
    /// # Safety
    /// See [`Mmap`].
    ///
    /// Source: mmap(2).
    pub unsafe fn map<T: MmapAsRawDesc>(&self, file: T) -> io::Result<Mmap> {
        // SAFETY: the same contract, passed on to the caller.
        let map = unsafe { self.plain.map(file.as_raw_desc().0) }?;
        Ok(Mmap { inner: self.start(map, &file, Backing::SharedFile, Access::ReadShared)? })
    }

    /// Maps a file to be read and executed (PROT_READ | PROT_EXEC, MAP_SHARED).
    ///
    /// # Errors
    /// As [`map`](MmapOptions::map); EPERM on a file system mounted noexec.
    ///
    /// # Safety
    /// See [`Mmap`].
    pub unsafe fn map_exec<T: MmapAsRawDesc>(&self, file: T) -> io::Result<Mmap> {
        // SAFETY: the same contract, passed on to the caller.
        let map = unsafe { self.plain.map_exec(file.as_raw_desc().0) }?;
        Ok(Mmap { inner: self.start(map, &file, Backing::SharedFile, Access::ExecShared)? })
    }

    /// Maps a file to be read and written (MAP_SHARED): stores reach the file.
    ///
    /// # Errors
    /// As [`map`](MmapOptions::map); EACCES unless the file is open for reading and writing.
    ///
    /// # Safety
    /// See [`Mmap`].
    pub unsafe fn map_mut<T: MmapAsRawDesc>(&self, file: T) -> io::Result<MmapMut> {
        // SAFETY: the same contract, passed on to the caller.
        let map = unsafe { self.plain.map_mut(file.as_raw_desc().0) }?;
        Ok(MmapMut { inner: self.start(map, &file, Backing::SharedFile, Access::WriteShared)? })
    }

    /// Grows a file at its end by stores to a mapping: see [`AppendMap`].
    ///
    /// Implies [`write_ahead`](MmapOptions::write_ahead); [`offset`](MmapOptions::offset) and
    /// [`len`](MmapOptions::len) are without effect: it goes on where the file ends. Nothing is changed
    /// before the first append. Only on Linux.
    ///
    /// # Errors
    /// Those of fstat(2); a file that is not open for reading and writing is an error of the first
    /// append.
    ///
    /// # Safety
    /// See [`Mmap`]. Besides, nobody else changes the length of the file until it is closed.
    #[cfg(target_os = "linux")]
    pub unsafe fn for_append(&self, file: File) -> io::Result<AppendMap> {
        AppendMap::open(self.clone(), file)
    }

    /// Maps a file copy-on-write (MAP_PRIVATE): stores stay in this process.
    ///
    /// # Errors
    /// As [`map`](MmapOptions::map).
    ///
    /// # Safety
    /// See [`Mmap`].
    pub unsafe fn map_copy<T: MmapAsRawDesc>(&self, file: T) -> io::Result<MmapMut> {
        // SAFETY: the same contract, passed on to the caller.
        let map = unsafe { self.plain.map_copy(file.as_raw_desc().0) }?;
        Ok(MmapMut { inner: self.start(map, &file, Backing::PrivateFile, Access::Other)? })
    }

    /// Maps a file to be read, and copied on write if it is made writable later (MAP_PRIVATE).
    ///
    /// # Errors
    /// As [`map`](MmapOptions::map).
    ///
    /// # Safety
    /// See [`Mmap`].
    pub unsafe fn map_copy_read_only<T: MmapAsRawDesc>(&self, file: T) -> io::Result<Mmap> {
        // SAFETY: the same contract, passed on to the caller.
        let map = unsafe { self.plain.map_copy_read_only(file.as_raw_desc().0) }?;
        Ok(Mmap { inner: self.start(map, &file, Backing::PrivateFile, Access::ReadPrivate)? })
    }

    /// Maps a file to be read if its bytes can neither change nor go away: a memfd sealed against
    /// writing and shrinking, or a file with fs-verity.
    ///
    /// # Errors
    /// [`MapIfSafeError`] says whether this system cannot tell, the file is not safe, or mapping it
    /// failed.
    ///
    /// Source: memfd_create(2), FS_IOC_MEASURE_VERITY in the kernel's
    /// Documentation/filesystems/fsverity.rst.
    pub fn map_if_safe<T: MmapAsRawDesc>(&self, file: T) -> Result<Mmap, MapIfSafeError> {
        let map = self.plain.map_if_safe(file.as_raw_desc().0)?;
        Ok(Mmap { inner: self.tie(map, &file, Backing::SharedFile, Access::ReadShared) })
    }

    /// Maps zeros that belong to no file. [`len`](MmapOptions::len) says how many.
    ///
    /// # Errors
    /// Those of mmap(2); `InvalidData` when the length does not fit `isize`.
    pub fn map_anon(&self) -> io::Result<MmapMut> {
        self.flags.check(Backing::Anonymous, self.ahead.mode)?;
        let map = self.memory().map_anon()?;
        self.flags.apply(&map, None, Access::Other)?;
        let origin = Origin { file_offset: 0, ..self.origin(Backing::Anonymous, Access::Other) };
        let inner = Mapping::start(map, None, Access::Other, origin);
        self.finish(&inner)?;
        Ok(MmapMut { inner })
    }

    /// Maps a file to be read and written through raw pointers (MAP_SHARED).
    ///
    /// # Errors
    /// As [`map_mut`](MmapOptions::map_mut).
    pub fn map_raw<T: MmapAsRawDesc>(&self, file: T) -> io::Result<MmapRaw> {
        let map = self.plain.map_raw(file.as_raw_desc().0)?;
        Ok(MmapRaw { inner: self.start(map, &file, Backing::SharedFile, Access::Other)? })
    }

    /// Maps a file to be read through raw pointers (PROT_READ, MAP_SHARED).
    ///
    /// Writing through [`MmapRaw::as_mut_ptr`] raises SIGSEGV.
    ///
    /// # Errors
    /// As [`map`](MmapOptions::map).
    pub fn map_raw_read_only<T: MmapAsRawDesc>(&self, file: T) -> io::Result<MmapRaw> {
        let map = self.plain.map_raw_read_only(file.as_raw_desc().0)?;
        Ok(MmapRaw { inner: self.start(map, &file, Backing::SharedFile, Access::ReadShared)? })
    }

    fn start<M: Mapped, T: MmapAsRawDesc>(
        &self,
        map: M,
        file: &T,
        backing: Backing,
        access: Access,
    ) -> io::Result<Mapping<M>> {
        self.flags.check(backing, self.ahead.mode)?;
        self.flags.apply(&map, Some((file.as_raw_desc().0, self.file_offset)), access)?;
        let mapping = self.tie(map, file, backing, access);
        self.finish(&mapping)?;
        Ok(mapping)
    }

    pub(in crate::mmap) fn tie<M: Mapped, T: MmapAsRawDesc>(
        &self,
        map: M,
        file: &T,
        backing: Backing,
        access: Access,
    ) -> Mapping<M> {
        Mapping::start(map, Some(file.as_raw_desc().0), access, self.origin(backing, access))
    }

    fn origin(&self, backing: Backing, access: Access) -> Origin {
        Origin {
            backing,
            file_offset: self.file_offset,
            has_own_len: self.own_len.is_some(),
            was_writable: may_store(access),
            ahead: self.ahead.clone(),
        }
    }
}
