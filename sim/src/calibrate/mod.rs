//! Measures what this machine's work costs, and writes it down as a sheet.
//!
//! Every round measures everything once, in turn, so that whatever disturbs the machine disturbs all
//! costs alike; a cost is the median over the rounds, its range that median's 95% interval. Slopes
//! are Theil and Sen's, which a few wild points do not move. What is measured is small and of
//! patterns of its own (single bytes, whole blocks in a shuffled order, direct reads): no cell that
//! `validate` predicts is ever run here.

mod access;
mod calls;
mod device;
mod fault;
mod fixture;
mod line;
mod read;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use mmap_ahead_bench::environment::kernel;
use mmap_ahead_bench::interval::Median;

use crate::Error;
use crate::costs::{Cost, Preset, Sheet};
use fixture::Fixture;

/// Where and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// A directory on the disk that is to be measured; 256 MiB are written there, and removed.
    pub disk: PathBuf,
    /// A directory in memory (tmpfs) with as much room.
    pub memory: PathBuf,
    /// How many rounds; 6 are the least for intervals that cover 95%.
    pub rounds: u32,
}

/// What one round found, by the name of the cost.
type Round = BTreeMap<&'static str, f64>;

/// Measures, and returns the sheet. `progress` is told of every round that begins, counted from 1.
///
/// A cost that is not measured here has the value of the preset `nvme`, and its source says so. The
/// ranges are what was seen on this machine today, not what is plausible elsewhere.
///
/// # Errors
/// [`Error::Calibrate`] when a file cannot be made, mapped, read or dropped from the page cache.
pub fn calibrate(plan: &Plan, progress: &mut dyn FnMut(u32)) -> Result<Sheet, Error> {
    let fixture = Fixture::make(plan)?;
    let mut samples: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for round in 1..=plan.rounds.max(1) {
        progress(round);
        for (name, value) in measure(&fixture)? {
            samples.entry(name).or_default().push(value);
        }
    }
    Ok(sheet(&samples, &fixture))
}

/// One round. The order matters: what is found first is taken off what comes later.
fn measure(fixture: &Fixture) -> Result<Round, Error> {
    let mut round = Round::new();
    let at =
        |what: &'static str| move |error: io::Error| Error::Calibrate(format!("{what}: {error}"));
    calls::measure(fixture, &mut round).map_err(at("system calls"))?;
    access::measure(fixture, &mut round).map_err(at("accesses"))?;
    fault::measure(fixture, &mut round).map_err(at("page faults"))?;
    read::measure(fixture, &mut round)?;
    device::measure(fixture, &mut round).map_err(at("direct reads"))?;
    Ok(round)
}

fn sheet(samples: &BTreeMap<&'static str, Vec<f64>>, fixture: &Fixture) -> Sheet {
    let mut sheet = Preset::Nvme.sheet();
    sheet.about = format!(
        "this machine, measured: {}, Linux {}, disk of {}",
        fixture.cpu,
        kernel(),
        fixture.disk.display()
    );
    for (name, cost) in &mut sheet.costs {
        let measured = samples.get(name.as_str()).and_then(|samples| Median::of(samples));
        match (measured, explained(name)) {
            (Some(median), Some(how)) => *cost = measured_cost(cost, median, how),
            _ => cost.source = format!("not measured here; preset nvme: {}", cost.source),
        }
    }
    consistent(&mut sheet);
    sheet
}

fn measured_cost(before: &Cost, median: Median, how: &str) -> Cost {
    let at_least_0 = |value: f64| if value > 0.0 { value } else { 0.0 };
    let (value, low, high) =
        (at_least_0(median.value), at_least_0(median.low), median.high.max(0.0));
    let percent = median.coverage * 100.0;
    Cost {
        value,
        unit: before.unit,
        range: [low, high],
        source: format!("measured: {how}; range: {percent:.0}% interval of the median"),
    }
}

/// The simulator refuses a copy that is cheaper than reading in place (its oracle would be no bound).
/// Where the caches make it so, reading the copy is said to cost what is missing.
fn consistent(sheet: &mut Sheet) {
    let value = |sheet: &Sheet, name: &str| sheet.costs.get(name).map_or(0.0, |cost| cost.value);
    let missing = value(sheet, "access_page") - value(sheet, "copy") * 4096.0;
    let copied = missing.ceil() + 1.0;
    if value(sheet, "access_copied") < copied
        && let Some(cost) = sheet.costs.get_mut("access_copied")
    {
        cost.source = format!("{}; raised from {:.0} to be no bargain", cost.source, cost.value);
        cost.value = copied;
        cost.range[1] = cost.range[1].max(copied);
    }
}

/// How each cost that is measured here is measured.
const HOW: &[(&str, &str)] = &[
    ("mode_switch", "getppid"),
    ("syscall", "pread at the end of a file, less mode_switch"),
    ("signal", "raising SIGUSR1 with an empty handler, less mode_switch"),
    ("wake_up", "half a round trip of park and unpark between two threads"),
    ("lock", "a mutex that nobody else uses"),
    ("map_call", "half of mmap and munmap of a page, less mode_switch and syscall"),
    ("zap", "munmap of mapped pages of tmpfs, for each"),
    ("access_page", "sum of a mapped page of tmpfs, less tlb_miss"),
    ("access_line", "one byte a mapped page, less tlb_miss"),
    ("access_copied", "sum of 4 KiB that pread has just copied"),
    (
        "access_back",
        "blocks of 2 MiB in shuffled order, their pages backwards, less pages in order",
    ),
    ("access_far", "every second page in shuffled order, less pages in order"),
    (
        "access_disturbed",
        "a page of each 64 KiB in shuffled order, with its fault and without, less the fault",
    ),
    ("fault_cooled", "the same, of all 16 pages: what each but the first adds"),
    ("copy", "pread of a warm file: slope over 16 to 256 KiB"),
    ("folio_read", "pread of a file in memory: the same slope, less that of large folios"),
    ("minor_fault_base", "faults on 1 to 16 cached pages of tmpfs: intercept, less its parts"),
    ("pte", "faults that map whole large folios, less those that map one page"),
    ("folio_map", "faults on 1 to 16 cached pages of tmpfs: slope, less pte"),
    ("pte_table", "faults of which each needs a page table, less those of which every 32nd does"),
    ("populate_step", "madvise(MADV_POPULATE_READ) of tmpfs, less entries and tables"),
    (
        "folio_add",
        "posix_fadvise(WILLNEED) of a cold file: slope over 16 to 512 pages, less page_add",
    ),
    ("io_submit", "the same: intercept, less mode_switch and syscall"),
    (
        "device_latency",
        "direct pread of 4 KiB, one at a time: their mean, less their bytes, io_submit, device_request and the mean of device_jitter",
    ),
    (
        "device_drain",
        "direct reads of 512 KiB and 2 MiB at once: when the first is told of, between its own time and the other's",
    ),
    (
        "device_request",
        "direct reads of 4 KiB, 32 at once: time for each, less its transfer and its share of the latency",
    ),
    (
        "device_segment",
        "posix_fadvise(WILLNEED) of a cold file until it is there: each page but the first of a request, less its bytes, its request and, where a ring is full, the latency",
    ),
    (
        "device_bandwidth",
        "direct reads of 2 MiB, 8 at once, less device_request and their share of the latency",
    ),
    ("device_queue_depth", "nr_requests of the disk, else as many as were read at once"),
    ("device_request_max", "max_sectors_kb of the disk"),
    ("device_pieces_max", "max_segments of the disk"),
];

fn explained(name: &str) -> Option<&'static str> {
    HOW.iter().find(|(known, _)| *known == name).map(|(_, how)| *how)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::costs::{Costs, names};

    #[test]
    fn only_costs_that_exist_are_measured() {
        for (name, _) in HOW {
            assert!(names().any(|(known, _)| known == *name), "{name}");
        }
    }

    #[test]
    fn a_calibration_is_a_whole_sheet_with_intervals() {
        let (Ok(disk), Ok(memory)) =
            (tempfile::tempdir_in("/var/tmp"), tempfile::tempdir_in("/dev/shm"))
        else {
            return eprintln!("SKIPPED: /var/tmp or /dev/shm cannot be written");
        };
        let plan = Plan { disk: disk.path().into(), memory: memory.path().into(), rounds: 2 };
        let sheet = match calibrate(&plan, &mut |_| {}) {
            Ok(sheet) => sheet,
            Err(error) => return eprintln!("SKIPPED: {error}"),
        };
        assert_eq!(Sheet::parse(&sheet.to_toml()).unwrap(), sheet);
        Costs::of(&sheet).unwrap();
        for (name, _) in HOW {
            let source = &sheet.costs[*name].source;
            assert!(source.starts_with("measured: "), "{name}: {source}");
        }
        // Orders of magnitude that hold for every machine that runs this.
        let value = |name: &str| sheet.costs[name].value;
        assert!((10.0..100_000.0).contains(&value("mode_switch")), "{}", value("mode_switch"));
        assert!(value("device_latency") > value("mode_switch"));
        assert!((1e6..1e12).contains(&value("device_bandwidth")));
        assert_eq!(std::fs::read_dir(disk.path()).unwrap().count(), 0, "files were left behind");
    }
}
