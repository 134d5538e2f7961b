//! A device that tells only when nothing waits any more brings two windows of read-ahead at once, and then has
//! nothing to do until its reader has gone through the first: who takes longer for a window is slower as a
//! whole, though the device is the limit.

use mmap_ahead::page::{ByteLen, PageCount};
use mmap_ahead_sim::kernel::KernelOptions;
use mmap_ahead_sim::{DeviceModel, Knobs, Setup, Shape, Strategy, Tells, Workload, run};

fn seconds(tells: Tells, strategy: &str) -> f64 {
    let setup = Setup::default();
    let kernel =
        KernelOptions { ra_pages: PageCount(2048), io_pages: PageCount(1024), ..setup.kernel };
    let device = DeviceModel { tells, jitter_permille: 0, ..setup.device };
    let shape = Shape { file: ByteLen(256 << 20), ..Shape::default() };
    let workload = Workload::named("seq", &shape).unwrap();
    let strategy = Strategy::named(strategy, &Knobs::default()).unwrap();
    run(&workload, &strategy, &Setup { kernel, device, ..setup }).unwrap().virtual_seconds
}

#[test]
fn a_reader_that_copies_is_slower_than_one_that_does_not() {
    let [each_map, each_read] = ["default-mmap", "read"].map(|way| seconds(Tells::Each, way));
    let [map, read] = ["default-mmap", "read"].map(|way| seconds(Tells::Drained, way));
    println!("told of each: {each_map} and {each_read} s; drained: {map} and {read} s");
    assert!((each_read / each_map - 1.0).abs() < 0.03, "the device alone decides");
    assert!(read > 1.04 * map, "copying: {read} s, in place {map} s");
    assert!(map > each_map, "nobody is the faster for it");
}
