//! A limit on memory (KERNEL.md 7.6), and whatever comes in whatever order.

use proptest::prelude::*;

use super::*;
use crate::kernel::{Advice, FileId, ReadEnd};

fn limited(memory: u64) -> KernelOptions {
    KernelOptions { memory_max: Some(PageCount(memory)), ..hole(1 << 16) }
}

#[test]
fn a_scan_longer_than_memory_evicts_behind_itself() {
    let mut kernel = Kernel::new(limited(4096));
    let mut work = Work::default();
    for page in 0..20_000 {
        if !kernel.is_mapped(PageIndex(page)) {
            work.add(load(&mut kernel, page).1);
        }
    }
    assert!(kernel.cached_pages() <= PageCount(4096), "{:?}", kernel.cached_pages());
    assert!(work.reclaimed >= 16_000, "{work:?}");
    assert!(
        work.refaults < 200,
        "young pages go round, a window read ahead may go first: {work:?}"
    );
    assert!(!kernel.is_mapped(PageIndex(0)) && kernel.is_mapped(PageIndex(19_999)));
}

#[test]
fn what_is_touched_again_survives_a_scan() {
    let mut kernel = Kernel::new(limited(4096));
    for page in 1000..20_000 {
        for hot in 0..32 {
            if !kernel.is_mapped(PageIndex(hot)) {
                load(&mut kernel, hot);
            }
        }
        kernel.touched(pages(0, 32), Access::Load);
        if !kernel.is_mapped(PageIndex(page)) {
            load(&mut kernel, page);
        }
    }
    assert!((0..32).all(|hot| kernel.is_mapped(PageIndex(hot))));
}

#[test]
fn what_comes_back_soon_is_a_refault() {
    let mut kernel = Kernel::new(limited(2048));
    let scan = |kernel: &mut Kernel, pages: std::ops::Range<u64>| {
        let mut work = Work::default();
        for page in pages {
            if !kernel.is_mapped(PageIndex(page)) {
                work.add(load(kernel, page).1);
            }
        }
        work
    };
    scan(&mut kernel, 0..4000);
    let work = scan(&mut kernel, 0..500);
    assert!(work.refaults >= 500, "{work:?}");
}

/// What random programs do.
#[derive(Clone, Debug)]
enum Act {
    Touch(u64, Access),
    Read(u64, u64),
    WillNeed(u64, u64),
    Advise(u64, u64, Advice),
    Unmap(u64, u64),
    Guard(u64, u64),
    Unguard(u64, u64),
    Drop,
    Arrive,
}

fn act() -> impl Strategy<Value = Act> {
    let page = || 0..8000u64;
    let count = || 1..700u64;
    prop_oneof![
        8 => page().prop_map(|page| Act::Touch(page, Access::Load)),
        3 => page().prop_map(|page| Act::Touch(page, Access::Store)),
        2 => (page(), count()).prop_map(|(page, count)| Act::Read(page, count)),
        2 => (page(), count()).prop_map(|(page, count)| Act::WillNeed(page, count)),
        2 => (page(), count(), prop_oneof![
            Just(Advice::Normal),
            Just(Advice::Random),
            Just(Advice::Sequential),
            Just(Advice::HugePage),
            Just(Advice::NoHugePage),
        ])
            .prop_map(|(page, count, advice)| Act::Advise(page, count, advice)),
        1 => (page(), count()).prop_map(|(page, count)| Act::Unmap(page, count)),
        1 => (page(), count()).prop_map(|(page, count)| Act::Guard(page, count)),
        1 => (page(), count()).prop_map(|(page, count)| Act::Unguard(page, count)),
        1 => Just(Act::Drop),
        6 => Just(Act::Arrive),
    ]
}

/// Carries it out; whoever has to wait gives up, as a killed thread would.
fn carry_out(kernel: &mut Kernel, act: Act) {
    let range = |from: u64, count: u64| pages(from, from + count);
    match act {
        Act::Touch(page, access) => drop(kernel.fault(PageIndex(page), access, Entry::User).end),
        Act::Read(page, count) => {
            let mut reading = kernel.read(FileId::MAPPED, page << 12..(page + count) << 12);
            while let ReadEnd::Copied(_) = kernel.read_on(&mut reading).end {}
        }
        Act::WillNeed(page, count) => drop(kernel.will_need_mapped(range(page, count))),
        Act::Advise(page, count, advice) => drop(kernel.advise(range(page, count), advice)),
        Act::Unmap(page, count) => drop(kernel.unmap(range(page, count))),
        Act::Guard(page, count) => drop(kernel.guard(range(page, count))),
        Act::Unguard(page, count) => drop(kernel.unguard(range(page, count))),
        Act::Drop => drop(kernel.drop_cached(pages(0, 8000))),
        Act::Arrive => kernel.settle(),
    }
}

proptest! {
    #[test]
    fn what_is_mapped_is_resident_whatever_happens(
        acts in prop::collection::vec(act(), 1..150),
        backing in prop_oneof![Just(Backing::Hole), Just(Backing::Device)],
        profile in prop_oneof![Just(Profile::V6_12), Just(Profile::V6_18)],
        address_page in 0..600u64,
        memory_max in prop_oneof![Just(None), Just(Some(PageCount(2000)))],
        file_pages in 7000..7600u64,
    ) {
        let options = KernelOptions {
            backing, profile, address_page, memory_max, folio_order_max: 9, ..hole(file_pages)
        };
        let mut kernel = Kernel::new(options);
        for act in acts {
            carry_out(&mut kernel, act);
        }
        for run in kernel.mapped_runs(all(&kernel)) {
            prop_assert!((run.start.0..run.end.0).all(|page| kernel.is_resident(PageIndex(page))));
        }
        let counted: u64 = resident(&kernel).iter().map(|(from, to)| to - from).sum();
        prop_assert!(counted <= kernel.cached_pages().0);
        if backing == Backing::Hole && let Some(max) = memory_max {
            prop_assert!(kernel.cached_pages() <= max);
        }
        kernel.settle();
        let counted: u64 = resident(&kernel).iter().map(|(from, to)| to - from).sum();
        prop_assert_eq!(counted, kernel.cached_pages().0);
    }
}
