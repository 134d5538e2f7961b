//! One page at a constant distance.

use super::*;

#[test]
fn the_fourth_step_is_believed_and_the_next_ones_are_read_alone() {
    let mut driver = Driver::new();
    for step in 0..3 {
        assert!(driver.page(step * 32).is_empty());
    }
    let plan = driver.page(96);
    let next: Vec<_> = (4..12).map(|step| (step * 32, step * 32 + 1)).collect();
    assert_eq!(steps_of(&plan), next, "twice as many as were taken");
    assert!(plan.reads().is_empty() && plan.windows().is_empty(), "nothing around them");
}

#[test]
fn the_distance_ahead_doubles_with_the_way_and_no_step_is_planned_twice() {
    let mut driver = Driver::new();
    for step in 0..200 {
        driver.page(step * 256);
    }
    assert!(are_disjoint(&driver.steps));
    let first = driver.steps.first().unwrap().start.0;
    assert_eq!(first, 4 * 256);
    let planned: Vec<_> = driver.steps.iter().map(|range| range.start.0 / 256).collect();
    assert_eq!(planned, (4..4 + planned.len() as u64).collect::<Vec<_>>(), "one after the other");
    assert!(planned.len() >= 200, "{} steps", planned.len());
}

#[test]
fn backward_steps_are_read_in_the_order_in_which_their_reader_comes_to_them() {
    let mut driver = Driver::new();
    let page = |step: u64| 500_000 - step * 48;
    let plan = (0..4).map(|step| driver.page(page(step))).last().unwrap();
    let next: Vec<_> = (4..12).map(|step| (page(step), page(step) + 1)).collect();
    assert_eq!(steps_of(&plan), next);
}

#[test]
fn steps_of_many_mebibytes_are_steps_too() {
    let mut driver = Driver::new();
    let plan = (0..4).map(|step| driver.page(step * 10_000)).last().unwrap();
    assert_eq!(steps_of(&plan)[0], (40_000, 40_001));
}

#[test]
fn records_that_are_not_whole_pages_long_are_met_with_a_page_to_spare() {
    let mut driver = Driver::new();
    let page = |step: u64| step * 100_000 / 4096;
    for step in 0..100 {
        driver.page(page(step));
    }
    let met = |step: u64| driver.steps.iter().any(|range| range.contains(PageIndex(page(step))));
    let missed = (20..100).filter(|&step| !met(step)).count();
    assert!(missed <= 4, "{missed} of 80, before the distance was known well enough");
    assert!((60..100).all(met));
    assert!(driver.steps.iter().all(|range| range.count() <= PageCount(3)));
}

#[test]
fn a_set_that_a_scan_found_at_once_shows_the_stride_as_well() {
    let mut driver = Driver::new();
    let touched: Vec<_> = (0..10).map(|step| pages(step * 64, step * 64 + 1)).collect();
    let plan = driver.touch(&touched);
    let planned = steps_of(&plan);
    assert_eq!(planned.last(), Some(&((9 + 20) * 64, (9 + 20) * 64 + 1)), "{planned:?}");
}
