//! Steps of a stride are read alone, many at once, and left to the reader to map, as the engine does it.

use mmap_ahead::page::{ByteLen, PageCount};
use mmap_ahead_sim::kernel::KernelOptions;
use mmap_ahead_sim::{Knobs, Preset, Report, Setup, Shape, Strategy, Workload, run};

fn report(strategy: &str, setup: &Setup) -> Report {
    let shape = Shape { file: ByteLen(256 << 20), ..Shape::default() };
    let workload = Workload::named("stride:128KiB", &shape).unwrap();
    let strategy = Strategy::named(strategy, &Knobs::default()).unwrap();
    run(&workload, &strategy, setup).unwrap()
}

/// A disk with so much read-ahead.
fn disk(ra_pages: u64) -> Setup {
    let setup = Setup::of(Preset::Nvme);
    Setup { kernel: KernelOptions { ra_pages: PageCount(ra_pages), ..setup.kernel }, ..setup }
}

/// Measured, cold ext4, 128 KiB of read-ahead: 11 times; 350 ms against 36 on another day.
#[test]
fn a_cold_stride_is_several_times_faster_and_reads_its_pages_only() {
    let plain = report("default-mmap", &disk(32));
    for policy in ["engine:stride", "engine:adaptive"] {
        let ahead = report(policy, &disk(32));
        let gain = plain.virtual_seconds / ahead.virtual_seconds;
        assert!(gain > 5.0, "{policy}: {gain}");
        let counts = ahead.counts;
        // One page a step, and the kernel's own read-ahead until the stride is believed.
        assert!(counts.io_bytes < 2 * counts.touched_pages * 4096, "{policy}: {counts:?}");
        assert!(ahead.accuracy > Some(0.95), "{policy}: {:?}", ahead.accuracy);
    }
}

/// A kernel that reads 8 MiB ahead brings a run as fast as the disk can: nothing is read or mapped before.
#[test]
fn a_run_is_left_to_a_kernel_that_reads_far_ahead() {
    let shape = Shape { file: ByteLen(256 << 20), ..Shape::default() };
    let workload = Workload::named("seq", &shape).unwrap();
    let fetched = |ra_pages| {
        let ramp = Strategy::named("engine:ramp", &Knobs::default()).unwrap();
        run(&workload, &ramp, &disk(ra_pages)).unwrap().counts.fetched_pages
    };
    assert_eq!(fetched(2048), 0);
    assert!(fetched(32) > 30_000);
}
