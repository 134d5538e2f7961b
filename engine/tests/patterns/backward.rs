//! Runs that go down through the file.

use super::*;

fn block(driver: &mut Driver, number: u64) -> Plan {
    driver.touch(&[pages(number * 16, number * 16 + 16)])
}

#[test]
fn the_third_block_down_starts_it_and_blocks_are_read_downwards() {
    let mut driver = Driver::new();
    assert!(block(&mut driver, 1000).is_empty());
    assert!(block(&mut driver, 999).is_empty());
    let plan = block(&mut driver, 998);
    let down: Vec<_> = (0..6).map(|step| ((997 - step) * 16, (998 - step) * 16)).collect();
    assert_eq!(steps_of(&plan), down, "twice as far as it has come");
    assert!(plan.reads().is_empty() && plan.windows().is_empty());
}

#[test]
fn it_goes_on_to_the_first_page_and_plans_nothing_twice() {
    let mut driver = Driver::over(geometry(16 * 500 + 5));
    for number in (0..500).rev() {
        block(&mut driver, number);
    }
    assert!(are_disjoint(&driver.steps));
    assert_eq!(driver.steps.iter().map(|range| range.start.0).min(), Some(0));
    assert!(sum(&driver.steps) >= PageCount(16 * 490), "{:?}", sum(&driver.steps));
}

#[test]
fn a_set_of_blocks_found_at_once_is_no_forward_run() {
    let mut driver = Driver::new();
    for number in [2000, 1999, 1998] {
        block(&mut driver, number);
    }
    // Ten blocks further down by the next look: they adjoin, and the set has no order.
    let plan = driver.touch(&[pages(1988 * 16, 1998 * 16)]);
    assert!(plan.reads().is_empty() && plan.windows().is_empty(), "{plan:?}");
    assert!(plan.steps().iter().all(|step| step.range.end.0 <= 1988 * 16));
    assert!(!plan.steps().is_empty());
}

#[test]
fn it_is_seen_as_well_where_of_some_blocks_only_the_page_of_the_fault_is_known() {
    let mut driver = Driver::new();
    for number in (900..1000).rev() {
        let start = number * 16;
        let end = if number % 2 == 0 { start + 1 } else { start + 16 };
        driver.touch(&[pages(start, end)]);
    }
    assert!(driver.steps.iter().any(|step| step.contains(PageIndex(899 * 16))));
}
