//! The engine reads runs in blocks of 2 MiB, however little the kernel reads ahead: the folios are large, and the
//! device fills few pieces of memory. (The engine's `fetch/twin`; KERNEL.md 2.3.)

use mmap_ahead::page::{ByteLen, Nanos, PageCount};
use mmap_ahead_sim::kernel::KernelOptions;
use mmap_ahead_sim::{DeviceModel, Knobs, Report, Setup, Shape, Strategy, Workload, run};

const LEN: ByteLen = ByteLen(64 << 20);

/// The machine of the preset `nvme`, where a piece of memory takes the device longer than its bytes.
fn machine() -> Setup {
    let setup = Setup::default();
    let kernel = KernelOptions { ra_pages: PageCount(32), ..setup.kernel };
    let device = DeviceModel { segment_ns: Nanos(2_000), jitter_permille: 0, ..setup.device };
    Setup { kernel, device, ..setup }
}

fn read(pattern: &str, strategy: &str) -> Report {
    let shape = Shape { file: LEN, ..Shape::default() };
    let workload = Workload::named(pattern, &shape).unwrap();
    let strategy = Strategy::named(strategy, &Knobs::default()).unwrap();
    run(&workload, &strategy, &machine()).unwrap()
}

#[test]
fn a_run_takes_little_more_than_the_bare_device() {
    let bare = machine().device.transfer(LEN).0 as f64 / 1e9;
    let plain = read("seq", "default-mmap").virtual_seconds;
    for policy in ["ramp", "adaptive"] {
        let ahead = read("seq", policy).virtual_seconds;
        println!("{policy}: {ahead} s, plain {plain}, the device {bare}");
        assert!(ahead < 1.25 * bare, "{policy}: {ahead} s, the device takes {bare}");
        assert!(ahead < 0.8 * plain, "{policy}: {ahead} s, plain mmap {plain}");
    }
}

#[test]
fn nothing_is_read_twice_and_nothing_beyond_the_file() {
    let report = read("seq", "adaptive");
    assert_eq!(report.counts.io_bytes, LEN.0);
    assert_eq!(report.counts.touched_pages, LEN.0 / 4096);
}

#[test]
fn a_backward_run_is_read_in_blocks_too() {
    let bare = machine().device.transfer(LEN).0 as f64 / 1e9;
    let time = read("reverse", "adaptive").virtual_seconds;
    assert!(time < 1.5 * bare, "{time} s, the device {bare}");
}
