use std::io;

use super::{Fetch, Read};
use crate::residency::Residency;
use crate::sys::{self, Span};

/// MADV_POPULATE_WRITE: pages are there, and may be stored to, before the store. The disk is left to
/// the kernel: most of what is written ahead is holes.
#[derive(Debug)]
pub(crate) struct ForStores;

impl Fetch for ForStores {
    fn to_read(&mut self, _span: Span) -> Read {
        Read::Left
    }

    fn start(&mut self, _spans: &[Span]) -> io::Result<usize> {
        Ok(0)
    }

    fn map(&mut self, span: Span) -> io::Result<()> {
        sys::populate_for_stores(span)
    }

    fn leaves(&mut self, _span: Span) -> bool {
        false
    }

    fn residency(&self, _span: Span) -> Residency {
        Residency::Unknown
    }
}
