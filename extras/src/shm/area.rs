//! A file of shared memory: making one, opening it once more, mapping it.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::Ordering;

use mmap_ahead::lab::{SharedMemory, is_locked_by_others, try_lock};
use rustix::fs::{MemfdFlags, SealFlags};

use super::ShmError;
use super::layout::MAGIC_AT;
use crate::space::take_space;

/// One open of the file and its mapping. A lock taken through it is gone when it is dropped, or when
/// the process ends.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) memory: SharedMemory,
    file: File,
    is_guarded: bool,
}

impl Area {
    /// Makes a file at `path`, for its owner only. It must not exist.
    pub(super) fn create(path: &Path, len: usize) -> Result<Area, ShmError> {
        let mut options = File::options();
        let options = options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.open(path).map_err(ShmError::of("open"))?;
        // A full disk is an error now, and no SIGBUS at some store.
        let taken = take_space(&file, len as u64).map_err(ShmError::of("fallocate"));
        taken.and_then(|()| Area::sized(file, len)).inspect_err(|_| {
            // Half made, it is of no use to anybody.
            let _ = std::fs::remove_file(path);
        })
    }

    /// Makes a file without a name, whose length nobody can change.
    pub(super) fn anonymous(len: usize) -> Result<Area, ShmError> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = rustix::fs::memfd_create("mmap-ahead-shm", flags);
        let area = Area::sized(file.map_err(ShmError::of("memfd_create"))?.into(), len)?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        let sealed = rustix::fs::fcntl_add_seals(&area.file, seals);
        sealed.map_err(ShmError::of("fcntl(F_ADD_SEALS)"))?;
        Ok(area)
    }

    fn sized(file: File, len: usize) -> Result<Area, ShmError> {
        file.set_len(len as u64).map_err(ShmError::of("ftruncate"))?;
        Area::of(file, len)
    }

    /// Opens what somebody made at `path`.
    pub(super) fn open(path: &Path) -> Result<Area, ShmError> {
        let mut options = File::options();
        // Not a pipe or a device, which might block; `of` looks at what it is.
        let options = options.read(true).write(true).custom_flags(O_NONBLOCK);
        let file = options.open(path).map_err(ShmError::of("open"))?;
        let facts = file.metadata().map_err(ShmError::of("fstat"))?;
        if !facts.is_file() {
            return Err(ShmError::NotOurs { why: "it is no regular file" });
        }
        let len = usize::try_from(facts.len()).unwrap_or(usize::MAX);
        if len < super::layout::HEADER_LEN {
            return Err(ShmError::NotOurs { why: "it is too short" });
        }
        Area::of(file, len)
    }

    /// The same file, opened and mapped once more: its locks are somebody else's.
    pub(super) fn again(&self) -> Result<Area, ShmError> {
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let file = File::options().read(true).write(true).open(path);
        let file = file.map_err(ShmError::of("open of /proc/self/fd"))?;
        let mut again = Area::of(file, self.memory.len())?;
        if self.is_guarded {
            again.guard_sigbus()?;
        }
        Ok(again)
    }

    fn of(file: File, len: usize) -> Result<Area, ShmError> {
        let memory = SharedMemory::map(&file, len).map_err(ShmError::of("mmap"))?;
        Ok(Area { memory, file, is_guarded: false })
    }

    /// A file that is cut short is an error of [`whole`](Area::whole) from here on, no signal.
    pub(super) fn guard_sigbus(&mut self) -> Result<(), ShmError> {
        self.memory.guard_sigbus().map_err(ShmError::of("sigaction(SIGBUS)"))?;
        self.is_guarded = true;
        Ok(())
    }

    /// An error when what was read just now may be zeros in place of what is not there any more.
    pub(super) fn whole(&self) -> Result<(), ShmError> {
        if self.memory.is_whole() { Ok(()) } else { Err(ShmError::CutShort) }
    }

    /// Writes `magic`, after everything else of the header.
    pub(super) fn publish(&self, magic: u64) {
        self.memory.word64(MAGIC_AT).store(magic, Ordering::Release);
    }

    /// Whether `magic` is there: only then the rest of the header means anything.
    pub(super) fn check(&self, magic: u64) -> Result<(), ShmError> {
        match self.memory.word64(MAGIC_AT).load(Ordering::Acquire) {
            found if found == magic => Ok(()),
            0 => Err(ShmError::NotOurs { why: "nobody has made it yet" }),
            _ => Err(ShmError::NotOurs { why: "it begins with something else" }),
        }
    }

    /// Takes the lock that says that whoever has this area open is alive.
    pub(super) fn lock(&self, byte: u64, role: &'static str) -> Result<(), ShmError> {
        match try_lock(&self.file, byte).map_err(ShmError::of("fcntl(F_OFD_SETLK)"))? {
            true => Ok(()),
            false => Err(ShmError::Taken { role }),
        }
    }

    /// Whether somebody else holds that lock.
    pub(super) fn is_alive(&self, byte: u64) -> Result<bool, ShmError> {
        is_locked_by_others(&self.file, byte).map_err(ShmError::of("fcntl(F_OFD_GETLK)"))
    }
}

/// `O_NONBLOCK`, as std wants it.
const O_NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;
