use super::*;

fn pages(start: u64, end: u64) -> PageRange {
    PageRange::new(PageIndex(start), PageIndex(end))
}

const END: PageIndex = PageIndex(1 << 20);

#[test]
fn a_page_that_is_read_and_then_mapped_counts_once() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.add(pages(0, 512), How::READ), PageCount(512));
    assert_eq!(ledger.add(pages(16, 512), How::MAPPED), PageCount(0));
    assert_eq!(ledger.add(pages(256, 1024), How::MAPPED), PageCount(512));
    assert_eq!(ledger.ahead(), PageCount(1024));
    let passed = ledger.pass(pages(0, 2000));
    assert_eq!(passed, Passed { pages: 2000, used: 1024, mapped: 1008, read: 512 });
    assert_eq!(ledger.ahead(), PageCount(0));
}

#[test]
fn a_run_has_passed_what_lies_right_before_it_and_nothing_beyond_a_long_gap() {
    let mut ledger = Ledger::default();
    ledger.add(pages(0, 100), How::MAPPED);
    ledger.add(pages(1200, 1300), How::WINDOW_LEFT);
    ledger.add(pages(1300, 1400), How::MAPPED);
    let passed = ledger.run_to(PageIndex(1350), END);
    assert_eq!(passed, Passed { pages: 150, used: 50, mapped: 50, read: 0 });
    assert_eq!(ledger.ahead(), PageCount(150));
    assert_eq!(ledger.pass(pages(100, 116)).used, 100, "who reads on behind a window");
    ledger.add(pages(0, 100), How::MAPPED);
    assert!(ledger.holds(PageIndex(99)) && !ledger.holds(PageIndex(100)));
    assert!(ledger.holds(PageIndex(1350)) && !ledger.holds(PageIndex(1349)));
    assert_eq!(ledger.pass(pages(130, 140)).used, 100, "who was left a few pages to itself");
}

#[test]
fn steps_before_a_backward_reader_lie_ahead_of_it() {
    let mut ledger = Ledger::default();
    ledger.add(pages(0, 32), How::READ);
    assert_eq!(ledger.pass(pages(16, 32)).used, 16);
    assert_eq!(ledger.ahead(), PageCount(16));
}

#[test]
fn who_enters_the_last_window_of_a_file_has_it_counted() {
    let mut ledger = Ledger::default();
    ledger.add(pages(1000, 1016), How::WINDOW_LEFT);
    ledger.add(pages(1016, 1400), How::MAPPED);
    assert_eq!(ledger.run_to(PageIndex(1000), PageIndex(1401)), Passed::default());
    assert_eq!(ledger.run_to(PageIndex(1000), PageIndex(1400)).used, 384);
}

#[test]
fn what_lies_further_from_the_end_than_a_window_is_not_counted_before_it_is_passed() {
    let mut ledger = Ledger::default();
    ledger.add(pages(0, 1000), How::MAPPED);
    assert_eq!(ledger.run_to(PageIndex(0), PageIndex(1000)), Passed::default());
    assert_eq!(ledger.run_to(PageIndex(488), PageIndex(1000)).used, 1000);
}

#[test]
fn of_a_piece_that_is_passed_in_part_the_rest_stays() {
    let mut ledger = Ledger::default();
    ledger.add(pages(0, 100), How::READ);
    assert_eq!(ledger.pass(pages(20, 50)).used, 30);
    assert_eq!(ledger.ahead(), PageCount(70));
    assert!(ledger.holds(PageIndex(19)) && ledger.holds(PageIndex(50)));
    assert!(!ledger.holds(PageIndex(20)) && !ledger.holds(PageIndex(49)));
}

#[test]
fn what_is_fetched_in_two_ways_is_both() {
    let mut ledger = Ledger::default();
    // Read as steps, and then mapped as a window: who comes behind it has passed it.
    ledger.add(pages(0, 100), How::READ);
    ledger.add(pages(0, 100), How::MAPPED);
    assert_eq!(ledger.run_to(PageIndex(100), END).used, 100);
    // A tail that is a step as well is watched, and does not go with the step before it.
    ledger.add(pages(200, 202), How::READ);
    ledger.add(pages(202, 206), How::TAIL);
    ledger.add(pages(202, 206), How::READ);
    assert_eq!(ledger.pass(pages(200, 202)).used, 2);
    assert!(ledger.holds(PageIndex(205)));
}

#[test]
fn what_was_planned_anew_is_forgotten_last_and_what_was_left_alone_is_not_ahead() {
    let mut ledger = Ledger::default();
    for page in 0..PIECES_MAX as u64 {
        ledger.add(pages(page * 2, page * 2 + 1), How::LEFT);
    }
    ledger.add(pages(0, 1), How::READ);
    ledger.add(pages(1 << 30, (1 << 30) + 1), How::LEFT);
    assert!(ledger.holds(PageIndex(0)) && !ledger.holds(PageIndex(2)));
    assert_eq!(ledger.ahead(), PageCount(1));
}

#[test]
fn what_was_read_behind_a_step_goes_with_the_step() {
    let mut ledger = Ledger::default();
    ledger.add(pages(10, 12), How::READ);
    ledger.add(pages(12, 16), How::TAIL);
    ledger.add(pages(16, 18), How::READ);
    assert_eq!(ledger.pass(pages(10, 12)).used, 6);
    assert_eq!(ledger.ahead(), PageCount(2));
}

#[test]
fn what_nobody_comes_for_is_forgotten_in_the_end() {
    let mut ledger = Ledger::default();
    for page in 0..=PIECES_MAX as u64 {
        ledger.add(pages(page * 2, page * 2 + 1), How::READ);
    }
    assert_eq!(ledger.pieces.len(), PIECES_MAX / 2 + 1);
    assert_eq!(ledger.ahead().0, ledger.pieces.len() as u64);
    assert!(ledger.holds(PageIndex(PIECES_MAX as u64 * 2)) && !ledger.holds(PageIndex(0)));
}

#[test]
fn what_is_missing_is_what_was_not_fetched() {
    let mut ledger = Ledger::default();
    ledger.add(pages(10, 20), How::READ);
    ledger.add(pages(30, 40), How::LEFT);
    ledger.add(pages(50, 60), How::MAPPED);
    assert_eq!(ledger.missing(pages(0, 100)), PageCount(80));
    assert_eq!(ledger.missing(pages(15, 55)), PageCount(30));
    assert_eq!(ledger.missing(pages(12, 18)), PageCount(0));
    ledger.pass(pages(10, 15));
    assert_eq!(ledger.missing(pages(10, 20)), PageCount(5));
}

#[test]
fn what_nobody_came_for_in_20_seconds_is_not_ahead_of_anybody() {
    let seconds = |seconds: u64| Nanos(1_000_000_000_000 + seconds * 1_000_000_000);
    let mut ledger = Ledger::default();
    ledger.age(seconds(0));
    ledger.add(pages(0, 100), How::READ);
    ledger.age(seconds(9));
    ledger.add(pages(200, 300), How::READ);
    ledger.age(seconds(12));
    ledger.add(pages(400, 500), How::READ);
    // Fetched again: as if new.
    ledger.add(pages(0, 10), How::MAPPED);
    assert_eq!(ledger.ahead(), PageCount(300));
    ledger.age(seconds(21));
    assert_eq!(ledger.ahead(), PageCount(110));
    assert_eq!(ledger.pass(pages(200, 300)).used, 100, "it was of use all the same");
    assert_eq!(ledger.ahead(), PageCount(110));
    ledger.pass(pages(0, 5));
    assert_eq!(ledger.ahead(), PageCount(105));
    ledger.age(seconds(100));
    assert_eq!(ledger.ahead(), PageCount(0));
    ledger.pass(pages(400, 500));
    ledger.add(pages(0, 5), How::READ);
    assert_eq!(ledger.ahead(), PageCount(5));
}
