//! Waiting for the device.

use super::*;
use crate::kernel::{Cause, FileId, Io, ReadEnd, Waiting};

fn disk(pages: u64) -> KernelOptions {
    KernelOptions::disk(Profile::V6_18, PageCount(pages))
}

fn waits(kernel: &mut Kernel, page: u64, entry: Entry) -> (Io, Waiting) {
    match kernel.fault(PageIndex(page), Access::Load, entry).end {
        FaultEnd::Waits(io, waiting) => (io, waiting),
        other => panic!("page {page}: {other:?}"),
    }
}

#[test]
fn a_fault_waits_for_its_read_and_is_major() {
    let mut kernel = Kernel::new(disk(4096));
    let (io, waiting) = waits(&mut kernel, 1000, Entry::User);
    assert_eq!((io.range, io.cause), (pages(984, 1016), Cause::Demand));
    assert_eq!(kernel.take_ios().collect::<Vec<_>>(), [io]);
    assert!(resident(&kernel).is_empty() && kernel.folio_order(PageIndex(1000)).is_some());
    kernel.arrived(&io);
    assert_eq!(kernel.resume(waiting).end, FaultEnd::Mapped(FaultKind::Major));
    assert_eq!((kernel.flights(), resident(&kernel)), (0, vec![(984, 1016)]));
}

#[test]
fn who_meets_a_read_under_way_waits_for_it_and_counts_as_section_2_5_says() {
    for (entry, kind) in [
        (Entry::User, FaultKind::Minor),
        (Entry::Locked, FaultKind::Major),
        (Entry::MapPopulate, FaultKind::Minor),
    ] {
        let mut kernel = Kernel::new(disk(4096));
        let (first, _) = waits(&mut kernel, 1000, Entry::User);
        let (second, waiting) = waits(&mut kernel, 1001, entry);
        assert_eq!(first, second, "the same bio");
        kernel.settle();
        assert_eq!(kernel.resume(waiting).end, FaultEnd::Mapped(kind), "{entry:?}");
    }
}

#[test]
fn pages_read_ahead_arrive_while_the_reader_works() {
    let mut kernel = Kernel::new(disk(4096));
    let (_, waiting) = waits(&mut kernel, 1000, Entry::User);
    kernel.settle();
    let _ = kernel.resume(waiting);
    let flagged = kernel.fault(PageIndex(1008), Access::Load, Entry::User);
    assert_eq!(flagged.end, FaultEnd::Mapped(FaultKind::Minor), "nobody waits for what is ahead");
    let ahead: Vec<_> = kernel.take_ios().collect();
    assert_eq!(ahead.len(), 1);
    assert_eq!((ahead[0].range.start, ahead[0].cause), (PageIndex(1016), Cause::Ahead));
}

#[test]
fn a_bio_holds_256_folios() {
    let mut kernel = Kernel::new(KernelOptions { ra_pages: PageCount(1024), ..disk(4096) });
    let (io, _) = waits(&mut kernel, 2048, Entry::User);
    let ios: Vec<_> = kernel.take_ios().collect();
    assert_eq!(ios.iter().map(|io| io.range.count().0).collect::<Vec<_>>(), [256; 4]);
    assert_eq!(io, ios[2], "it waits for the one that holds its page");
    assert_eq!(ios.iter().filter(|io| io.cause == Cause::Demand).count(), 1);
}

#[test]
fn read_waits_for_its_first_folios_and_copies_what_precedes_others() {
    let mut kernel = Kernel::new(disk(4096));
    let mut reading = kernel.read(FileId::MAPPED, 0..64 << 12);
    let mut copied = Vec::new();
    let mut waited = 0;
    loop {
        match kernel.read_on(&mut reading).end {
            ReadEnd::Copied(bytes) => copied.push(bytes >> 12),
            ReadEnd::Waits(io) => {
                kernel.arrived(&io);
                waited += 1;
            }
            ReadEnd::Done => break,
        }
    }
    assert_eq!(copied.iter().sum::<u64>(), 64);
    assert!(waited > 0 && waited <= 3, "{waited} waits, {copied:?}");
}

#[test]
#[should_panic(expected = "a read arrives once")]
fn a_read_arrives_once() {
    let mut kernel = Kernel::new(disk(4096));
    let (io, _) = waits(&mut kernel, 1000, Entry::User);
    kernel.arrived(&io);
    kernel.arrived(&io);
}

#[test]
fn a_window_around_a_page_under_way_is_read_in_pieces_that_do_not_overlap() {
    let options = KernelOptions { profile: Profile::V6_12, folio_order_max: 9, ..disk(4096) };
    let mut kernel = Kernel::new(options);
    let mut reading = kernel.read(FileId::MAPPED, 1815 << 12..1816 << 12);
    assert!(matches!(kernel.read_on(&mut reading).end, ReadEnd::Waits(_)));
    waits(&mut kernel, 1812, Entry::User);
    let ios: Vec<_> = kernel.take_ios().map(|io| (io.range.start.0, io.range.end.0)).collect();
    assert_eq!(ios, [(1815, 1816), (1796, 1812), (1812, 1815), (1816, 1828)]);
}
