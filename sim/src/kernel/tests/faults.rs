//! Read faults (KERNEL.md 2 and 3).

use super::*;
use crate::kernel::{Advice, FileAdvice, FileId};

#[test]
fn a_cold_touch_reads_around_and_is_major() {
    let mut kernel = Kernel::new(hole(4096));
    let (kind, work) = load(&mut kernel, 1000);
    assert_eq!((kind, work.absent, work.attempts), (FaultKind::Major, 1, 2));
    assert_eq!(resident(&kernel), [(984, 1016)], "2.3 row 7: half of 32 pages before it");
    assert_eq!(mapped(&kernel), [(992, 1008)], "3: 16 pages, aligned by address");
    assert_eq!((work.tables, work.ptes), (1, 16));
}

#[test]
fn a_scan_has_one_major_fault_and_folios_that_grow() {
    let mut kernel = Kernel::new(KernelOptions { ra_pages: PageCount(2048), ..hole(1 << 16) });
    let mut faults = (0, 0);
    for page in 0..1 << 16 {
        if !kernel.is_mapped(PageIndex(page)) {
            match load(&mut kernel, page).0 {
                FaultKind::Minor => faults.0 += 1,
                FaultKind::Major => faults.1 += 1,
            }
        }
    }
    assert_eq!(faults, (531, 1), "2.3: 256 MiB, run on 6.18");
    let mut folios = [0; 10];
    let mut page = 0;
    while let Some(order) = kernel.folio_order(PageIndex(page)) {
        folios[usize::from(order)] += 1;
        page += 1 << order;
    }
    assert_eq!(folios, [2048, 0, 512, 0, 128, 0, 32, 0, 8, 108]);
}

#[test]
fn sequential_advice_off_page_0_never_pipelines() {
    let mut kernel = Kernel::new(KernelOptions { ra_pages: PageCount(2048), ..hole(1 << 16) });
    kernel.advise(pages(0, 1 << 16), Advice::Sequential);
    let mut faults = (0, 0);
    for page in 8192..1 << 16 {
        if !kernel.is_mapped(PageIndex(page)) {
            match load(&mut kernel, page).0 {
                FaultKind::Minor => faults.0 += 1,
                FaultKind::Major => faults.1 += 1,
            }
        }
    }
    assert_eq!(faults, (3556, 28), "2.3, 224 MiB from page 8192; the RUN there says 28 and 3560");
}

#[test]
fn random_advice_reads_single_pages_and_maps_neighbours() {
    let mut kernel = Kernel::new(hole(4096));
    kernel.advise(pages(0, 4096), Advice::Random);
    load(&mut kernel, 100);
    load(&mut kernel, 101);
    assert_eq!(resident(&kernel), [(100, 102)]);
    kernel.unmap(pages(0, 4096));
    load(&mut kernel, 101);
    assert_eq!(mapped(&kernel), [(100, 102)], "3: MADV_RANDOM does not stop fault-around");
}

#[test]
fn huge_advice_reads_two_huge_folios_and_maps_one() {
    let mut kernel = Kernel::new(KernelOptions { ra_pages: PageCount(0), ..hole(1 << 16) });
    kernel.advise(pages(0, 1 << 16), Advice::HugePage);
    let (_, work) = load(&mut kernel, 30_000);
    assert_eq!(resident(&kernel), [(29_696, 30_720)], "2.3 row 1, run on 6.18");
    assert_eq!((work.pmds, work.tables, mapped(&kernel)), (1, 0, vec![(29_696, 30_208)]));
    assert!(kernel.is_mapped_huge(PageIndex(30_000)));
}

#[test]
fn without_fault_around_misses_add_up_until_read_around_ends() {
    let mut kernel = Kernel::new(KernelOptions { fault_around: PageCount(1), ..hole(1 << 16) });
    for touch in 0..101 {
        load(&mut kernel, 50 + touch * 400);
    }
    let last = 50 + 100 * 400;
    let around = resident(&kernel);
    assert_eq!(around.len(), 101);
    assert_eq!(around[99], (last - 400 - 16, last - 400 + 16));
    assert_eq!(around[100], (last, last + 1), "2.3: the 101st miss reads its page alone");
}

#[test]
fn the_flagged_page_is_a_minor_fault_for_user_code_and_a_major_one_for_system_calls() {
    for (entry, kind) in [
        (Entry::User, FaultKind::Minor),
        (Entry::Locked, FaultKind::Major),
        (Entry::MapPopulate, FaultKind::Minor),
    ] {
        let mut kernel = Kernel::new(hole(4096));
        load(&mut kernel, 1000);
        let fault = kernel.fault(PageIndex(984 + 24), Access::Load, entry);
        assert_eq!(fault.end, FaultEnd::Mapped(kind), "2.5, {entry:?}");
        assert_eq!(fault.work.windows_async, 1);
    }
}

#[test]
fn populating_a_mapping_as_it_is_made_counts_no_major_faults() {
    let mut kernel = Kernel::new(hole(4096));
    let fault = kernel.fault(PageIndex(7), Access::Load, Entry::MapPopulate);
    assert_eq!((fault.end, fault.work.absent), (FaultEnd::Mapped(FaultKind::Minor), 1));
}

#[test]
fn beyond_the_end_is_sigbus() {
    let mut kernel = Kernel::new(hole(10));
    assert_eq!(refused(&mut kernel, 10, Access::Load), Signal::BeyondEnd);
}

#[test]
fn a_window_of_fault_around_that_the_start_clips_reaches_further() {
    let mut kernel = Kernel::new(KernelOptions { address_page: 5, ..hole(4096) });
    kernel.warm(pages(0, 4096), 0);
    load(&mut kernel, 2);
    assert_eq!(mapped(&kernel), [(0, 16)], "3: low is the start of the VMA, high is 16 above it");
    load(&mut kernel, 100);
    assert_eq!(mapped(&kernel), [(0, 16), (91, 107)], "aligned by address: 96..112 less 5");
}

#[test]
fn a_folio_at_the_end_of_the_file_is_mapped_by_the_other_path() {
    let mut kernel = Kernel::new(hole(16));
    kernel.warm(pages(0, 16), 4);
    let (_, work) = load(&mut kernel, 3);
    assert_eq!(
        (work.ptes, mapped(&kernel)),
        (16, vec![(0, 16)]),
        "3, the quirk; 2.4 maps it whole"
    );
    let mut kernel = Kernel::new(hole(17));
    kernel.warm(pages(0, 16), 4);
    load(&mut kernel, 3);
    assert_eq!(mapped(&kernel), [(0, 16)]);
}

#[test]
fn linux_6_12_maps_the_window_and_6_18_the_folio() {
    for (profile, expected) in [(Profile::V6_12, (992, 1008)), (Profile::V6_18, (768, 1024))] {
        let mut kernel = Kernel::new(KernelOptions { profile, folio_order_max: 9, ..hole(4096) });
        kernel.warm(pages(0, 4096), 8);
        load(&mut kernel, 1000);
        assert_eq!(mapped(&kernel), [expected], "{profile:?}");
    }
}

#[test]
fn linux_6_12_has_no_large_folios_on_ext4_but_on_xfs() {
    let disk = KernelOptions {
        backing: Backing::Hole,
        ..KernelOptions::disk(Profile::V6_12, PageCount(4096))
    };
    let mut kernel = Kernel::new(disk);
    load(&mut kernel, 1000);
    assert_eq!(kernel.folio_order(PageIndex(1000)), Some(0));
    let mut kernel = Kernel::new(KernelOptions { folio_order_max: 9, ..disk });
    load(&mut kernel, 1000);
    assert_eq!(kernel.folio_order(PageIndex(1000)), Some(2), "1.5: the hint of 0, and 2 more");
}

#[test]
fn advice_for_the_file_doubles_read_around() {
    let mut kernel = Kernel::new(hole(4096));
    kernel.advise_file(FileId::MAPPED, FileAdvice::Sequential);
    load(&mut kernel, 1000);
    assert_eq!(resident(&kernel), [(968, 1032)]);
    kernel.advise_file(FileId::MAPPED, FileAdvice::Random);
    load(&mut kernel, 3000);
    assert_eq!(resident(&kernel)[1], (2968, 3032), "2.3: FADV_RANDOM does not stop read-around");
}

#[test]
fn guards_trip_and_stay_holes_until_they_are_removed() {
    let mut kernel = Kernel::new(hole(4096));
    kernel.warm(pages(0, 4096), 0);
    let work = kernel.guard(pages(100, 104));
    assert_eq!((work.tables, work.ptes), (1, 4));
    load(&mut kernel, 98);
    assert_eq!(mapped(&kernel), [(96, 100), (104, 112)], "9: fault-around maps around them");
    assert_eq!(refused(&mut kernel, 101, Access::Load), Signal::Guard);
    kernel.unguard(pages(100, 104));
    load(&mut kernel, 101);
    assert_eq!(mapped(&kernel), [(96, 112)]);
}

#[test]
fn a_protected_part_trips_and_no_fault_maps_beyond_its_edge() {
    let mut kernel = Kernel::new(hole(2048));
    kernel.warm(pages(0, 2048), 0);
    kernel.protect(pages(0, 2048));
    assert_eq!(refused(&mut kernel, 20, Access::Load), Signal::Guard);
    kernel.unprotect(pages(16, 24));
    load(&mut kernel, 20);
    assert_eq!(mapped(&kernel), [(16, 24)], "not the 16 pages of fault-around");
    assert_eq!(refused(&mut kernel, 24, Access::Load), Signal::Guard);
    kernel.protect(pages(16, 24));
    assert_eq!(refused(&mut kernel, 20, Access::Load), Signal::Guard, "closed again");
    kernel.unprotect(pages(0, 2048));
    load(&mut kernel, 20);
}
