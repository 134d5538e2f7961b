//! The model, pinned by exact counts on traces small enough to follow by hand.

use mmap_ahead::PolicyKind;
use mmap_ahead::page::{ByteLen, Nanos, PageCount, PageIndex, PageRange};
use mmap_ahead::policy::{Event, Outcome, Plan, Policy};
use mmap_ahead_sim::{CacheState, Comparison, Costs, DeviceModel, Setup, Trace, run, run_watched};

/// Costs in round numbers: a byte takes 1 ns, and the observer looks every ns.
fn setup(cache: CacheState) -> Setup {
    let costs = Costs {
        fault_ns: Nanos(10),
        populate_page_ns: Nanos(2),
        advise_ns: Nanos(1),
        poll_ns: Nanos(1),
        read_around: PageCount(16),
        request_max: PageCount(256),
    };
    let (latency_ns, bytes_per_s) = (Nanos(1_000), 1_000_000_000);
    let device = DeviceModel { latency_ns, bytes_per_s, queue_depth: 4 };
    Setup { costs, device, cache, ..Setup::default() }
}

fn pages(start: u64, end: u64) -> PageRange {
    PageRange::new(PageIndex(start), PageIndex(end))
}

/// Plans the same once, at the first touch it hears of, and keeps what it hears.
#[derive(Default)]
struct Once {
    reads: Vec<PageRange>,
    windows: Vec<(PageRange, Option<PageIndex>)>,
    touched: Vec<(Nanos, Vec<PageRange>)>,
    fetched: Vec<(PageRange, Nanos, Outcome)>,
}

impl Policy for Once {
    fn name(&self) -> &'static str {
        "once"
    }

    fn on(&mut self, event: &Event<'_>, plan: &mut Plan) {
        match *event {
            Event::Touched { pages, at } => self.touched.push((at, pages.to_vec())),
            Event::Fetched { range, took, outcome, .. } => {
                self.fetched.push((range, took, outcome))
            }
            _ => {}
        }
        self.reads.drain(..).for_each(|range| plan.read(range));
        self.windows.drain(..).for_each(|(range, trigger)| plan.window(range, trigger));
    }
}

fn trace(pages: u64, body: &str) -> Trace {
    Trace::parse("t", &format!("mmap-ahead-trace 1\npages {pages}\n{body}")).unwrap()
}

#[test]
fn without_a_policy_every_block_faults_once_and_waits_for_the_disk_when_cold() {
    let trace = Trace::sequential(PageCount(64), Nanos(100));
    let cold = Comparison::of(&trace, &[PolicyKind::Off], &setup(CacheState::Cold)).unwrap();
    let counts = cold.reports[0].counts;
    assert_eq!((counts.hits, counts.minor_faults, counts.major_faults), (60, 0, 4));
    let block_read = 1_000 + 16 * 4096;
    assert_eq!(counts.virtual_ns, 64 * 100 + 4 * (10 + block_read));
    assert_eq!((cold.reports[0].accuracy, cold.reports[0].coverage), (None, 60.0 / 64.0));

    let warm = Comparison::of(&trace, &[PolicyKind::Off], &setup(CacheState::Warm)).unwrap();
    let counts = warm.reports[0].counts;
    assert_eq!((counts.hits, counts.minor_faults, counts.major_faults), (60, 4, 0));
    assert_eq!(counts.virtual_ns, 64 * 100 + 4 * 10);
}

#[test]
fn a_window_carried_out_in_time_leaves_no_faults_but_the_markers() {
    let trace = trace(64, "think_ns 100\n0..64");
    let windows = vec![(pages(16, 64), Some(PageIndex(32)))];
    let mut policy = Once { windows, ..Once::default() };
    let report = run(&trace, &mut policy, &setup(CacheState::Warm)).unwrap();
    assert_eq!(report.counts.minor_faults, 2, "page 0, and the marker");
    assert_eq!(report.counts.virtual_ns, 64 * 100 + 2 * 10);
    assert_eq!((report.counts.fetched_pages, report.counts.used_pages), (32, 32));
    assert_eq!((report.accuracy, report.timeliness), (Some(1.0), Some(1.0)));
    let seen: Vec<_> = policy.touched.iter().map(|(_, pages)| pages.clone()).collect();
    assert_eq!(seen, [vec![pages(0, 16)], vec![pages(32, 48)]]);
    // One call, and 32 pages.
    assert_eq!(policy.fetched, [(pages(16, 64), Nanos(1 + 32 * 2), Outcome::Done)]);
}

#[test]
fn a_page_still_being_read_makes_the_reader_late_by_what_is_left() {
    let trace = trace(64, "think_ns 100\n0\n32");
    let mut policy = Once { reads: vec![pages(32, 48)], ..Once::default() };
    let report = run(&trace, &mut policy, &setup(CacheState::Cold)).unwrap();
    let block_read = 1_000 + 16 * 4096;
    let seen_at = block_read + 10 + 1;
    let touched_at = block_read + 10 + 100;
    let ready_at = seen_at + block_read;
    assert_eq!((report.counts.late, report.counts.late_ns), (1, ready_at - touched_at));
    assert_eq!(report.counts.major_faults, 2);
    assert_eq!(report.counts.virtual_ns, ready_at + 10 + 100);
    assert_eq!((report.counts.fetched_pages, report.counts.used_pages), (16, 1));
}

#[test]
fn a_page_still_being_mapped_is_late_and_faults_by_itself() {
    // Seen at 11 ns; mapping 1,024 pages lasts from 12 to 2,060.
    let trace = trace(2048, "think_ns 100\n0\n500");
    let mut policy = Once { windows: vec![(pages(16, 1040), None)], ..Once::default() };
    let report = run(&trace, &mut policy, &setup(CacheState::Warm)).unwrap();
    assert_eq!((report.counts.late, report.counts.late_ns), (1, 2_060 - 110));
    assert_eq!(report.counts.virtual_ns, 220, "it does not wait for the worker");
    assert_eq!(policy.touched.len(), 1, "and nobody sees it: it is inside a window");
}

#[test]
fn a_marker_touched_before_its_window_is_mapped_is_false() {
    let trace = trace(2048, "think_ns 100\n0\n16\nthink_ns 10000\n17\n18");
    let windows = vec![(pages(16, 1040), Some(PageIndex(16)))];
    let mut policy = Once { windows, ..Once::default() };
    let report = run(&trace, &mut policy, &setup(CacheState::Warm)).unwrap();
    assert_eq!(report.counts.false_markers, 1);
    assert_eq!(policy.touched.len(), 1, "only the first touch was seen");
}

#[test]
fn what_exceeds_the_budget_is_clipped_and_counted() {
    let trace = trace(2048, "think_ns 100\n0\n8\n200\n201");
    let mut policy = Once {
        reads: vec![pages(16, 80), pages(16, 116)],
        windows: vec![(pages(1000, 1001), None)],
        ..Once::default()
    };
    let setup = Setup { budget: ByteLen(100 * 4096), ..setup(CacheState::Cold) };
    let mut ahead = Vec::new();
    let report = run_watched(&trace, &mut policy, &setup, &mut |step| ahead.push(step.ahead.0));
    let report = report.unwrap();
    assert_eq!(ahead, [64, 100, 100], "the second read shares its first 64 pages with the first");
    assert_eq!(report.counts.clipped_pages, 1);
    assert_eq!(report.counts.fetched_pages, 100);
    let outcomes: Vec<_> = policy.fetched.iter().map(|fetched| fetched.2).collect();
    assert_eq!(outcomes, [Outcome::Done, Outcome::Done, Outcome::Refused]);
}

#[test]
fn what_lies_beyond_the_file_is_refused() {
    let trace = trace(64, "think_ns 1000000\n0\n1\n2");
    let reads = vec![pages(60, 70), pages(64, 65), pages(u64::MAX - 1, u64::MAX)];
    let mut policy = Once { reads, ..Once::default() };
    let mut fetched = Vec::new();
    let mut watch = |step: &mmap_ahead_sim::Step| fetched.extend(step.fetched.clone());
    let report = run_watched(&trace, &mut policy, &setup(CacheState::Cold), &mut watch).unwrap();
    fetched.retain(|range| !range.is_empty());
    assert_eq!(fetched, [pages(60, 64)]);
    assert_eq!(report.counts.clipped_pages, 6 + 1 + 1);
    assert!(policy.fetched.iter().all(|fetched| fetched.2 == Outcome::Refused));
}

#[test]
fn policies_that_plan_gain_on_a_sequential_scan() {
    let trace = Trace::sequential(PageCount(16 << 10), Nanos(242));
    for cache in [CacheState::Cold, CacheState::Warm] {
        let setup = Setup { cache, ..Setup::default() };
        let all = Comparison::of(&trace, &PolicyKind::ALL, &setup).unwrap();
        let off = all.reports[0].counts.virtual_ns;
        let runs = all.reports[1..].iter().filter(|report| report.policy != "stride");
        for report in runs {
            assert!(report.counts.virtual_ns < off, "{cache:?}\n{all}");
            assert_eq!(report.accuracy, Some(1.0), "{cache:?}\n{all}");
        }
    }
}

#[test]
fn a_device_without_bandwidth_is_refused() {
    let device = DeviceModel { bytes_per_s: 0, ..DeviceModel::default() };
    let setup = Setup { device, ..Setup::default() };
    let trace = Trace::sequential(PageCount(1), Nanos(0));
    let error = Comparison::of(&trace, &PolicyKind::ALL, &setup).unwrap_err();
    assert_eq!(error.to_string(), "a device needs a bandwidth and a queue above 0");
}
