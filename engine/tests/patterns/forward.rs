//! Forward runs, and how soon they are known.

use super::*;

#[test]
fn a_run_is_read_ahead_of_wherever_it_begins() {
    for start in [0, 123_456] {
        let mut driver = Driver::new();
        assert!(driver.touch(&[pages(start, start + 16)]).is_empty());
        assert!(driver.touch(&[pages(start + 16, start + 32)]).is_empty());
        let plan = driver.touch(&[pages(start + 32, start + 48)]);
        assert_eq!(plan.reads().first().map(|range| range.start.0), Some(start + 48));
        assert!(plan.steps().is_empty());
    }
}

#[test]
fn what_is_read_ahead_never_overlaps_and_stays_within_half_the_budget() {
    let mut driver = Driver::new();
    for block in 0..4000 {
        driver.touch(&[pages(block * 16, block * 16 + 16)]);
    }
    assert!(are_disjoint(&driver.reads) && are_disjoint(&driver.windows));
    let furthest = driver.reads.iter().map(|range| range.end.0).max().unwrap();
    assert!(furthest - 4000 * 16 <= (mmap_ahead::BUDGET_DEFAULT.0 >> 12) / 2);
}

#[test]
fn it_is_seen_as_well_where_of_each_block_only_the_page_of_the_fault_is_known() {
    let mut driver = Driver::new();
    for number in 10..100 {
        driver.touch(&[pages(number * 16, number * 16 + 1)]);
    }
    assert!(driver.reads.iter().any(|read| read.contains(PageIndex(101 * 16))));
    assert!(driver.steps.is_empty());
}
