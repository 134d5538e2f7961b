//! Asking for pages by name (KERNEL.md 6 and 7.1).

use super::*;
use crate::kernel::{Advice, FileId, Populate, PopulateEnd, Sharing};

fn populate(kernel: &mut Kernel, range: PageRange, how: Populate) -> (u64, u64, Work) {
    let mut populating = kernel.populate(range, how);
    let (mut minor, mut major, mut work) = (0, 0, Work::default());
    loop {
        let step = kernel.populate_on(&mut populating);
        work.add(step.work);
        match step.end {
            PopulateEnd::Faulted(FaultKind::Minor) => minor += 1,
            PopulateEnd::Faulted(FaultKind::Major) => major += 1,
            PopulateEnd::Done => return (minor, major, work),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn populating_is_touching_in_order() {
    let mut kernel = Kernel::new(hole(4096));
    kernel.warm(pages(0, 4096), 0);
    let (minor, major, work) = populate(&mut kernel, pages(100, 200), Populate::Read);
    assert_eq!((minor, major), (7, 0), "windows of 16 from 96 to 208");
    assert_eq!(mapped(&kernel), [(96, 208)]);
    assert_eq!((work.ptes, work.skipped), (112, 100));
}

#[test]
fn as_a_mapping_is_made_nothing_counts_as_major() {
    let mut kernel = Kernel::new(KernelOptions { ra_pages: PageCount(2048), ..hole(16_384) });
    let (_, major, work) = populate(&mut kernel, pages(0, 16_384), Populate::Map);
    assert_eq!((major, work.absent), (0, 1), "2.5, run on 6.18: 64 MiB cold");
    assert_eq!(mapped(&kernel), [(0, 16_384)]);
}

#[test]
fn under_random_advice_populating_reads_page_by_page() {
    let mut kernel = Kernel::new(hole(4096));
    kernel.advise(pages(0, 4096), Advice::Random);
    let (_, major, _) = populate(&mut kernel, pages(0, 100), Populate::Read);
    assert_eq!((major, kernel.cached_pages()), (100, PageCount(100)));
}

#[test]
fn a_private_writable_mapping_is_copied_as_it_is_made() {
    let mut kernel = Kernel::new(KernelOptions { sharing: Sharing::Private, ..hole(4096) });
    let (_, _, work) = populate(&mut kernel, pages(0, 64), Populate::Map);
    assert_eq!(work.pages_copied, 64);
}

#[test]
fn an_error_stops_madvise_and_is_swallowed_by_mmap() {
    let mut kernel = Kernel::new(hole(10));
    let mut populating = kernel.populate(pages(8, 12), Populate::Read);
    let ends: Vec<_> = (0..2).map(|_| kernel.populate_on(&mut populating).end).collect();
    assert_eq!(ends[1], PopulateEnd::Failed(Signal::BeyondEnd));
    assert_eq!(populate(&mut kernel, pages(8, 12), Populate::Map).0, 0);
}

#[test]
fn will_need_is_cut_to_one_request_and_leaves_no_flag() {
    let options = KernelOptions { io_pages: PageCount(256), ..hole(4096) };
    let mut kernel = Kernel::new(options);
    let (covered, work) = kernel.will_need(FileId::MAPPED, pages(1000, 3000));
    assert_eq!((covered, work.folios_new), (pages(1000, 1256), 256));
    assert_eq!(resident(&kernel), [(1000, 1256)], "7.1: single pages, nothing mapped");
    for page in (1000..1256).step_by(16) {
        assert_eq!(load(&mut kernel, page).1.windows_async, 0);
    }
    assert_eq!(load(&mut kernel, 1256).0, FaultKind::Major, "what follows is a major fault");
}

#[test]
fn will_need_is_cut_for_each_part_with_advice_of_its_own() {
    let mut kernel = Kernel::new(hole(4096));
    kernel.advise(pages(0, 40), Advice::Random);
    let (covered, _) = kernel.will_need_mapped(pages(1, 3001));
    assert_eq!((covered, resident(&kernel)), (PageCount(39 + 256), vec![(1, 296)]));
}
