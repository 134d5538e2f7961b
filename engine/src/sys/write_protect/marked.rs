//! No handler at all: the kernel lifts the protection at the first store, and the page table remembers it.

use std::io;
use std::ops::Range;

use super::protector::{
    FEATURE_WP_ASYNC, FEATURE_WP_HUGETLBFS_SHMEM, FEATURE_WP_UNPOPULATED, Protector,
};
use crate::sys::{Pagemap, Span, page_size};

/// On every kind of mapping, of any file system: with WP_ASYNC alone the kernel asks for no more
/// (include/linux/userfaultfd_k.h, vma_can_userfault).
#[derive(Debug)]
pub(crate) struct Marked {
    protector: Protector,
    pagemap: Pagemap,
}

impl Marked {
    pub(super) fn start(span: Span) -> io::Result<Marked> {
        let features = FEATURE_WP_ASYNC | FEATURE_WP_UNPOPULATED | FEATURE_WP_HUGETLBFS_SHMEM;
        let pagemap = Pagemap::open()?;
        let marked = Marked { protector: Protector::new(span, features)?, pagemap };
        // Before Linux 6.7, and where a filter forbids it, only the question is refused. Nothing is lost
        // by it: nobody stores while watching starts.
        marked.pagemap.take_written(span.slice(0, page_size().bytes() as usize), |_, _| {})?;
        Ok(marked)
    }

    pub(super) fn take(&self, mut found: impl FnMut(Range<usize>)) -> io::Result<()> {
        self.pagemap.take_written(self.protector.span(), |from, to| found(from..to))
    }
}
