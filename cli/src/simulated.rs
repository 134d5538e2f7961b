//! The demo's simulated part: the same reading on a modelled disk, and the published experiment.

use mmap_ahead::page::{ByteLen, Nanos};
use mmap_ahead_bench::Error;
use mmap_ahead_sim::{Knobs, Preset, Setup, Shape, Strategy, Workload, choi, run};

use crate::report::Lines;
use crate::sim::{Line, wrong};

/// Whom the demo asks: the kernel as it comes, our policies, and the bound.
const STRATEGIES: [&str; 5] = ["default-mmap", "ramp", "streams", "adaptive", "oracle"];

/// In which orders: as the file lies, and as no kernel expects it.
const ORDERS: [&str; 2] = ["seq", "stride:128KiB"];

/// The modelled disk.
const MACHINE: Preset = Preset::Nvme;

/// Adds what each strategy takes for a file of `size` bytes, and Figure 1 of Choi et al.
///
/// # Errors
/// Those of the simulator.
pub(crate) fn add(lines: &mut Lines, size: u64) -> Result<(), Error> {
    let (file, think) = (ByteLen(size), Nanos(0));
    let shape = Shape { file, touch: None, think, threads: 1, steps: None };
    let setup = Setup::of(MACHINE);
    for order in ORDERS {
        let workload = Workload::named(order, &shape).map_err(wrong)?;
        for name in STRATEGIES {
            let strategy = Strategy::named(name, &Knobs::default()).map_err(wrong)?;
            let report = run(&workload, &strategy, &setup).map_err(wrong)?;
            lines.add(&Line { kind: "sim", machine: MACHINE.name(), report: &report })?;
        }
    }
    let sheet = choi::fit(&choi::assumed()).map_err(wrong)?;
    lines.add_all(&choi::bars(&sheet).map_err(wrong)?)
}
