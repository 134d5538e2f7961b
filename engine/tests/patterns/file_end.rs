//! Where the file ends, and what comes after.

use super::*;

#[test]
fn nothing_is_planned_beyond_either_end() {
    for (start, distance) in [(0, 64_i64), (63_990, -64)] {
        let mut driver = Driver::over(geometry(64_000));
        for step in 0..1000_i64 {
            driver.page((start + step * distance) as u64);
        }
        assert!(driver.steps.iter().all(|range| range.end.0 <= 64_000), "{distance}");
        assert!(driver.steps.len() >= 990);
    }
}

/// The columns of a matrix that is stored by rows: each pass begins anew at the front.
#[test]
fn a_stride_that_wraps_is_taken_up_again_after_two_touches() {
    let mut driver = Driver::over(geometry(64_000));
    for step in 0..1000 {
        driver.page(step * 64);
    }
    assert!(driver.page(20).steps().is_empty());
    let plan = driver.page(84);
    assert_eq!(steps_of(&plan).first(), Some(&(148, 149)), "{plan:?}");
}

#[test]
fn a_file_of_one_page_and_pages_far_out_do_no_harm() {
    let mut driver = Driver::over(geometry(1));
    (0..10).for_each(|_| assert!(driver.page(0).is_empty()));
    let last = (1 << 50) - 1;
    let mut huge = Driver::over(geometry(1 << 50));
    for step in 0..50 {
        huge.page(last - step * 1000);
        huge.touch(&[pages(last - 40 - step * 16, last - 24 - step * 16)]);
    }
    assert!(huge.planned().all(|range| range.end.0 <= 1 << 50));
}
