//! What came of a run, and of several policies on one trace.

use std::fmt;

use mmap_ahead::PolicyKind;
use serde::Serialize;

use crate::run::{Setup, run};
use crate::{Error, Trace};

/// What was counted in a run: whole numbers, the same on every machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Steps of the trace.
    pub touches: u64,
    /// Touches of pages that were in the page table.
    pub hits: u64,
    /// Faults on cached pages.
    pub minor_faults: u64,
    /// Faults that waited for the device.
    pub major_faults: u64,
    /// Touches of pages that were on their way: faults of either kind.
    pub late: u64,
    /// By how much these pages were late, all together.
    pub late_ns: u64,
    /// Pages that plans brought into the page cache or the page table.
    pub fetched_pages: u64,
    /// Those of them that were touched later.
    pub used_pages: u64,
    /// Planned pages outside of the file or the budget.
    pub clipped_pages: u64,
    /// Markers that were present before anyone could watch them.
    pub false_markers: u64,
    /// How long the reader took.
    pub virtual_ns: u64,
}

/// One policy on one trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The trace's name.
    pub trace: String,
    /// The policy's name.
    pub policy: String,
    /// How long the reader took, in seconds.
    pub virtual_seconds: f64,
    /// Fetched pages that were used, of all fetched; `None` when nothing was fetched.
    pub accuracy: Option<f64>,
    /// Touches of pages that were mapped already, of all touches; the kernel's own fault-around
    /// alone makes some of it. 0 for an empty trace.
    pub coverage: f64,
    /// Used pages that were ready in time, of all used; `None` when none was used.
    pub timeliness: Option<f64>,
    /// What was counted.
    #[serde(flatten)]
    pub counts: Counts,
}

impl Report {
    pub(crate) fn new(trace: &str, policy: &str, counts: Counts) -> Report {
        let Counts { touches, hits, late, fetched_pages, used_pages, virtual_ns, .. } = counts;
        Report {
            trace: trace.into(),
            policy: policy.into(),
            virtual_seconds: virtual_ns as f64 / 1e9,
            accuracy: share(used_pages, fetched_pages),
            coverage: share(hits, touches).unwrap_or(0.0),
            timeliness: share(used_pages.saturating_sub(late), used_pages),
            counts,
        }
    }

    /// Faults of either kind.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.counts.minor_faults + self.counts.major_faults
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Several policies on one trace and one machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// A report for each policy, in the order asked for.
    pub reports: Vec<Report>,
}

impl Comparison {
    /// Walks `trace` once with each of `policies`.
    ///
    /// # Errors
    /// [`Error::Setup`] when the machine of `setup` cannot exist.
    pub fn of(trace: &Trace, policies: &[PolicyKind], setup: &Setup) -> Result<Comparison, Error> {
        let geometry = setup.geometry(trace);
        let one = |kind: &PolicyKind| run(trace, &mut *kind.build(geometry), setup);
        let reports = policies.iter().map(one).collect::<Result<_, _>>()?;
        Ok(Comparison { reports })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent =
            |share: Option<f64>| share.map_or("-".into(), |share| format!("{:.1}%", share * 100.0));
        let head = ["policy", "seconds", "faults", "late", "accuracy", "coverage", "in time"];
        let [policy, seconds, faults, late, accuracy, coverage, in_time] = head;
        write!(f, "{policy:<12}{seconds:>12}{faults:>10}{late:>8}")?;
        writeln!(f, "{accuracy:>10}{coverage:>10}{in_time:>10}")?;
        for report in &self.reports {
            let Report { policy, virtual_seconds, counts, .. } = report;
            let (faults, late) = (report.faults(), counts.late);
            write!(f, "{policy:<12}{virtual_seconds:>12.6}{faults:>10}{late:>8}")?;
            let shares = [report.accuracy, Some(report.coverage), report.timeliness];
            let [accuracy, coverage, in_time] = shares.map(percent);
            writeln!(f, "{accuracy:>10}{coverage:>10}{in_time:>10}")?;
        }
        Ok(())
    }
}
