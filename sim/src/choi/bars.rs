//! Figure 1, simulated.

use mmap_ahead::page::ByteLen;
use serde::Serialize;

use super::figure1::{BARS, Bar, PAGES, PIXEL_S};
use super::{machine, one};
use crate::costs::Sheet;
use crate::{Error, Kind, Knobs, Report};

/// Totals are to be this close.
const TOTAL_WITHIN: f64 = 0.02;
/// Components are to be this close, or within one pixel of the figure.
const COMPONENT_WITHIN: f64 = 0.05;

/// One bar, or a part of one, beside the paper's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename = "choi")]
pub struct Component {
    /// Which bar.
    pub case: &'static str,
    /// `total`, or which part.
    pub component: &'static str,
    /// What the paper shows, in seconds.
    pub paper_s: f64,
    /// What was simulated, in seconds.
    pub sim_s: f64,
    /// Simulated over paper, less 1; where the paper shows nothing, the seconds themselves.
    pub error: f64,
    /// Whether it is as close as it is meant to be: totals 2%, parts 5% or one pixel.
    pub within: bool,
}

/// All bars of Figure 1: the 4 GiB file, front to back in records of 4 KiB, with the costs of
/// `sheet`.
///
/// # Errors
/// As [`run`](crate::run).
pub fn bars(sheet: &Sheet) -> Result<Vec<Component>, Error> {
    let setup = machine(sheet)?;
    let mut all = Vec::new();
    for bar in BARS {
        let file = ByteLen(PAGES * 4096);
        let report = one(bar.case, &Knobs::default(), &setup, "seq", file, 4096)?;
        all.extend(components(&bar, &report));
    }
    Ok(all)
}

fn components(bar: &Bar, report: &Report) -> impl Iterator<Item = Component> {
    let seconds = |kind| report.breakdown.of(kind).0 as f64 / 1e9;
    // The figure has no part for mode switches: they are the fault's.
    let fault = seconds(Kind::PageFault) + seconds(Kind::ModeSwitch);
    let parts = [
        ("file_access", bar.file_access_s, seconds(Kind::FileAccess)),
        ("page_table_entry_construction", bar.pte_s, seconds(Kind::PteConstruction)),
        ("page_fault_overhead", bar.page_fault_s, fault),
    ];
    let case = bar.case;
    let total = component(case, "total", bar.total_s, report.virtual_seconds, TOTAL_WITHIN, 0.0);
    let parts = parts.into_iter().filter_map(move |(name, paper, sim)| {
        Some(component(case, name, paper?, sim, COMPONENT_WITHIN, PIXEL_S))
    });
    [total].into_iter().chain(parts)
}

fn component(
    case: &'static str,
    component: &'static str,
    paper_s: f64,
    sim_s: f64,
    share: f64,
    least_s: f64,
) -> Component {
    let off = sim_s - paper_s;
    let error = if paper_s > 0.0 { off / paper_s } else { off };
    let within = off.abs() <= (share * paper_s).max(least_s);
    Component { case, component, paper_s, sim_s, error, within }
}
