//! Where nothing can be predicted.

use super::*;

#[test]
fn random_pages_are_left_alone() {
    let mut driver = Driver::new();
    let mut random = 88_172_645_463_325_252_u64;
    for _ in 0..50_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        driver.page(random % PAGES);
    }
    let planned: u64 = driver.planned().map(|range| range.count().0).sum();
    assert!(planned < 1000, "{planned} pages planned for 50,000 random touches");
}
