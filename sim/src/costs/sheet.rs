//! A sheet of costs: the TOML files of the presets, and what calibration writes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::Error;

/// What a cost is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanos,
    /// Nanoseconds a byte.
    #[serde(rename = "ns/byte")]
    NanosPerByte,
    /// Bytes a second.
    #[serde(rename = "byte/s")]
    BytesPerSecond,
    /// Bytes.
    #[serde(rename = "byte")]
    Bytes,
    /// A number of requests.
    #[serde(rename = "requests")]
    Requests,
    /// A number of pieces of memory.
    #[serde(rename = "pieces")]
    Pieces,
    /// A share of something else: 0.1 is a tenth.
    #[serde(rename = "share")]
    Share,
}

/// Every name that a sheet must have, and its unit.
const NAMES: &[(&str, Unit)] = &[
    ("mode_switch", Unit::Nanos),
    ("exception", Unit::Nanos),
    ("syscall", Unit::Nanos),
    ("minor_fault_base", Unit::Nanos),
    ("fault_cooled", Unit::Nanos),
    ("pte", Unit::Nanos),
    ("folio_map", Unit::Nanos),
    ("pmd", Unit::Nanos),
    ("populate_step", Unit::Nanos),
    ("pte_table", Unit::Nanos),
    ("tlb_miss", Unit::Nanos),
    ("copy", Unit::NanosPerByte),
    ("access_page", Unit::Nanos),
    ("access_back", Unit::Nanos),
    ("access_far", Unit::Nanos),
    ("access_disturbed", Unit::Nanos),
    ("access_copied", Unit::Nanos),
    ("access_line", Unit::Nanos),
    ("signal", Unit::Nanos),
    ("protect", Unit::Nanos),
    ("uffd_fill", Unit::Nanos),
    ("wake_up", Unit::Nanos),
    ("ipi", Unit::Nanos),
    ("lock", Unit::Nanos),
    ("lock_bounce", Unit::Nanos),
    ("folio_read", Unit::Nanos),
    ("folio_add", Unit::Nanos),
    ("page_add", Unit::Nanos),
    ("io_submit", Unit::Nanos),
    ("zap", Unit::Nanos),
    ("map_call", Unit::Nanos),
    ("reclaim", Unit::Nanos),
    ("look", Unit::Nanos),
    ("look_period", Unit::Nanos),
    ("device_latency", Unit::Nanos),
    ("device_jitter", Unit::Share),
    ("device_drain", Unit::Share),
    ("device_request", Unit::Nanos),
    ("device_segment", Unit::Nanos),
    ("device_bandwidth", Unit::BytesPerSecond),
    ("device_queue_depth", Unit::Requests),
    ("device_request_max", Unit::Bytes),
    ("device_pieces_max", Unit::Pieces),
];

/// Every name of a cost, in the order in which they are explained by [`Costs`](crate::Costs), those
/// of the device last.
pub fn names() -> impl Iterator<Item = (&'static str, Unit)> {
    NAMES.iter().copied()
}

/// One cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: Unit,
    /// The least and the most that is plausible: an interval where it was measured.
    pub range: [f64; 2],
    /// Where the value is from: a measurement, a document, or "guess" and why.
    pub source: String,
}

/// All costs of one machine, as a TOML file holds them:
///
/// ```toml
/// about = "the machine, in one sentence"
///
/// [costs.mode_switch]
/// value = 87.0
/// unit = "ns"
/// range = [40.0, 190.0]
/// source = "getppid, best of 5"
/// # ... every other name of `names()`
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sheet {
    /// Which machine, in one sentence.
    pub about: String,
    /// The costs by name.
    pub costs: BTreeMap<String, Cost>,
}

impl Sheet {
    /// Reads a sheet; every name must be there, and no other.
    ///
    /// # Errors
    /// [`Error::Costs`] with the line, or with the name that is missing, unknown, or out of its range.
    pub fn parse(text: &str) -> Result<Sheet, Error> {
        let sheet = Sheet::parse_some(text)?;
        sheet.check()?;
        Ok(sheet)
    }

    /// Reads what may be a part of a sheet.
    pub(super) fn parse_some(text: &str) -> Result<Sheet, Error> {
        toml::from_str(text).map_err(|error| Error::Costs(error.to_string().trim_end().to_owned()))
    }

    /// `over` where it says something, else this sheet.
    pub(super) fn overlaid(mut self, over: Sheet) -> Sheet {
        self.about = over.about;
        self.costs.extend(over.costs);
        self
    }

    /// The sheet as TOML; [`Sheet::parse`] takes it back unchanged.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = format!("about = {}\n", quoted(&self.about));
        for (name, Cost { value, unit, range: [low, high], source }) in &self.costs {
            let (unit, source) = (unit.text(), quoted(source));
            let _ = write!(text, "\n[costs.{name}]\nvalue = {value:?}\nunit = \"{unit}\"\n");
            let _ = writeln!(text, "range = [{low:?}, {high:?}]\nsource = {source}");
        }
        text
    }

    /// The cost called `name`.
    ///
    /// # Errors
    /// [`Error::Costs`] when there is none.
    pub fn cost(&self, name: &str) -> Result<&Cost, Error> {
        self.costs.get(name).ok_or_else(|| Error::Costs(format!("cost `{name}` is missing")))
    }

    /// Gives the cost called `name` another value; its range widens to hold it.
    ///
    /// # Errors
    /// [`Error::Costs`] when there is no such cost.
    pub fn set(&mut self, name: &str, value: f64) -> Result<(), Error> {
        let missing = || Error::Costs(format!("cost `{name}` is missing"));
        let cost = self.costs.get_mut(name).ok_or_else(missing)?;
        cost.value = value;
        cost.range = [cost.range[0].min(value), cost.range[1].max(value)];
        Ok(())
    }

    /// The value of `name`, rounded to a whole number.
    pub(super) fn whole(&self, name: &str) -> Result<u64, Error> {
        self.scaled(name, 1.0)
    }

    /// `factor` times the value of `name`, rounded to a whole number.
    pub(super) fn scaled(&self, name: &str, factor: f64) -> Result<u64, Error> {
        Ok((self.cost(name)?.value * factor).round() as u64)
    }

    fn check(&self) -> Result<(), Error> {
        for (name, unit) in names() {
            let Cost { value, unit: found, range: [low, high], .. } = self.cost(name)?;
            if *found != unit {
                let (unit, found) = (unit.text(), found.text());
                return Err(Error::Costs(format!("`{name}` is in {unit}, not in {found}")));
            }
            if !(0.0 <= *low && low <= value && value <= high && high.is_finite()) {
                let text = format!("`{name}` is {value}, not within its range [{low}, {high}]");
                return Err(Error::Costs(text));
            }
        }
        match self.costs.keys().find(|name| !NAMES.iter().any(|(known, _)| known == name)) {
            Some(name) => Err(Error::Costs(format!("unknown cost `{name}`"))),
            None => Ok(()),
        }
    }
}

impl Unit {
    /// As a sheet writes it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Unit::Nanos => "ns",
            Unit::NanosPerByte => "ns/byte",
            Unit::BytesPerSecond => "byte/s",
            Unit::Bytes => "byte",
            Unit::Requests => "requests",
            Unit::Pieces => "pieces",
            Unit::Share => "share",
        }
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::costs::Preset;

    #[test]
    fn a_sheet_is_written_and_read_back() {
        let sheet = Preset::Nvme.sheet();
        assert_eq!(Sheet::parse(&sheet.to_toml()).unwrap(), sheet);
    }

    fn refused(change: impl FnOnce(&mut Sheet)) -> String {
        let mut sheet = Preset::Nvme.sheet();
        change(&mut sheet);
        Sheet::parse(&sheet.to_toml()).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_name_the_cost() {
        let missing = refused(|sheet| drop(sheet.costs.remove("lock")));
        assert_eq!(missing, "costs: cost `lock` is missing");
        let unit = refused(|sheet| sheet.costs.get_mut("copy").unwrap().unit = Unit::Nanos);
        assert_eq!(unit, "costs: `copy` is in ns/byte, not in ns");
        let range = refused(|sheet| sheet.costs.get_mut("pte").unwrap().value = 1e12);
        assert!(
            range.starts_with("costs: `pte` is 1000000000000, not within its range"),
            "{range}"
        );
        let unknown = refused(|sheet| {
            let cost = sheet.costs["lock"].clone();
            sheet.costs.insert("locks".into(), cost);
        });
        assert_eq!(unknown, "costs: unknown cost `locks`");
        assert!(Sheet::parse("about = 1").unwrap_err().to_string().contains("line 1"));
    }
}
