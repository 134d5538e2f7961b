//! DAX (KERNEL.md 4).

use super::*;
use crate::kernel::{DaxExtents, FileId};

fn dax(extents: DaxExtents, address_page: u64) -> Kernel {
    let dax = KernelOptions::dax(Profile::V6_18, PageCount(2000), extents);
    Kernel::new(KernelOptions { protection: Protection::ReadWrite, address_page, ..dax })
}

#[test]
fn contiguous_extents_are_mapped_by_2_mib() {
    let mut kernel = dax(DaxExtents::Huge, 0);
    let (kind, work) = load(&mut kernel, 700);
    assert_eq!((kind, work.pmds, work.extents), (FaultKind::Minor, 1, 1));
    assert_eq!(mapped(&kernel), [(512, 1024)]);
    let (_, work) = load(&mut kernel, 1999);
    assert_eq!((work.ptes, work.attempts), (1, 2), "the last 2 MiB pass the end; under mmap_lock");
}

#[test]
fn whatever_is_not_aligned_is_mapped_page_by_page() {
    for mut kernel in [dax(DaxExtents::Huge, 1), dax(DaxExtents::Scattered, 0)] {
        load(&mut kernel, 700);
        assert_eq!(mapped(&kernel), [(700, 701)], "no fault-around");
        assert_eq!(kernel.cached_pages(), PageCount(0), "no page cache");
        assert_eq!(kernel.will_need(FileId::MAPPED, pages(0, 100)).0.count(), PageCount(0));
    }
}

#[test]
fn a_store_after_a_load_makes_the_entry_writable() {
    let mut kernel = dax(DaxExtents::Huge, 0);
    load(&mut kernel, 700);
    let (_, work) = touch(&mut kernel, 700, Access::Store);
    assert_eq!((work.mkwrites, work.pmds), (1, 1));
    assert_eq!(kernel.writable_run(PageIndex(512)), PageCount(512));
}
