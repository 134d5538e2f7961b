//! Where there is no Linux: memmap2's flags, which memmap2 takes care of.

use std::io;
use std::os::fd::RawFd;

use super::mapping::Mapped;
use super::origin::Backing;
use super::{Mapping, MmapOptions};
use crate::Mode;
use crate::runtime::Access;

/// As on Linux.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    pub(super) populate: bool,
    pub(super) no_reserve: bool,
    pub(super) stack: bool,
    pub(super) huge: bool,
}

impl Flags {
    pub(super) fn check(self, _backing: Backing, _mode: Mode) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn apply<M: Mapped>(
        self,
        _map: &M,
        _file: Option<(RawFd, u64)>,
        _access: Access,
    ) -> io::Result<()> {
        Ok(())
    }
}

impl MmapOptions {
    pub(super) fn memory(&self) -> memmap2::MmapOptions {
        self.plain.clone()
    }

    pub(super) fn finish<M: Mapped>(&self, mapping: &Mapping<M>) -> io::Result<()> {
        if self.ahead.guard_sigbus { mapping.guard() } else { Ok(()) }
    }
}
