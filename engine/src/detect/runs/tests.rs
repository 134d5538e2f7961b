use super::*;

fn pages(start: u64, end: u64) -> PageRange {
    PageRange::new(PageIndex(start), PageIndex(end))
}

/// What a touch meant, and in which slot.
#[derive(Debug, PartialEq)]
enum Meant {
    Began(usize),
    WentOn(usize),
    Behind(usize),
}

fn touch(runs: &mut Runs, touched: PageRange) -> Meant {
    match runs.claim(touched) {
        Some(Seen::Advanced { slot, .. }) => Meant::WentOn(slot),
        Some(Seen::Behind(slot)) => Meant::Behind(slot),
        None => Meant::Began(runs.begin(touched)),
    }
}

#[test]
fn two_interleaved_runs_keep_their_slots() {
    let mut runs = Runs::new(PageCount(16));
    assert_eq!(touch(&mut runs, pages(0, 16)), Meant::Began(0));
    assert_eq!(touch(&mut runs, pages(1000, 1016)), Meant::Began(1));
    assert_eq!(touch(&mut runs, pages(16, 32)), Meant::WentOn(0));
    assert_eq!(touch(&mut runs, pages(1016, 1032)), Meant::WentOn(1));
    assert_eq!(runs.run(0).next, PageIndex(32));
    assert_eq!(runs.run(1).advances, 1);
}

#[test]
fn a_touch_inside_the_reach_belongs_to_the_run() {
    let mut runs = Runs::new(PageCount(16));
    touch(&mut runs, pages(0, 16));
    runs.reached(0, PageIndex(512));
    assert_eq!(touch(&mut runs, pages(480, 496)), Meant::WentOn(0));
    assert_eq!(touch(&mut runs, pages(600, 616)), Meant::Began(1), "beyond reach and slack");
}

#[test]
fn the_quietest_run_makes_room() {
    let mut runs = Runs::new(PageCount(16));
    for run in 0..RUNS_MAX as u64 {
        touch(&mut runs, pages(run * 1000, run * 1000 + 16));
    }
    touch(&mut runs, pages(16, 32));
    assert_eq!(touch(&mut runs, pages(900_000, 900_016)), Meant::Began(1), "run 0 was just used");
}

#[test]
fn pages_ahead_of_other_runs_are_counted_once() {
    let mut runs = Runs::new(PageCount(16));
    touch(&mut runs, pages(0, 16));
    touch(&mut runs, pages(1000, 1016));
    runs.reached(0, PageIndex(116));
    assert_eq!(runs.ahead_of_others(1), PageCount(100));
    assert_eq!(runs.ahead_of_others(0), PageCount(0));
    assert_eq!((runs.live_others(0), runs.live_others(1)), (0, 1));
}

#[test]
fn who_reads_again_from_the_start_is_a_run_of_its_own() {
    let mut runs = Runs::new(PageCount(1));
    for page in (0..2048).step_by(64) {
        assert_ne!(touch(&mut runs, pages(page, page + 64)), Meant::Behind(0));
    }
    assert_eq!(touch(&mut runs, pages(1600, 1616)), Meant::Behind(0), "a straggler");
    assert_eq!(touch(&mut runs, pages(0, 16)), Meant::Began(1));
    assert_eq!(touch(&mut runs, pages(16, 32)), Meant::WentOn(1));
    assert_eq!(touch(&mut runs, pages(2048, 2064)), Meant::WentOn(0));
}

#[test]
fn an_abandoned_run_claims_nothing() {
    let mut runs = Runs::new(PageCount(16));
    touch(&mut runs, pages(0, 16));
    runs.reached(0, PageIndex(116));
    assert_eq!(runs.ahead(), PageCount(100));
    for step in 0..2 * LIVE_TOUCHES {
        touch(&mut runs, pages(1000 + step * 16, 1016 + step * 16));
    }
    assert_eq!((runs.ahead(), runs.live_others(1)), (PageCount(0), 0));
}

/// A run that has gone on twice, from `start` on.
fn proven(runs: &mut Runs, start: u64) {
    (0..3).for_each(|step| _ = touch(runs, pages(start + step * 16, start + step * 16 + 16)));
}

#[test]
fn whatever_comes_between_takes_no_room_from_a_run_that_goes_on() {
    let mut runs = Runs::new(PageCount(16));
    (0..64).for_each(|run| proven(&mut runs, run * 1000));
    // As many strays as it may be quiet for, and one touch less.
    for stray in 1..LIVE_TOUCHES - 64 * 3 {
        touch(&mut runs, pages(1_000_000 + stray * 1000, 1_000_016 + stray * 1000));
    }
    for run in 0..64 {
        let next = pages(run * 1000 + 48, run * 1000 + 64);
        assert!(matches!(touch(&mut runs, next), Meant::WentOn(_)), "run {run}");
    }
}

#[test]
fn as_many_new_runs_take_the_place_of_those_that_are_abandoned() {
    let mut runs = Runs::new(PageCount(16));
    (0..64).for_each(|run| proven(&mut runs, run * 1000));
    let block = |run: u64, step: u64| {
        let start = 1_000_000 + run * 1000 + step * 16;
        pages(start, start + 16)
    };
    let mut went_on = 0;
    for step in 0..20 {
        let new = (0..64).map(|run| touch(&mut runs, block(run, step)));
        went_on = new.filter(|meant| matches!(meant, Meant::WentOn(_))).count();
    }
    assert_eq!(went_on, 64);
}
