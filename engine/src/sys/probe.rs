//! Trying calls without effect, to learn what this kernel and this user may do.

use super::{Pagemap, Span, advise, page_size};

/// Linux 6.13, on mappings of files 6.15.
const MADV_GUARD_INSTALL: libc::c_int = 102;

/// A call that the engine uses or will use, and whether it works here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Its name, as `doctor` prints it.
    pub name: &'static str,
    /// Whether it worked when it was tried just now.
    pub works: bool,
}

/// Tries each call on a page of our own.
pub fn tried() -> Vec<Tried> {
    let own = vec![1u8; 2 * page_size().bytes() as usize];
    let page = page_size().bytes() as usize;
    let span = Span { addr: (own.as_ptr() as usize).next_multiple_of(page), len: page };
    let pagemap = Pagemap::open();
    let sees = pagemap.as_ref().is_ok_and(|map| map.any_present(span).unwrap_or(false));
    let scans = sees && pagemap.as_ref().is_ok_and(Pagemap::has_scan);
    [
        ("pagemap", sees),
        ("PAGEMAP_SCAN", scans),
        ("MADV_POPULATE_READ", advise::has_populate()),
        ("process_madvise", advise::batches_work(span)),
        ("MADV_GUARD_INSTALL", advise::is_known(MADV_GUARD_INSTALL)),
        ("MADV_HUGEPAGE", advise::has_huge_pages()),
    ]
    .map(|(name, works)| Tried { name, works })
    .to_vec()
}
