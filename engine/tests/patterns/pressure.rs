//! Memory pressure: less ahead of every kind of stream, and as much as before when it is over.

use super::*;

/// How far ahead of a forward reader is read, after it has gone on by 16 pages `steps` times from `page` on.
fn distance_after(driver: &mut Driver, page: &mut u64, steps: u64) -> u64 {
    for _ in 0..steps {
        driver.touch(&[pages(*page, *page + 16)]);
        *page += 16;
    }
    driver.planned().map(|range| range.end.0).max().unwrap().saturating_sub(*page)
}

fn press(driver: &mut Driver, times: u64) {
    (0..times).for_each(|_| assert!(driver.tell(&Event::Pressure, Outcome::Done).is_empty()));
}

#[test]
fn a_run_is_read_less_far_ahead_and_further_again_after_it() {
    let (mut driver, mut page) = (Driver::new(), 0);
    let before = distance_after(&mut driver, &mut page, 2000);
    assert!(before > 4096, "half the budget, or near it: {before}");
    press(&mut driver, 3);
    // It first comes to where less is planned: by then the reader has passed what was.
    let pressed = distance_after(&mut driver, &mut page, 800);
    assert!(pressed <= 1024, "a sixteenth of the budget: {pressed}");
    for _ in 0..3 {
        driver.now += 1_000_000_000;
        distance_after(&mut driver, &mut page, 1);
    }
    let after = distance_after(&mut driver, &mut page, 2000);
    assert!(after * 10 > before * 9, "{after} of {before}");
}

#[test]
fn steps_of_strides_and_backward_runs_are_fewer() {
    for distance in [256, -16_i64] {
        let mut driver = Driver::new();
        let mut page: i64 = PAGES as i64 / 2;
        let mut go_on = |driver: &mut Driver, steps: i64| {
            let before = driver.steps.len();
            for _ in 0..steps {
                driver.touch(&[pages(page as u64, page as u64 + 16)]);
                page += distance;
            }
            let ahead = driver.steps[before..].iter().map(|step| {
                let start = step.start.0 as i64;
                (start - page) / distance
            });
            ahead.max().unwrap_or(0)
        };
        let before = go_on(&mut driver, 400);
        press(&mut driver, 99);
        let pressed = go_on(&mut driver, 400);
        assert!(pressed < before, "by {distance}: {pressed} of {before}");
        let pressed = go_on(&mut driver, 100);
        assert!(0 < pressed && pressed * 2 <= before, "by {distance}: {pressed} of {before}");
    }
}
