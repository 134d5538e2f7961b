//! The costs of the paper's machine, solved from Figure 1 and the assumptions of
//! [`assumed`](super::assumptions::assumed): five bars' parts give five costs.
//!
//! | cost | from | assumes |
//! |---|---|---|
//! | `pte` | populate-mmap, page-table entry construction | `pte_table` |
//! | `access_page` | populate-mmap, file access | `tlb_miss` |
//! | `access_disturbed` | default-mmap, file access, less populate-mmap's | |
//! | `minor_fault_base` | default-mmap, page-fault overhead | `mode_switch`, `exception`, `lock` |
//! | `copy` | read, total | `mode_switch`, `syscall`, `access_copied` |

use super::figure1::{Bar, DEFAULT_MMAP, PAGES, POPULATE_MMAP, READ};
use crate::Error;
use crate::costs::{Cost, Sheet, Unit};

/// Pages that one page table holds.
const PTES: f64 = 512.0;

/// `assumed`, with the five costs that Figure 1 gives.
///
/// # Errors
/// [`Error::Costs`] when an assumption leaves less than nothing for a fitted cost.
pub fn fit(assumed: &Sheet) -> Result<Sheet, Error> {
    let value = |name: &str| assumed.cost(name).map(|cost| cost.value);
    let fault = per_page(DEFAULT_MMAP.page_fault_s);
    let entries = value("mode_switch")? + value("exception")? + value("lock")?;
    let access = per_page(POPULATE_MMAP.file_access_s);
    let disturbed = per_page(DEFAULT_MMAP.file_access_s) - access;
    let pte = per_page(POPULATE_MMAP.pte_s) - value("pte_table")? / PTES;
    let call = value("mode_switch")? + value("syscall")? + value("access_copied")?;
    let copy = (per_page(Some(READ.total_s)) - call) / 4096.0;
    let mut sheet = assumed.clone();
    let ns = Unit::Nanos;
    let fitted = [
        ("pte", pte, ns, "populate-mmap's page-table entries, less pte_table"),
        (
            "access_page",
            access - value("tlb_miss")?,
            ns,
            "populate-mmap's file access, less tlb_miss",
        ),
        (
            "access_disturbed",
            disturbed,
            ns,
            "file access of default-mmap, less that of populate-mmap",
        ),
        (
            "minor_fault_base",
            fault - entries,
            ns,
            "default-mmap's fault overhead, less entry and lock",
        ),
        ("copy", copy, Unit::NanosPerByte, "read's total, less the call and reading the copy"),
    ];
    for (name, value, unit, source) in fitted {
        if value < 0.0 {
            return Err(Error::Costs(format!("the assumptions leave {value} for `{name}`")));
        }
        let cost = Cost { value, unit, range: pixel_range(value, unit), source: fitted_by(source) };
        sheet.costs.insert(name.to_owned(), cost);
    }
    Ok(sheet)
}

fn fitted_by(source: &str) -> String {
    format!("fitted to Figure 1: {source}; the range is one pixel")
}

/// What a part of a bar is for one page, in nanoseconds.
fn per_page(seconds: Option<f64>) -> f64 {
    seconds.expect("the fit uses only parts that the figure shows") * 1e9 / PAGES as f64
}

fn pixel_range(value: f64, unit: Unit) -> [f64; 2] {
    let pixel = super::figure1::PIXEL_S * 1e9 / PAGES as f64;
    let pixel = if unit == Unit::NanosPerByte { pixel / 4096.0 } else { pixel };
    [(value - pixel).max(0.0), value + pixel]
}

/// What default-mmap and read alone say of populate-mmap: the hold-out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HoldOut {
    /// No less than this: the entries alone.
    pub low_s: f64,
    /// No more than this: file access as slow as while faulting.
    pub high_s: f64,
    /// What the paper shows.
    pub paper_s: f64,
}

/// Predicts populate-mmap without looking at it.
///
/// The entries cost the same; faults are gone; of the file access only bounds are known: it is no
/// slower than while faulting, and no slower than read(2), which touches the same bytes and more.
/// How much of it is the disturbance, those two bars cannot tell.
#[must_use]
pub fn hold_out() -> HoldOut {
    let pte = DEFAULT_MMAP.pte_s.unwrap_or_default();
    let access = DEFAULT_MMAP.file_access_s.unwrap_or_default().min(READ.total_s);
    let Bar { total_s, .. } = POPULATE_MMAP;
    HoldOut { low_s: pte, high_s: pte + access, paper_s: total_s }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choi::assumptions::assumed;
    use crate::costs::Preset;

    #[test]
    fn the_preset_is_what_the_fit_gives() {
        let fitted = fit(&assumed()).unwrap();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/costs/choi2017.toml");
        if std::env::var_os("MMAP_AHEAD_GOLDEN").is_some_and(|value| value == "write") {
            std::fs::write(path, fitted.to_toml()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), fitted.to_toml());
        assert_eq!(Preset::Choi2017.sheet(), fitted);
    }

    #[test]
    fn the_hold_out_holds_the_paper() {
        let HoldOut { low_s, high_s, paper_s } = hold_out();
        assert!(low_s <= paper_s && paper_s <= high_s, "{low_s} {paper_s} {high_s}");
    }

    #[test]
    fn assumptions_that_leave_nothing_are_refused() {
        let mut sheet = assumed();
        sheet.set("exception", 1e6).unwrap();
        assert!(fit(&sheet).unwrap_err().to_string().contains("minor_fault_base"));
    }
}
