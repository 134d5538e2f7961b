//! Many streams at once, interleaved.

use super::*;

#[test]
fn sixty_four_strides_interleaved_are_each_read_ahead_of() {
    let mut driver = Driver::new();
    // Not evenly apart: that would be strides of another kind.
    let start = |stream: u64| stream * 16_000 + (stream * 7919) % 4999;
    let page = |stream: u64, step: u64| start(stream) + step * (20 + stream);
    for step in 0..40 {
        for stream in 0..64 {
            driver.page(page(stream, step));
        }
    }
    for stream in 0..64 {
        let next = PageIndex(page(stream, 40));
        assert!(driver.steps.iter().any(|range| range.contains(next)), "stream {stream}");
    }
    assert_eq!(sum(&driver.reads), PageCount(0), "no runs among them");
}

#[test]
fn forty_forward_and_twenty_backward_runs_interleaved_are_kept_apart() {
    let mut driver = Driver::new();
    for step in 0..30 {
        for run in 0..40 {
            let start = run * 20_000 + step * 16;
            driver.touch(&[pages(start, start + 16)]);
        }
        for run in 40..60 {
            let start = run * 17_000 + 10_000 - step * 16;
            driver.touch(&[pages(start, start + 16)]);
        }
    }
    let covers = |page: u64| driver.planned().any(|range| range.contains(PageIndex(page)));
    for run in 0..40 {
        assert!(covers(run * 20_000 + 30 * 16), "forward run {run}");
    }
    for run in 40..60 {
        assert!(covers(run * 17_000 + 10_000 - 30 * 16), "backward run {run}");
    }
}
