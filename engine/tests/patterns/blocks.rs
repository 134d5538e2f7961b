//! A block at a constant distance: a column, a tile.

use super::*;

#[test]
fn blocks_are_learnt_by_what_is_read_behind_each_step() {
    let mut driver = Driver::new();
    for step in 0..4 {
        driver.page(step * 256);
    }
    // The reader is seen to fault on the first page that was not read for it.
    let mut extent = 1;
    for step in 4..9 {
        driver.page(step * 256);
        if extent < 16 {
            let behind = step * 256 + extent;
            let plan = driver.read_on(&[pages(behind, behind + 1)]);
            let more: Vec<_> = plan.steps().iter().map(|s| s.range.start.0 % 256).collect();
            assert!(more.iter().all(|&at| at == extent), "the rest of what is planned: {more:?}");
            assert!(plan.steps().iter().all(|step| step.stream.is_none()), "{plan:?}");
            extent *= 2;
        }
    }
    (9..40).for_each(|step| _ = driver.page(step * 256));
    let whole = driver.steps.iter().rev().take(30);
    assert!(whole.clone().count() == 30 && whole.clone().all(|s| s.count() == PageCount(16)));
}

#[test]
fn long_blocks_are_known_from_the_runs_that_they_began_as() {
    let mut driver = Driver::new();
    for step in 0..5 {
        let start = step * 1024;
        for block in 0..8 {
            driver.touch(&[pages(start + block * 16, start + block * 16 + 16)]);
        }
    }
    assert_eq!(driver.steps.first(), Some(&pages(5120, 5120 + 128)));
}

/// Steps that were planned shorter are found longer one after the other: that is the same news again.
#[test]
fn what_was_found_of_steps_that_were_planned_shorter_begins_no_stride() {
    let mut driver = Driver::new();
    for step in 0..200 {
        driver.page(step * 256);
        if step >= 4 {
            driver.read_on(&[pages(step * 256 + 1, step * 256 + 2 + step % 16)]);
        }
    }
    assert!(are_disjoint(&driver.awaited), "one stride, not several side by side");
    assert!(driver.awaited.iter().all(|step| step.start.0 % 256 == 0));
}
