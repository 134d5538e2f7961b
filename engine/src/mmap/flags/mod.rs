use std::io;
use std::os::fd::RawFd;

use super::mapping::Mapped;
use super::origin::Backing;
use super::{Mapping, MmapAsRawDesc, MmapAt, MmapOptions};
use crate::Mode;
use crate::runtime::Access;
use crate::sys::{self, Area, Request, Span};

/// The flags of mmap(2) that were asked for. memmap2 keeps its own copy of the first four to itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    pub(super) populate: bool,
    pub(super) no_reserve: bool,
    pub(super) stack: bool,
    pub(super) huge: bool,
    shared: bool,
    sync: bool,
    locked: bool,
}

/// Flags of mmap(2) that memmap2 does not have. Only on Linux.
impl MmapOptions {
    /// Shares anonymous memory with the children that are forked later (MAP_SHARED in place of
    /// MAP_PRIVATE): what one stores, all see.
    ///
    /// Default: not. Without effect on mappings of files, where the constructor says which it is. Not
    /// together with [`huge`](MmapOptions::huge).
    ///
    /// Source: mmap(2).
    pub fn shared(&mut self) -> &mut Self {
        self.flags.shared = true;
        self
    }

    /// Has stores to persistent memory survive a crash as soon as they left the processor's caches
    /// (MAP_SHARED_VALIDATE | MAP_SYNC): no flush of the file's own metadata is needed any more.
    ///
    /// Default: not. The file must lie on a file system mounted with DAX; anywhere else the constructors
    /// fail with EOPNOTSUPP, and nothing less is mapped in its place. Only for shared mappings of files.
    ///
    /// Kernel: 4.15. Source: mmap(2); Documentation/filesystems/dax.rst.
    pub fn sync(&mut self) -> &mut Self {
        self.flags.sync = true;
        self
    }

    /// Locks all of the mapping into memory before the constructor returns. What
    /// [`Mmap::lock`](crate::Mmap::lock) does, at once.
    ///
    /// Done by mlock(2) and not by MAP_LOCKED, which does not say when it fails. Default: not. Not
    /// together with [`Mode::Guard`], whose closed pages cannot be locked. Constructors fail with ENOMEM
    /// or EAGAIN beyond RLIMIT_MEMLOCK, and with EPERM when that is 0.
    ///
    /// Source: mlock(2).
    pub fn locked(&mut self) -> &mut Self {
        self.flags.locked = true;
        self
    }

    /// Maps a file to be read and written at the address `addr` exactly (MAP_FIXED_NOREPLACE,
    /// MAP_SHARED): see [`MmapAt`].
    ///
    /// `addr` is where the page of the first byte goes, a multiple of the page size; the first byte
    /// lies behind it as far as [`offset`](MmapOptions::offset) lies behind the start of its page.
    ///
    /// # Errors
    /// EEXIST where anything is mapped there: nothing is replaced. EINVAL for an address that is not on
    /// a page, EPERM below vm.mmap_min_addr; `InvalidData` when the offset lies beyond the end of the
    /// file, `InvalidInput` for an empty mapping; otherwise as [`map_raw`](MmapOptions::map_raw).
    ///
    /// Kernel: 4.17 for MAP_FIXED_NOREPLACE; before, EEXIST also where the kernel chose another address.
    /// Source: mmap(2).
    pub fn map_at<T: MmapAsRawDesc>(&self, file: T, addr: usize) -> io::Result<MmapAt> {
        self.place(&file, addr, libc::PROT_READ | libc::PROT_WRITE, Access::WriteShared)
    }

    /// [`map_at`](MmapOptions::map_at) to be read (PROT_READ), and read ahead.
    ///
    /// # Errors
    /// As [`map_at`](MmapOptions::map_at).
    pub fn map_at_read_only<T: MmapAsRawDesc>(&self, file: T, addr: usize) -> io::Result<MmapAt> {
        self.place(&file, addr, libc::PROT_READ, Access::ReadShared)
    }

    fn place<T: MmapAsRawDesc>(
        &self,
        file: &T,
        addr: usize,
        prot: i32,
        access: Access,
    ) -> io::Result<MmapAt> {
        self.flags.check(Backing::SharedFile, self.ahead.mode)?;
        let descriptor = file.as_raw_desc().0;
        let len = self.len_of(descriptor)?;
        let lead = (self.file_offset % sys::page_size().bytes()) as usize;
        let request = Request {
            len: len.checked_add(lead).ok_or(io::ErrorKind::InvalidData)?,
            prot,
            flags: self.flags.for_file(),
            file: descriptor,
            offset: self.file_offset - lead as u64,
        };
        let placed = Placed { area: Area::map(request, Some(addr))?, lead, len };
        let mapping = self.tie(placed, file, Backing::SharedFile, access);
        self.finish(&mapping)?;
        Ok(MmapAt { inner: mapping })
    }

    fn len_of(&self, file: RawFd) -> io::Result<usize> {
        let rest = match self.own_len {
            Some(len) => len as u64,
            None => {
                let len = sys::regular_len(file).unwrap_or(0);
                len.checked_sub(self.file_offset).ok_or(io::ErrorKind::InvalidData)?
            }
        };
        let fits = isize::try_from(rest).map_err(|_| io::ErrorKind::InvalidData)?;
        if fits == 0 { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(fits as usize) }
    }
}

/// What [`MmapAt`] holds.
pub(super) struct Placed {
    pub(super) area: Area,
    /// How far the first byte lies behind the start of its page.
    pub(super) lead: usize,
    pub(super) len: usize,
}

impl Mapped for Placed {
    fn addr(&self) -> usize {
        self.area.addr() + self.lead
    }
    fn len(&self) -> usize {
        self.len
    }
}

impl Flags {
    /// Refuses what does not go together.
    pub(super) fn check(self, backing: Backing, mode: Mode) -> io::Result<()> {
        let why = if self.sync && backing != Backing::SharedFile {
            "`sync` is for shared mappings of files"
        } else if self.shared && self.huge && backing == Backing::Anonymous {
            "`shared` and `huge` do not go together: map a memfd made with MFD_HUGETLB"
        } else if self.locked && mode == Mode::Guard && backing != Backing::Anonymous {
            "`locked` and `Mode::Guard` do not go together: closed pages cannot be locked"
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, why))
    }

    /// Gives a mapping that memmap2 just made, and nobody has seen yet, the flags that memmap2 does not
    /// have: one that has them takes its place.
    pub(super) fn apply<M: Mapped>(
        self,
        map: &M,
        file: Option<(RawFd, u64)>,
        access: Access,
    ) -> io::Result<()> {
        let flags = match file {
            Some(_) if self.sync => self.for_file(),
            None if self.shared => self.for_shared_memory(),
            _ => return Ok(()),
        };
        let page = sys::page_size().bytes() as usize;
        let lead = map.addr() % page;
        let len = (map.len() + lead).max(1);
        let (file, offset) = file.map_or((-1, 0), |(file, at)| (file, at - lead as u64));
        let area = Area::map(Request { len, prot: prot(access), flags, file, offset }, None)?;
        let target = Span { addr: map.addr() - lead, len };
        sys::replace_fresh(area, target)
    }

    fn for_file(self) -> i32 {
        let kind =
            if self.sync { libc::MAP_SHARED_VALIDATE | libc::MAP_SYNC } else { libc::MAP_SHARED };
        kind | self.common()
    }

    fn for_shared_memory(self) -> i32 {
        let stack = if self.stack { libc::MAP_STACK } else { 0 };
        libc::MAP_SHARED | libc::MAP_ANONYMOUS | stack | self.common()
    }

    fn common(self) -> i32 {
        let populate = if self.populate { libc::MAP_POPULATE } else { 0 };
        populate | if self.no_reserve { libc::MAP_NORESERVE } else { 0 }
    }
}

/// How memmap2 protects what the runtime sees as `access`.
fn prot(access: Access) -> i32 {
    match access {
        Access::ReadShared | Access::ReadPrivate => libc::PROT_READ,
        Access::ExecShared => libc::PROT_READ | libc::PROT_EXEC,
        Access::WriteShared | Access::Other => libc::PROT_READ | libc::PROT_WRITE,
    }
}

impl MmapOptions {
    /// How memmap2 is to make anonymous memory: what is replaced next needs nothing but its length.
    pub(super) fn memory(&self) -> memmap2::MmapOptions {
        if !self.flags.shared {
            return self.plain.clone();
        }
        let mut plain = memmap2::MmapOptions::new();
        plain.no_reserve_swap().len(self.own_len.unwrap_or(0));
        plain
    }

    /// The last steps of every constructor: what may fail, and what was asked for of the whole mapping.
    pub(super) fn finish<M: Mapped>(&self, mapping: &Mapping<M>) -> io::Result<()> {
        if self.flags.locked {
            mapping.follow().advised();
            sys::lock(mapping.pages())?;
        }
        if self.ahead.guard_sigbus { mapping.guard() } else { Ok(()) }
    }
}
