//! The mapping cache on files that are mapped again and again.

use mmap_ahead::page::{ByteLen, Nanos};
use serde::Serialize;

use super::figure1::{MAPPING_CACHE_OVER_READ, MAPPING_CACHE_WEB_GAIN};
use super::machine;
use crate::costs::Sheet;
use crate::workload::{Shape, Workload};
use crate::{Error, Knobs, Strategy, run};

/// Assumed of the microbenchmark: files of 1 MiB, 16 MiB together, each read 64 times in records of
/// 4 KiB, as in the later paper's Figure 1.
const MICRO: (&str, Shape) = ("files:1MiB*64", Shape { touch: Some(4096), ..shape(Nanos(0)) });
/// Assumed of the web server: files of 64 KiB, 16 MiB together, each sent 64 times in one piece, and
/// 50 us of its own work for each.
const WEB: (&str, Shape) = ("files:64KiB*64", shape(Nanos(50_000)));

const fn shape(think: Nanos) -> Shape {
    Shape { file: ByteLen(16 << 20), touch: None, think, threads: 1, steps: None }
}

/// One experiment with the mapping cache.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename = "choi_mapping_cache")]
pub struct Repeated {
    /// Which experiment.
    pub case: &'static str,
    /// What it is held against.
    pub baseline: &'static str,
    /// How many times as fast as that the companion paper's abstract says; `None`: it does not.
    pub paper_speedup: Option<f64>,
    /// The same, simulated.
    pub sim_speedup: f64,
    /// Seconds with the mapping cache.
    pub sim_s: f64,
    /// What is assumed of it.
    pub workload: &'static str,
}

/// The microbenchmark and the web server, against read(2) and against mmap.
///
/// # Errors
/// As [`run`](crate::run).
pub fn repeated(sheet: &Sheet) -> Result<Vec<Repeated>, Error> {
    let setup = machine(sheet)?;
    let mut all = Vec::new();
    let cases = [
        ("microbenchmark", MICRO, Some(MAPPING_CACHE_OVER_READ)),
        ("web-server", WEB, Some(1.0 + MAPPING_CACHE_WEB_GAIN)),
    ];
    for (case, (workload, shape), paper) in cases {
        let files = Workload::named(workload, &shape)?;
        let seconds = |name| {
            let strategy = Strategy::named(name, &Knobs::default())?;
            Ok::<f64, Error>(run(&files, &strategy, &setup)?.virtual_seconds)
        };
        let sim_s = seconds("mapping-cache")?;
        for (baseline, paper_speedup) in [("read", paper), ("default-mmap", None)] {
            let sim_speedup = seconds(baseline)? / sim_s;
            all.push(Repeated { case, baseline, paper_speedup, sim_speedup, sim_s, workload });
        }
    }
    Ok(all)
}
