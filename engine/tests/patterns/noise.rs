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

/// 64 streams one step each in turn, and a stray for every nine touches, all in 16 GiB.
fn missed_of_sixty_four(touched: impl Fn(u64, u64) -> PageRange) -> Vec<u64> {
    let mut driver = Driver::over(geometry(4 * PAGES));
    let (mut random, mut told) = (88_172_645_463_325_252_u64, 0);
    let mut missed = vec![0; 64];
    for step in 0..100 {
        for stream in 0..64 {
            let range = touched(stream, step);
            let is_planned = driver.planned().any(|planned| planned.contains(range.start));
            missed[stream as usize] += u64::from(step >= 10 && !is_planned);
            driver.touch(&[range]);
            told += 1;
            if told % 9 == 0 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                driver.page(random % (4 * PAGES));
            }
        }
    }
    missed
}

/// Not evenly apart: that would be strides of another kind.
fn start(stream: u64) -> u64 {
    stream * 64_000 + (stream * 7919) % 4999
}

#[test]
fn nor_any_of_sixty_four_strides() {
    let missed = missed_of_sixty_four(|stream, step| {
        let page = start(stream) + step * (20 + stream);
        pages(page, page + 1)
    });
    assert_eq!(missed, [0; 64]);
}

#[test]
fn nor_any_of_sixty_four_forward_runs() {
    let missed = missed_of_sixty_four(|stream, step| {
        let page = start(stream) + step * 16;
        pages(page, page + 16)
    });
    assert_eq!(missed, [0; 64]);
}

#[test]
fn nor_any_of_sixty_four_backward_runs() {
    let missed = missed_of_sixty_four(|stream, step| {
        let page = start(stream) + 50_000 - step * 16;
        pages(page, page + 16)
    });
    assert_eq!(missed, [0; 64]);
}
