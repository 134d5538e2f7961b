//! Whatever is run, the parts of a reader's time are all of it, and the oracle is the bound.

use mmap_ahead::page::{ByteLen, Nanos, PageCount};
use mmap_ahead_sim::kernel::{DaxExtents, KernelOptions, Profile};
use mmap_ahead_sim::{CacheState, Knobs, Preset, Report, Setup, Shape, Strategy, Workload, run};

const FILE: ByteLen = ByteLen(8 << 20);

fn machines() -> Vec<Setup> {
    let none = PageCount(0);
    let tmpfs = KernelOptions::tmpfs(Profile::V6_18, none);
    let limited = KernelOptions {
        memory_max: Some(PageCount(512)),
        ..KernelOptions::disk(Profile::V6_18, none)
    };
    let huge = KernelOptions::dax(Profile::V6_18, none, DaxExtents::Huge);
    let nvme = Setup::of(Preset::Nvme);
    vec![
        nvme,
        Setup { cache: CacheState::Warm, ..nvme },
        Setup { kernel: tmpfs, cache: CacheState::Warm, ..nvme },
        Setup { kernel: limited, ..nvme },
        Setup { kernel: KernelOptions::disk(Profile::V6_12, none), cores: 1, ..nvme },
        Setup { kernel: huge, ..Setup::of(Preset::OptaneDax) },
        Setup::of(Preset::Choi2017),
        Setup::of(Preset::ObjectStore30Ms),
    ]
}

fn all_of(workload: &Workload, setup: &Setup) -> Vec<Report> {
    let names = Strategy::names().into_iter().map(|name| name.replace(":N", ":64"));
    let strategies = names.map(|name| Strategy::named(&name, &Knobs::default()).unwrap());
    strategies.map(|strategy| run(workload, &strategy, setup).unwrap()).collect()
}

#[test]
fn every_strategy_on_every_machine_accounts_for_every_nanosecond_and_none_passes_the_oracle() {
    let workloads =
        ["seq", "reverse", "stride:64KiB", "streams:4", "random", "zipf:0.9", "files:64KiB*2"];
    for setup in machines() {
        for threads in [1, 2] {
            for name in workloads {
                let shape = Shape { file: FILE, think: Nanos(50), threads, ..Shape::default() };
                let workload = Workload::named(name, &shape).unwrap();
                let reports = all_of(&workload, &setup);
                let oracle = reports.iter().find(|report| report.strategy == "oracle").unwrap();
                for report in &reports {
                    let (parts, whole) = (report.breakdown.total().0, report.counts.reader_ns);
                    assert_eq!(parts, whole, "{report:?}");
                    let touches = report.counts.touches;
                    assert_eq!(touches, oracle.counts.touches, "{name} {}", report.strategy);
                    let (time, bound) = (report.counts.virtual_ns, oracle.counts.virtual_ns);
                    assert!(time >= bound, "{name} {}: {time}, oracle {bound}", report.strategy);
                    assert!(report.counts.used_pages <= report.counts.fetched_pages);
                }
            }
        }
    }
}
