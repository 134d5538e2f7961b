//! Stores (KERNEL.md 5).

use super::*;
use crate::kernel::{Advice, FileKind, Sharing};

fn store(kernel: &mut Kernel, page: u64) -> (FaultKind, Work) {
    touch(kernel, page, Access::Store)
}

#[test]
fn a_store_reads_around_but_maps_only_its_folio() {
    let mut kernel = Kernel::new(hole(4096));
    let (_, work) = store(&mut kernel, 1000);
    assert_eq!(resident(&kernel), [(984, 1016)]);
    assert_eq!((mapped(&kernel), work.mkwrites, work.pages_dirtied), (vec![(1000, 1001)], 1, 1));
    assert!(kernel.is_writable(PageIndex(1000)));
}

#[test]
fn one_byte_dirties_a_whole_folio() {
    for (profile, writable) in [(Profile::V6_12, 1), (Profile::V6_18, 16)] {
        let mut kernel = Kernel::new(KernelOptions { profile, folio_order_max: 9, ..hole(4096) });
        kernel.warm(pages(0, 4096), 4);
        let (_, work) = store(&mut kernel, 1000);
        assert_eq!(work.pages_dirtied, 16, "5.5");
        let from = if writable == 1 { 1000 } else { 992 };
        assert_eq!(kernel.writable_run(PageIndex(from)), PageCount(writable), "2.4, {profile:?}");
    }
}

#[test]
fn a_loaded_page_is_made_writable_alone() {
    let mut kernel = Kernel::new(hole(4096));
    kernel.warm(pages(0, 4096), 4);
    load(&mut kernel, 1000);
    assert!(kernel.is_mapped(PageIndex(1001)) && !kernel.is_writable(PageIndex(1000)));
    let (_, work) = store(&mut kernel, 1000);
    assert_eq!((work.mkwrites, work.ptes), (1, 1), "5.2");
    assert_eq!(kernel.writable_run(PageIndex(1000)), PageCount(1));
}

#[test]
fn a_huge_entry_that_was_loaded_is_made_writable_whole() {
    let mut kernel = Kernel::new(hole(4096));
    kernel.advise(pages(0, 4096), Advice::HugePage);
    load(&mut kernel, 1000);
    let (_, work) = store(&mut kernel, 1000);
    assert_eq!((work.zapped, work.pmds), (1, 1));
    assert_eq!(kernel.writable_run(PageIndex(512)), PageCount(512));
}

#[test]
fn what_is_written_back_faults_again() {
    let mut kernel = Kernel::new(hole(4096));
    store(&mut kernel, 7);
    store(&mut kernel, 8);
    assert_eq!(kernel.drop_cached(pages(0, 4096)).dropped, 30, "7.3: dirty and mapped ones stay");
    assert_eq!(kernel.write_back(pages(0, 4096)), PageCount(2));
    assert!(kernel.is_mapped(PageIndex(7)) && !kernel.is_writable(PageIndex(7)));
    assert_eq!(store(&mut kernel, 7).1.pages_dirtied, 1, "5.4");
}

#[test]
fn tmpfs_maps_writable_what_is_loaded() {
    let tmpfs = KernelOptions::tmpfs(Profile::V6_18, PageCount(4096));
    let mut kernel = Kernel::new(KernelOptions { protection: Protection::ReadWrite, ..tmpfs });
    kernel.warm(pages(0, 4096), 0);
    let (kind, work) = load(&mut kernel, 1000);
    assert_eq!((kind, work.mkwrites), (FaultKind::Minor, 0));
    assert_eq!(kernel.writable_run(PageIndex(992)), PageCount(16), "5.6");
    assert_eq!(kernel.options().file_kind, FileKind::Tmpfs);
}

#[test]
fn a_private_mapping_copies_what_is_stored_to() {
    let mut kernel = Kernel::new(KernelOptions { sharing: Sharing::Private, ..hole(4096) });
    kernel.warm(pages(0, 4096), 4);
    let (_, work) = store(&mut kernel, 1000);
    assert_eq!((work.pages_copied, work.pages_dirtied), (1, 0));
    assert_eq!(mapped(&kernel), [(1000, 1001)], "2.1: no fault-around");
    load(&mut kernel, 1001);
    let (_, work) = store(&mut kernel, 1001);
    assert_eq!((work.pages_copied, kernel.writable_run(PageIndex(1000))), (1, PageCount(2)));
}

#[test]
fn a_read_only_mapping_refuses_stores_before_anything_is_read() {
    let mut kernel = Kernel::new(KernelOptions { protection: Protection::ReadOnly, ..hole(4096) });
    assert_eq!(refused(&mut kernel, 7, Access::Store), Signal::Access, "2.1 step 2");
    assert_eq!(kernel.cached_pages(), PageCount(0));
}
