//! The engine's two other observers, as strategies: trips on closed windows, and userfaults.

mod common;

use common::{machine, trace};
use mmap_ahead::page::{ByteLen, PageCount};
use mmap_ahead_sim::kernel::{FileKind, KernelOptions, Profile};
use mmap_ahead_sim::{CacheState, Knobs, Report, Setup, Shape, Strategy, Workload, run};

fn simulate(workload: &Workload, strategy: &str, setup: &Setup) -> Report {
    run(workload, &Strategy::named(strategy, &Knobs::default()).unwrap(), setup).unwrap()
}

fn named(pattern: &str, bytes: u64) -> Workload {
    Workload::named(pattern, &Shape { file: ByteLen(bytes), ..Shape::default() }).unwrap()
}

/// A file in memory, in pages of 4 KiB.
fn in_memory() -> Setup {
    let kernel = KernelOptions::tmpfs(Profile::V6_18, PageCount(0));
    Setup { cache: CacheState::Warm, kernel, ..Setup::default() }
}

#[test]
fn without_a_policy_every_window_trips_once_and_each_trip_costs_its_signal() {
    // 2,048 pages: four windows of 2 MiB, one of them never touched.
    let steps = trace(2048, "0\n1\n600\n512\n2047\n600\n");
    let setup = machine(CacheState::Warm, &[("signal", 1000.0), ("protect", 70.0)]);
    let report = simulate(&steps, "guard:off", &setup);
    assert_eq!((report.counts.trips, report.breakdown.parts().nth(10).unwrap().1.0), (3, 3000));
    // All is closed by one call, and each trip opens a window by another.
    let calls = report.breakdown.parts().nth(5).unwrap();
    assert_eq!((calls.0, calls.1.0), ("calls_ns", 4 * 70));
    let plain = simulate(&steps, "default-mmap", &setup);
    assert_eq!(report.faults(), plain.faults(), "a trip is no fault that the kernel counts");
}

#[test]
fn a_guarded_run_trips_less_and_less_and_is_mapped_ahead() {
    let seq = named("seq", 256 << 20);
    let off = simulate(&seq, "guard:off", &in_memory());
    let adaptive = simulate(&seq, "guard:adaptive", &in_memory());
    assert_eq!(off.counts.trips, 128);
    assert!(adaptive.counts.trips < 64, "{} trips", adaptive.counts.trips);
    assert!(adaptive.counts.used_pages > 32 << 10, "{:?}", adaptive.counts);
    assert!(adaptive.virtual_seconds < off.virtual_seconds);
}

#[test]
fn a_paged_run_keeps_to_its_memory_and_to_the_disks_speed() {
    let setup = Setup::default();
    let len = 256 << 20;
    let report = simulate(&named("seq", len), "paged", &setup);
    let device = setup.device.transfer(ByteLen(len)).0 as f64 / 1e9;
    assert!(report.virtual_seconds < 1.25 * device, "{} s, {device}", report.virtual_seconds);
    assert_eq!(report.counts.io_bytes, len, "each page is read once");
    assert!(report.counts.userfaults < 1000, "{:?}", report.counts);
    assert_eq!(report.breakdown.total().0, report.counts.reader_ns);
}

#[test]
fn what_does_not_fit_into_paged_memory_is_read_again_and_what_fits_is_not() {
    let pages = |from: u64, to: u64| (from..to).map(|page| format!("{page}\n")).collect::<String>();
    // Three times over 24 MiB: in 64 MiB they stay, in 8 MiB they do not.
    let thrice = trace(6144, &pages(0, 6144).repeat(3));
    let with = |limit: u64| {
        let kernel =
            KernelOptions { memory_max: Some(PageCount(limit)), ..Setup::default().kernel };
        simulate(&thrice, "paged", &Setup { kernel, ..Setup::default() }).counts
    };
    let (large, small) = (with(16384), with(2048));
    assert_eq!(large.io_bytes, 24 << 20);
    assert!(small.io_bytes > 60 << 20, "{small:?}");
    assert!(small.userfaults > large.userfaults);
}

#[test]
fn a_lone_touch_of_a_paged_file_reads_one_page_and_waits_for_two_wake_ups() {
    let one = trace(2048, "700\n");
    let setup = machine(CacheState::Cold, &[("wake_up", 20_000.0)]);
    assert_eq!(setup.kernel.file_kind, FileKind::Disk);
    let report = simulate(&one, "paged:off", &setup);
    assert_eq!((report.counts.io_bytes, report.counts.userfaults), (4096, 1));
    // The service is woken, the disk takes 1 us and a nanosecond a byte, the reader is woken.
    assert_eq!(report.counts.virtual_ns, 2 * 20_000 + 1_000 + 4096);
}
