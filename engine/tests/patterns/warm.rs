//! Files that are in memory already, wholly or in part.

use super::*;

fn resident(driver: &mut Driver, page: u64) -> Plan {
    driver.touch_found(&[pages(page, page + 1)], Outcome::Resident)
}

#[test]
fn a_stride_over_a_warm_file_is_soon_left_alone_and_hardly_tried() {
    let mut driver = Driver::new();
    for step in 0..10_000 {
        resident(&mut driver, step * 64);
    }
    assert!(driver.steps.len() < 64, "{} steps planned for nothing", driver.steps.len());
}

#[test]
fn a_cold_part_behind_a_warm_one_is_read_ahead_of_again() {
    let mut driver = Driver::new();
    for step in 0..3000 {
        resident(&mut driver, step * 64);
    }
    let before = driver.steps.len();
    for step in 3000..12_000 {
        driver.page(step * 64);
    }
    let planned = driver.steps.len() - before;
    assert!(planned > 12_000 - 3000 - 4096, "{planned} steps");
}
