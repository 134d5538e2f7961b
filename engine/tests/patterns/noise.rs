//! Stray touches between those of a stream.

use super::*;

#[test]
fn one_stray_in_ten_kills_no_stream() {
    let mut driver = Driver::new();
    let mut stray = 12_345_u64;
    for step in 0..500 {
        driver.page(step * 40);
        driver.touch(&[pages(900_000 + step * 16, 900_016 + step * 16)]);
        if step % 5 == 0 {
            stray = (stray * 48_271) % 2_147_483_647;
            driver.page(100_000 + stray % 700_000);
        }
    }
    let covers = |page: u64| driver.planned().any(|range| range.contains(PageIndex(page)));
    let missed = (4..500).filter(|&step| !covers(step * 40)).count();
    assert_eq!(missed, 0, "steps that were not planned");
    assert!((60..500).all(|step| covers(900_000 + step * 16)), "the run");
}

#[test]
fn steps_left_out_are_forgiven() {
    let mut driver = Driver::new();
    for step in (0..300).filter(|step| step % 7 != 3) {
        driver.page(step * 50);
    }
    let covers = |page: u64| driver.steps.iter().any(|range| range.contains(PageIndex(page)));
    assert!((20..300).all(|step| covers(step * 50)));
}
