use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::page::{ByteLen, PageIndex, PageSize};
use crate::policy::{Event, Fetch, Geometry, Outcome, PolicyKind};

fn pages(start: u64, end: u64) -> PageRange {
    PageRange::new(PageIndex(start), PageIndex(end))
}

#[test]
fn a_plan_is_cut_to_the_mapping_and_to_the_budget() {
    let mut ledger = Ledger::default();
    let mut allowed = Allowance { whole: pages(0, 100), room: PageCount(30) };
    let mut take = |range| allowed.take(range, How::LEFT, &mut ledger).collect::<Vec<_>>();
    assert_eq!(take(pages(90, 200)), [pages(90, 100)]);
    assert_eq!(take(pages(100, 200)), []);
    assert_eq!(take(pages(10, 60)), [pages(10, 30)]);
    assert_eq!(take(pages(70, 71)), []);
}

#[test]
fn what_is_planned_is_planned_again_when_it_was_passed_or_will_not_be_fetched() {
    let mut ledger = Ledger::default();
    let mut plan = Plan::new();
    let queued = |plan: &Plan, ledger: &mut Ledger| {
        let mut pending = VecDeque::new();
        let allowed = Allowance { whole: pages(0, 1000), room: PageCount(1000) };
        queue(plan, allowed, ledger, &mut pending);
        pending.into_iter().map(Work::range).collect::<Vec<_>>()
    };
    plan.read(pages(100, 200));
    plan.window(pages(100, 200), None);
    assert_eq!(queued(&plan, &mut ledger), [pages(100, 200); 2], "read, and then mapped");
    assert_eq!(queued(&plan, &mut ledger), []);
    ledger.add(pages(100, 150), How::READ);
    ledger.unplan(pages(120, 180));
    assert_eq!(queued(&plan, &mut ledger), [pages(150, 180); 2]);
    ledger.pass(pages(100, 110));
    assert_eq!(queued(&plan, &mut ledger), [pages(100, 110); 2]);
}

#[test]
fn of_a_window_that_is_cut_the_reader_is_met_where_the_rest_begins() {
    let (mut ledger, mut pending, mut plan) = (Ledger::default(), VecDeque::new(), Plan::new());
    ledger.add(pages(100, 116), How::MAPPED);
    plan.window(pages(100, 200), Some(PageIndex(100)));
    let allowed = Allowance { whole: pages(0, 1000), room: PageCount(1000) };
    queue(&plan, allowed, &mut ledger, &mut pending);
    let (range, trigger) = (pages(116, 200), Some(PageIndex(116)));
    let windows: Vec<_> = pending.into_iter().collect();
    assert!(matches!(windows[..], [Work::Map(window)] if window == Window { range, trigger }));
}

/// A file of 8 MiB.
const PAGES: u64 = 2048;

/// What is touched: readers that meet, cross and follow each other, steps of all kinds in turn, and any ranges.
fn touched() -> impl Strategy<Value = Vec<PageRange>> {
    let distance = prop_oneof![Just(16_i64), Just(-16), -300..300_i64];
    let reader = (0..PAGES as i64, distance, prop_oneof![Just(1), Just(16), 1..64_u64]);
    let readers = proptest::collection::vec(reader, 1..6).prop_map(|readers| {
        let at = |step: i64| {
            let place = move |&(start, distance, extent): &(i64, i64, u64)| {
                let page = (start + step * distance).rem_euclid(PAGES as i64) as u64;
                pages(page, (page + extent).min(PAGES))
            };
            readers.iter().map(place).collect::<Vec<_>>()
        };
        (0..40).flat_map(at).collect()
    });
    let any = proptest::collection::vec((0..PAGES, 1..300_u64), 1..100).prop_map(|ranges| {
        ranges.into_iter().map(|(start, len)| pages(start, (start + len).min(PAGES))).collect()
    });
    prop_oneof![4 => readers, 1 => any]
}

/// How `work` is noted when it is carried out, and told.
fn carried_out(work: Work) -> (How, Fetch) {
    match work {
        Work::Read(_) => (How::READ, Fetch::Read),
        Work::Map(_) => (How::MAPPED, Fetch::Window),
        Work::Step(Step { stream: None, .. }) => (How::TAIL, Fetch::Step),
        Work::Step(_) => (How::READ, Fetch::Step),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_touches_nothing_is_planned_twice_nor_beyond_the_file_or_the_budget(
        touched in touched(),
        budget_mib in 1..17_u64,
        carried in 0..8_usize,
    ) {
        let (file, budget) = (ByteLen(PAGES * 4096), ByteLen(budget_mib << 20));
        let geometry = Geometry::new(PageSize::FOUR_KIB, file, budget);
        let allowed = Allowance { whole: pages(0, PAGES), room: geometry.budget };
        for kind in PolicyKind::ALL {
            let mut policy = kind.build(geometry);
            let (mut ledger, mut pending, mut plan) = (Ledger::default(), VecDeque::new(), Plan::new());
            // What is planned and not passed: to be read, and to be mapped.
            let mut planned = [HashSet::new(), HashSet::new()];
            for (at, &range) in (1..).zip(&touched) {
                ledger.pass(range);
                planned.iter_mut().for_each(|of| of.retain(|&page| ledger.holds(PageIndex(page))));
                plan.clear();
                let event = Event::Touched { pages: &[range], at: Nanos(at * 100_000) };
                policy.on(&event, &mut plan);
                let before = pending.len();
                queue(&plan, allowed, &mut ledger, &mut pending);
                let new = || pending.iter().skip(before).copied();
                for work in new() {
                    let range = work.range();
                    prop_assert!(!range.is_empty() && range.end.0 <= PAGES, "{kind:?}: {range}");
                    let of = &mut planned[usize::from(matches!(work, Work::Map(_)))];
                    for page in range.start.0..range.end.0 {
                        prop_assert!(of.insert(page), "{kind:?}: page {page} twice: {work:?}");
                        prop_assert!(ledger.holds(PageIndex(page)));
                    }
                }
                let is_map = |work: &Work| matches!(work, Work::Map(_));
                for (maps, what) in [(true, "mapped"), (false, "read")] {
                    let of_kind = new().filter(|work| is_map(work) == maps);
                    let sum: u64 = of_kind.map(|work| work.range().count().0).sum();
                    prop_assert!(sum <= geometry.budget.0, "{kind:?}: {sum} pages to be {what}");
                }
                for work in pending.drain(..carried.min(pending.len())) {
                    let (how, what) = carried_out(work);
                    let (range, took, outcome) = (work.range(), Nanos(1000), Outcome::Done);
                    ledger.add(range, how);
                    policy.on(&Event::Fetched { what, range, took, outcome }, &mut plan);
                }
            }
        }
    }
}
