//! Streams that meet.

use super::*;

#[test]
fn two_strides_that_cross_go_on_as_two() {
    let mut driver = Driver::new();
    let (up, down) = (|step: u64| step * 100, |step: u64| 60_050 - step * 100);
    for step in 0..600 {
        driver.page(up(step));
        driver.page(down(step));
    }
    let covers = |page: u64| driver.steps.iter().any(|range| range.contains(PageIndex(page)));
    let missed = (4..600).filter(|&step| !covers(up(step)) || !covers(down(step))).count();
    assert_eq!(missed, 0, "steps of either that were not planned");
    let wanted = 2 * 600 + 2 * 128;
    assert!(sum(&driver.steps).0 <= wanted, "{:?} pages for {wanted}", sum(&driver.steps));
}

#[test]
fn a_forward_and_a_backward_run_that_cross_both_go_on() {
    let mut driver = Driver::new();
    for step in 0..400 {
        driver.touch(&[pages(step * 16, step * 16 + 16)]);
        let down = (400 - step) * 16;
        // Blocks that the other one has mapped are not found again.
        if step < 200 {
            driver.touch(&[pages(down, down + 16)]);
        }
    }
    let covers = |page: u64| driver.planned().any(|range| range.contains(PageIndex(page)));
    assert!((10..400).all(|block| covers(block * 16)));
}
