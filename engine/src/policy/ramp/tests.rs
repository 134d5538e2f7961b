use super::*;
use crate::page::{ByteLen, Nanos, PageSize};
use crate::policy::{Outcome, Source};

fn ramp_of(len: u64, budget: ByteLen) -> Ramp {
    Ramp::new(Geometry::new(PageSize::FOUR_KIB, ByteLen(len), budget))
}

fn ramp() -> Ramp {
    ramp_of(1 << 30, crate::BUDGET_DEFAULT)
}

/// A touch somewhere in the 16 pages from `page` on.
fn touch(ramp: &mut Ramp, page: u64) -> Plan {
    let mut plan = Plan::new();
    let page = PageIndex(page);
    ramp.on(&Event::Touch { page, at: Nanos(0), source: Source::Marker }, &mut plan);
    plan
}

/// Carries the windows out.
fn fetch(ramp: &mut Ramp, plan: &Plan) {
    for window in plan.windows() {
        let (range, took, outcome) = (window.range, Nanos(0), Outcome::Done);
        let fetched = Event::Fetched { what: Fetch::Window, range, took, outcome };
        ramp.on(&fetched, &mut Plan::new());
    }
}

/// Touches each of `pages` and carries out what is planned; the last plan.
fn walk(ramp: &mut Ramp, pages: impl IntoIterator<Item = u64>) -> Plan {
    pages.into_iter().fold(Plan::new(), |_, page| {
        let plan = touch(ramp, page);
        fetch(ramp, &plan);
        plan
    })
}

fn windows(plan: &Plan) -> Vec<(u64, u64)> {
    plan.windows().iter().map(|w| (w.range.start.0, w.range.end.0)).collect()
}

#[test]
fn one_touch_plans_nothing_and_the_third_in_a_row_does_wherever_it_is() {
    for start in [0, 5000] {
        let mut ramp = ramp();
        assert!(touch(&mut ramp, start).is_empty());
        assert!(touch(&mut ramp, start + 16).is_empty());
        assert!(!touch(&mut ramp, start + 32).is_empty());
    }
}

#[test]
fn touches_with_gaps_start_no_run() {
    let mut ramp = ramp();
    assert!((0..64).all(|step| touch(&mut ramp, step * 32).is_empty()));
}

#[test]
fn who_is_first_seen_half_a_mebibyte_on_is_read_ahead_of_at_once() {
    let mut ramp = ramp();
    let mut plan = Plan::new();
    let pages = [PageRange::at(PageIndex(0), PageCount(200))];
    ramp.on(&Event::Touched { pages: &pages, at: Nanos(0) }, &mut plan);
    assert_eq!(plan.reads().first().map(|read| read.start), Some(PageIndex(200)));
}

#[test]
fn the_reader_is_left_a_window_and_met_behind_it() {
    let mut ramp = ramp();
    let plan = walk(&mut ramp, [0, 16, 32]);
    assert_eq!(plan.reads().first().map(|read| read.start), Some(PageIndex(48)));
    assert_eq!(plan.reads().last().map(|read| read.end), Some(PageIndex(512)));
    assert_eq!(windows(&plan), [(176, 256), (256, 384), (384, 512)]);
    assert_eq!(plan.overtaken_ranges(), [PageRange::new(PageIndex(48), PageIndex(176))]);
    assert!(plan.windows().iter().all(|w| w.trigger == Some(w.range.start)));
}

/// A reader that comes to each trigger after all that was planned is carried out.
#[test]
fn windows_double_up_to_two_mebibytes_and_never_overlap() {
    let mut ramp = ramp();
    walk(&mut ramp, [0, 16]);
    let (mut mapped, mut reader) = (176, 32);
    let mut triggers = std::collections::VecDeque::new();
    for _ in 0..30 {
        let plan = walk(&mut ramp, [reader]);
        for window in plan.windows() {
            let range = window.range;
            assert_eq!(range.start.0, mapped, "windows follow each other without gap or overlap");
            assert!(range.count() <= PageCount(512));
            mapped = range.end.0;
            triggers.extend(window.trigger);
        }
        assert!(mapped <= 512.max(3 * (reader + 16)), "no more than twice what was read");
        reader = triggers.pop_front().expect("a reader is always read ahead of").0;
    }
    assert!(mapped > 7000, "{mapped}");
}

#[test]
fn a_reader_that_overtook_the_windows_is_met_a_window_further_on() {
    let mut ramp = ramp();
    walk(&mut ramp, [0, 16, 32]);
    let plan = touch(&mut ramp, 520);
    let skipped = PageRange::at(PageIndex(536), PageCount(256));
    assert_eq!(plan.overtaken_ranges(), [skipped]);
    assert_eq!(plan.windows()[0].range.start, skipped.end);
}

#[test]
fn windows_that_are_planned_but_not_carried_out_do_not_count_as_ahead() {
    let mut ramp = ramp();
    walk(&mut ramp, [0, 16]);
    let skipped = |plan: Plan| plan.overtaken_ranges().len();
    assert_eq!(skipped(touch(&mut ramp, 32)), 1, "nothing is mapped yet");
    assert_eq!(skipped(touch(&mut ramp, 48)), 0, "the window behind the skipped one may do");
    assert_eq!(skipped(touch(&mut ramp, 176)), 1, "it did not");
}

#[test]
fn a_reader_that_jumps_is_soon_read_ahead_of_again() {
    let mut ramp = ramp();
    walk(&mut ramp, [0, 16, 32, 176, 256, 512, 1024, 2048]);
    let far = |step: u64| 200_000 + step * 16;
    let planned: u64 = (0..8).map(|step| touch(&mut ramp, far(step)).window_pages().0).sum();
    let run = 8 * 16;
    assert!((run / 2..=2 * run).contains(&planned), "{planned} pages after {run}");
}

#[test]
fn what_was_evicted_before_its_reader_came_is_planned_again() {
    let mut ramp = ramp();
    walk(&mut ramp, [0, 16, 32, 176, 256, 512, 1024]);
    let range = PageRange::new(PageIndex(1536), PageIndex(2048));
    ramp.on(&Event::Evicted { range }, &mut Plan::new());
    let plan = touch(&mut ramp, 1040);
    assert_eq!(plan.reads().first().map(|read| read.start), Some(PageIndex(1536)));
    let plan = touch(&mut ramp, 1041);
    assert!(plan.reads().is_empty(), "once");
}

#[test]
fn half_the_budget_is_the_most_that_is_ahead_and_nothing_lies_beyond_the_end() {
    let mut narrow = ramp_of(1 << 30, ByteLen(1 << 20));
    for page in [0, 16, 32, 48, 64, 96, 128] {
        let plan = touch(&mut narrow, page);
        let furthest = plan.reads().iter().map(|r| r.end.0).max().unwrap_or(0);
        assert!(furthest <= page + 16 + 128);
    }
    let mut short = ramp_of(400 * 4096, crate::BUDGET_DEFAULT);
    let plan = walk(&mut short, [0, 16, 32]);
    assert_eq!(windows(&plan).last().map(|window| window.1), Some(400));
}

#[test]
fn a_slow_reader_has_less_ahead_than_a_fast_one_once_its_pace_is_followed() {
    let ahead = |nanos_per_step: u64| {
        let mut ramp = ramp();
        ramp.follow_pace(Nanos(1_000_000));
        let mut furthest = 0;
        for step in 0..2000_u64 {
            let (page, at) = (PageIndex(step * 16), Nanos(1 + step * nanos_per_step));
            let mut plan = Plan::new();
            ramp.on(&Event::Touch { page, at, source: Source::Marker }, &mut plan);
            fetch(&mut ramp, &plan);
            furthest = plan.reads().iter().map(|r| r.end.0).max().unwrap_or(furthest);
        }
        (furthest - 2000 * 16) * 4096
    };
    let (slow, fast) = (ahead(2_000_000), ahead(20_000));
    assert!((1 << 20..6 << 20).contains(&slow), "{slow} bytes at 32 MB/s");
    assert!(fast > 28 << 20, "{fast} bytes at 3 GB/s");
}
