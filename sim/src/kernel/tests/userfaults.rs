//! userfaultfd (KERNEL.md 8).

use super::*;
use crate::kernel::{FileKind, Refusal, Resolve, Userfault};

fn anonymous(pages: u64) -> Kernel {
    let mut kernel = Kernel::new(KernelOptions::anonymous(Profile::V6_18, PageCount(pages)));
    kernel.register(Userfault::Missing);
    kernel
}

#[test]
fn a_missing_page_waits_for_the_manager() {
    let mut kernel = anonymous(2048);
    assert_eq!(refused(&mut kernel, 7, Access::Load), Signal::Userfault);
    let done = kernel.resolve(pages(0, 16), Resolve::Copy);
    assert_eq!((done.pages, done.refused, done.work.pages_copied), (PageCount(16), None, 16));
    assert!(kernel.is_writable(PageIndex(7)));
    let again = kernel.resolve(pages(12, 20), Resolve::Move);
    assert_eq!((again.pages, again.refused), (PageCount(0), Some(Refusal::Exists)));
}

#[test]
fn huge_frames_move_in_one_piece_where_nothing_is() {
    let mut kernel = anonymous(2048);
    let done = kernel.resolve(pages(512, 1536), Resolve::MoveHuge);
    assert_eq!((done.work.pmds, done.work.ptes), (2, 0));
    kernel.resolve(pages(0, 1), Resolve::Copy);
    kernel.unmap(pages(0, 1));
    let done = kernel.resolve(pages(0, 512), Resolve::MoveHuge);
    assert_eq!((done.work.pmds, done.work.ptes), (0, 512), "a page table is in the way");
}

#[test]
fn continue_maps_what_tmpfs_has() {
    let tmpfs = KernelOptions::tmpfs(Profile::V6_18, PageCount(64));
    let mut kernel = Kernel::new(tmpfs);
    kernel.warm(pages(0, 32), 0);
    kernel.register(Userfault::Minor);
    assert_eq!(refused(&mut kernel, 7, Access::Load), Signal::Userfault);
    let done = kernel.resolve(pages(0, 64), Resolve::Continue);
    assert_eq!((done.pages, done.refused), (PageCount(32), Some(Refusal::NotCached)));
    assert_eq!(mapped(&kernel), [(0, 32)]);
    assert_eq!(kernel.resolve(pages(40, 41), Resolve::Move).refused, Some(Refusal::Unsupported));
}

#[test]
#[should_panic(expected = "cannot be registered")]
fn a_regular_file_cannot_be_registered() {
    let mut kernel = Kernel::new(hole(64));
    assert_eq!(kernel.options().file_kind, FileKind::Disk);
    kernel.register(Userfault::Missing);
}
