//! Where there is no Linux: no store is noticed.

use std::fs::File;
use std::sync::Arc;

/// Nothing.
#[derive(Debug)]
pub(crate) struct Tied;

#[allow(dead_code, reason = "where mappings cannot change their length, either")]
impl Tied {
    pub(crate) fn keeping(_file: Option<Arc<File>>) -> Tied {
        Tied
    }

    pub(crate) fn settle(&mut self) {}

    pub(crate) fn resume(&mut self, _addr: usize, _len: usize) {}

    pub(crate) fn end(&mut self) {}
}
