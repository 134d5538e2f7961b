//! The run loop, pinned by exact numbers on walks small enough to follow by hand.

mod common;

use common::{Once, machine, pages, trace};
use mmap_ahead::page::{ByteLen, Nanos, PageIndex};
use mmap_ahead::policy::Outcome;
use mmap_ahead_sim::{CacheState, Kind, Knobs, Setup, Shape, Strategy, Workload, run, run_watched};

/// 10 ns for every fault, 100 ns for every page.
const COSTS: [(&str, f64); 3] =
    [("minor_fault_base", 10.0), ("access_page", 100.0), ("copy", 0.05)];

fn named(name: &str) -> Strategy {
    Strategy::named(name, &Knobs::default()).unwrap()
}

#[test]
fn a_warm_file_faults_once_for_every_fault_around() {
    let setup = machine(CacheState::Warm, &COSTS);
    let report = run(&trace(64, "0..64"), &named("default-mmap"), &setup).unwrap();
    let counts = report.counts;
    assert_eq!((counts.touches, counts.hits), (64, 60));
    assert_eq!((counts.minor_faults, counts.major_faults, counts.ptes), (4, 0, 64));
    assert_eq!(counts.virtual_ns, 64 * 100 + 4 * 10);
    assert_eq!(report.breakdown.of(Kind::FileAccess), Nanos(6400));
    assert_eq!((report.accuracy, report.coverage), (None, 60.0 / 64.0));
}

#[test]
fn a_cold_file_waits_for_the_device_and_for_nothing_else() {
    let setup = machine(CacheState::Cold, &COSTS);
    let report = run(&trace(16, "0"), &named("default-mmap"), &setup).unwrap();
    // Read-around clips at the file's start: 0..8 of the 16 pages around.
    let bytes = report.counts.io_bytes;
    assert_eq!((report.counts.major_faults, report.counts.ios), (1, 1));
    assert_eq!(report.breakdown.of(Kind::IoStall), Nanos(1_000 + bytes));
}

#[test]
fn a_window_carried_out_in_time_leaves_no_faults_but_the_markers() {
    let setup = machine(CacheState::Warm, &COSTS);
    let setup =
        Setup { costs: mmap_ahead_sim::Costs { look_period: Nanos(1), ..setup.costs }, ..setup };
    let once = Once { windows: vec![(pages(16, 64), Some(PageIndex(32)))], ..Once::default() };
    let report = run(&trace(64, "0..64"), &once.strategy(), &setup).unwrap();
    assert_eq!(report.counts.minor_faults, 2, "page 0, and the marker");
    assert_eq!(report.counts.virtual_ns, 64 * 100 + 2 * 10);
    assert_eq!((report.counts.fetched_pages, report.counts.used_pages), (32, 32));
    assert_eq!((report.accuracy, report.timeliness), (Some(1.0), Some(1.0)));
    let heard = once.heard();
    let seen: Vec<_> = heard.touched.iter().map(|(_, pages)| pages.clone()).collect();
    assert_eq!(seen, [vec![pages(0, 16)], vec![pages(32, 48)]]);
    assert_eq!(heard.fetched.len(), 1);
    assert_eq!(heard.fetched[0].2, Outcome::Done);
}

#[test]
fn a_page_still_being_read_is_late_by_what_is_left() {
    let setup = machine(CacheState::Cold, &COSTS);
    let once = Once { reads: vec![pages(64, 80)], ..Once::default() };
    let report = run(&trace(128, "think_ns 30000\n0\n64"), &once.strategy(), &setup).unwrap();
    assert_eq!(report.counts.late, 1);
    let stalled = report.breakdown.of(Kind::IoStall).0;
    assert!(report.counts.late_ns > 0 && report.counts.late_ns < stalled, "{report:?}");
    assert_eq!((report.counts.fetched_pages, report.counts.used_pages), (16, 1));
    assert_eq!(report.pollution, Some(15.0 / 2.0));
}

#[test]
fn what_exceeds_the_budget_is_clipped_and_counted() {
    let setup = machine(CacheState::Cold, &COSTS);
    let setup = Setup { budget: ByteLen(100 * 4096), ..setup };
    let once = Once {
        reads: vec![pages(16, 80), pages(16, 116)],
        windows: vec![(pages(1000, 1001), None)],
        ..Once::default()
    };
    let mut ahead = Vec::new();
    // Nobody reads what the window is about: the helper gives up waiting for it after 20 ms.
    let walk = trace(2048, "think_ns 20000000\n0\n1\n2\n3");
    let mut watch = |step: &mmap_ahead_sim::Step| ahead.push(step.ahead.0);
    let report = run_watched(&walk, &once.strategy(), &setup, &mut watch).unwrap();
    assert_eq!(ahead, [64, 100, 100], "the second read shares its first 64 pages with the first");
    assert_eq!(report.counts.clipped_pages, 1);
    let outcomes: Vec<_> = once.heard().fetched.iter().map(|fetched| fetched.2).collect();
    assert_eq!(outcomes, [Outcome::Done, Outcome::Done, Outcome::Refused]);
}

#[test]
fn what_lies_beyond_the_file_is_refused() {
    let setup = machine(CacheState::Cold, &COSTS);
    let reads = vec![pages(60, 70), pages(64, 65), pages(u64::MAX - 1, u64::MAX)];
    let once = Once { reads, ..Once::default() };
    let walk = trace(64, "think_ns 1000000\n0\n1\n2");
    let mut fetched = Vec::new();
    let mut watch = |step: &mmap_ahead_sim::Step| fetched.extend(step.fetched.clone());
    let report = run_watched(&walk, &once.strategy(), &setup, &mut watch).unwrap();
    fetched.retain(|range| !range.is_empty());
    assert_eq!(fetched, [pages(60, 64)]);
    assert_eq!(report.counts.clipped_pages, 6 + 1 + 1);
    assert!(once.heard().fetched.iter().all(|fetched| fetched.2 == Outcome::Refused));
}

#[test]
fn readers_beyond_the_cores_wait_for_them() {
    let shape =
        Shape { file: ByteLen(64 << 20), threads: 2, touch: Some(4096), ..Shape::default() };
    let workload = Workload::named("seq", &shape).unwrap();
    let seconds = |cores| {
        let setup =
            Setup { cores, ..machine(CacheState::Warm, &[("access_page", 1000.0), ("copy", 0.5)]) };
        let report = run(&workload, &named("default-mmap"), &setup).unwrap();
        (report.counts.virtual_ns, report.breakdown.of(Kind::CoreWait).0)
    };
    let pages = (64 << 20) / 4096;
    assert_eq!(seconds(2), (pages * 1000 / 2, 0));
    let (both, waited) = seconds(1);
    assert_eq!(both, pages * 1000);
    assert!(waited >= both / 3, "{waited} of {both}");
}

#[test]
fn mapping_is_alone_with_the_lock() {
    let shape = Shape { file: ByteLen(1 << 20), threads: 4, ..Shape::default() };
    let workload = Workload::named("files:4KiB*4", &shape).unwrap();
    let costs = [("map_call", 1000.0), ("access_page", 1.0), ("copy", 0.5)];
    let setup = Setup { cores: 4, ..machine(CacheState::Warm, &costs) };
    let report = run(&workload, &named("default-mmap"), &setup).unwrap();
    // 1024 files are mapped and unmapped, one at a time.
    assert!(report.counts.virtual_ns >= 2 * 1024 * 1000, "{report:?}");
    assert!(report.breakdown.of(Kind::LockWait).0 > report.breakdown.of(Kind::Calls).0);
}

#[test]
fn a_mapping_cache_saves_every_fault_but_the_first() {
    let shape = Shape { file: ByteLen(1 << 20), ..Shape::default() };
    let workload = Workload::named("files:64KiB*5", &shape).unwrap();
    let setup = machine(CacheState::Warm, &COSTS);
    let faults = |name| run(&workload, &named(name), &setup).unwrap().faults();
    assert_eq!(faults("default-mmap"), 16 * 5);
    assert_eq!(faults("mapping-cache"), 16);
}

#[test]
fn touches_beyond_the_file_are_refused() {
    use mmap_ahead_sim::kernel::Access;
    use mmap_ahead_sim::workload::{Item, Touch};
    let touch = Touch { offset: 4090, len: 7, think: Nanos(0), thread: 0, access: Access::Load };
    let workload = Workload::new("t", ByteLen(4096), 1, move |_| {
        Ok(Box::new([Ok(Item::Touch(touch))].into_iter()))
    });
    let error = run(&workload, &Strategy::default(), &Setup::default()).unwrap_err();
    assert_eq!(error.to_string(), "a touch lies beyond the end of the file");
}
