//! Where there is no Linux: nobody looks whether a mapping's bytes are still there.

use std::fs::File;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use super::origin::Origin;
use crate::runtime::Access;

/// As on Linux; knows nothing.
#[derive(Debug)]
pub(super) struct Presence;

/// As on Linux.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code)]
pub(super) struct Extent {
    pub(super) addr: usize,
    pub(super) len: usize,
    pub(super) file_offset: u64,
}

impl Presence {
    pub(super) fn new(_file: Option<RawFd>, _extent: Extent, _origin: &Origin) -> Presence {
        Presence
    }

    pub(super) fn kept(&self) -> Option<Arc<File>> {
        None
    }

    pub(super) fn guard(&self, _extent: Extent, _access: Access) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn suspend(&mut self) {}

    pub(super) fn resume(&mut self, _extent: Extent, _access: Access) {}
}
