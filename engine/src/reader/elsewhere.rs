//! Where there is no Linux: no direct reads.

use std::fs::File;
use std::sync::Arc;

/// As in `direct`.
#[derive(Debug)]
#[allow(dead_code)]
pub(super) enum How {
    Lent,
    Pread,
    PreadOf(Arc<File>, u64),
}

#[derive(Debug, Default)]
pub(super) struct Direct;

impl Direct {
    pub(super) fn may_begin(&self, _run: u64, _offset: u64) -> bool {
        false
    }

    pub(super) fn begin(&mut self, _file: &File, _offset: u64) {}

    pub(super) fn how(&mut self, _offset: u64) -> How {
        How::Pread
    }

    pub(super) fn lent(&self, _offset: u64) -> &[u8] {
        &[]
    }

    pub(super) fn doubt(&mut self) {}
}
