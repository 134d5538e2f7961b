//! What hangs on the assumptions: each at the ends of its range, everything else refitted.

use mmap_ahead::page::{ByteLen, PageCount};
use serde::Serialize;

use super::{assumed, fit, machine, one};
use crate::costs::Sheet;
use crate::{Error, Knobs, Setup};

/// Large enough that the windows' beginnings do not count.
const FILE: ByteLen = ByteLen(64 << 20);
/// Costs that Figure 1 does not give and that a result could hang on.
const COSTS: [&str; 8] = [
    "mode_switch",
    "exception",
    "syscall",
    "pte_table",
    "tlb_miss",
    "access_copied",
    "wake_up",
    "lock_bounce",
];

/// The sequential gains over default-mmap, in records of 4 KiB, with one assumption changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename = "choi_sensitivity")]
pub struct Sensitivity {
    /// Which assumption; `none` for the gains as they are.
    pub assumption: &'static str,
    /// What it is set to.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// The gain of map-ahead.
    pub map_ahead: f64,
    /// The gain of async map-ahead.
    pub async_map_ahead: f64,
    /// The gain of extended madvise.
    pub extended_madvise: f64,
}

/// Every assumption at both ends of its range.
///
/// # Errors
/// As [`run`](crate::run), and when an end of a range leaves nothing for a fitted cost.
pub fn sensitivity() -> Result<Vec<Sensitivity>, Error> {
    let plain = machine(&fit(&assumed())?)?;
    let mut all = vec![with("none", 0.0, "", &plain, &Knobs::default())?];
    for name in COSTS {
        let cost = assumed().cost(name)?.clone();
        for value in cost.range {
            let setup = machine(&fit(&changed(name, value)?)?)?;
            all.push(with(name, value, cost.unit.text(), &setup, &Knobs::default())?);
        }
    }
    for pages in [16, 64, 2048] {
        let knobs = Knobs { window: Some(PageCount(pages)), distance: None };
        all.push(with("largest window", pages as f64, "pages", &plain, &knobs)?);
    }
    for pages in [64, 4096] {
        let knobs = Knobs { window: None, distance: Some(PageCount(pages)) };
        all.push(with("distance", pages as f64, "pages", &plain, &knobs)?);
    }
    let cores = Setup { cores: 1, ..plain };
    all.push(with("cores", 1.0, "cores", &cores, &Knobs::default())?);
    let disturbed = changed_fit("access_disturbed", 0.0)?;
    all.push(with("access_disturbed", 0.0, "ns", &machine(&disturbed)?, &Knobs::default())?);
    Ok(all)
}

fn changed(name: &str, value: f64) -> Result<Sheet, Error> {
    let mut sheet = assumed();
    sheet.set(name, value)?;
    Ok(sheet)
}

fn changed_fit(name: &str, value: f64) -> Result<Sheet, Error> {
    let mut sheet = fit(&assumed())?;
    sheet.set(name, value)?;
    Ok(sheet)
}

fn with(
    assumption: &'static str,
    value: f64,
    unit: &'static str,
    setup: &Setup,
    knobs: &Knobs,
) -> Result<Sensitivity, Error> {
    let seconds = |strategy| {
        one(strategy, knobs, setup, "seq", FILE, 4096).map(|report| report.virtual_seconds)
    };
    let baseline = seconds("default-mmap")?;
    let gain = |strategy| seconds(strategy).map(|seconds| baseline / seconds - 1.0);
    Ok(Sensitivity {
        assumption,
        value,
        unit,
        map_ahead: gain("map-ahead")?,
        async_map_ahead: gain("async-map-ahead")?,
        extended_madvise: gain("extended-madvise")?,
    })
}
