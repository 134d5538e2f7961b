//! What came of a run.

use mmap_ahead::page::Nanos;
use serde::Serialize;

use super::breakdown::Breakdown;
use super::reader::Reader;
use super::setup::Setup;
use super::world::World;
use crate::kernel::Work;
use crate::strategy::Strategy;
use crate::workload::Workload;

/// What was counted in a run: whole numbers, the same on every machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Accesses to pages; a step of the workload may be several.
    pub touches: u64,
    /// Accesses that needed no fault; with read(2), all.
    pub hits: u64,
    /// Faults of readers that did not wait for the device, as the kernel counts them.
    pub minor_faults: u64,
    /// Faults of readers that did.
    pub major_faults: u64,
    /// Touches of closed windows: a signal each.
    pub trips: u64,
    /// Touches of what a thread of the engine has to bring: they wait for it, and count as minor faults.
    pub userfaults: u64,
    /// How often readers entered the kernel.
    pub mode_switches: u64,
    /// Page-table entries that were made, by whomever; one for 2 MiB counts once.
    pub ptes: u64,
    /// Page tables that were made.
    pub page_tables: u64,
    /// Requests to the device.
    pub ios: u64,
    /// Bytes that the device brought.
    pub io_bytes: u64,
    /// Touches of pages that a plan was bringing and that were not there yet.
    pub late: u64,
    /// How long those took, all together.
    pub late_ns: u64,
    /// Pages that plans brought into the page cache or the page table.
    pub fetched_pages: u64,
    /// Those of them that were touched later.
    pub used_pages: u64,
    /// Planned pages outside of the file or the budget.
    pub clipped_pages: u64,
    /// Different pages that were touched.
    pub touched_pages: u64,
    /// Markers that were present before anyone could watch them.
    pub false_markers: u64,
    /// Looks of the observer that found something.
    pub looks: u64,
    /// CPU time of the helpers.
    pub helper_cpu_ns: u64,
    /// How long all readers took, one after the other: what the breakdown adds up to.
    pub reader_ns: u64,
    /// When the last reader ended.
    pub virtual_ns: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, work: &Work) {
        self.ptes += work.ptes + work.pmds;
        self.page_tables += work.tables;
    }
}

/// One strategy, one workload, one machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The workload's name.
    pub workload: String,
    /// The strategy's name.
    pub strategy: String,
    /// What decided everything random.
    pub seed: u64,
    /// When the last reader ended, in seconds.
    pub virtual_seconds: f64,
    /// Fetched pages that were used, of all fetched; `None` when nothing was fetched.
    pub accuracy: Option<f64>,
    /// Accesses that needed no fault, of all; the kernel's own fault-around alone makes some of it.
    /// 0 for an empty workload.
    pub coverage: f64,
    /// Used pages that were ready in time, of all used; `None` when none was used.
    pub timeliness: Option<f64>,
    /// Pages that plans brought and nobody used, for each page that was touched; `None` when none
    /// was touched.
    pub pollution: Option<f64>,
    /// What the readers' time went to; adds up to `reader_ns` exactly.
    pub breakdown: Breakdown,
    /// What was counted.
    #[serde(flatten)]
    pub counts: Counts,
}

impl Report {
    pub(crate) fn of(
        workload: &Workload,
        strategy: &Strategy,
        setup: &Setup,
        world: &World<'_>,
        readers: &[Reader],
        helper_cpu: Nanos,
    ) -> Report {
        let mut breakdown = Breakdown::default();
        readers.iter().for_each(|reader| breakdown.add_all(reader.clock.spent()));
        let counts = counted(world, readers, helper_cpu);
        let Counts { touches, hits, late, fetched_pages, used_pages, touched_pages, .. } = counts;
        Report {
            workload: workload.name().to_owned(),
            strategy: strategy.name.clone(),
            seed: setup.seed,
            virtual_seconds: counts.virtual_ns as f64 / 1e9,
            accuracy: share(used_pages, fetched_pages),
            coverage: share(hits, touches).unwrap_or(0.0),
            timeliness: share(used_pages.saturating_sub(late), used_pages),
            pollution: share(fetched_pages - used_pages, touched_pages),
            breakdown,
            counts,
        }
    }

    /// Faults of either kind.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.counts.minor_faults + self.counts.major_faults
    }
}

fn counted(world: &World<'_>, readers: &[Reader], helper_cpu: Nanos) -> Counts {
    let (ios, io_bytes) = world.traffic();
    let (fetched, used) = world.ledger.fetched_and_used();
    let ends = readers.iter().map(|reader| reader.clock.now());
    let (clipped, false_markers) = world
        .follow
        .as_ref()
        .map_or((0, 0), |follow| (follow.clipped.0, follow.observer.false_markers()));
    Counts {
        ios,
        io_bytes,
        fetched_pages: fetched.0,
        used_pages: used.0,
        clipped_pages: clipped,
        touched_pages: world.ledger.touched().0,
        false_markers,
        helper_cpu_ns: helper_cpu.0 + world.counts.looks * world.costs.look.0,
        reader_ns: readers.iter().map(|reader| reader.clock.now().0).sum(),
        virtual_ns: ends.max().unwrap_or_default().0,
        ..world.counts
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
