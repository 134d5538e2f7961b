//! What the paper's techniques gain over mmap, by record size and order.

use mmap_ahead::page::ByteLen;
use serde::Serialize;

use super::figure1::ABSTRACT_GAIN;
use super::{machine, one};
use crate::costs::Sheet;
use crate::{Error, Knobs};

/// The file of these runs: no technique looks further than its windows, so that more shows nothing
/// new.
const FILE: ByteLen = ByteLen(128 << 20);
/// The techniques, and the bound.
const STRATEGIES: [&str; 4] = ["map-ahead", "async-map-ahead", "extended-madvise", "oracle"];
const RECORDS: [u64; 5] = [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10];

/// In which order records are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Front to back.
    Sequential,
    /// Each record once, in a random order.
    Random,
}

/// One cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename = "choi_gain")]
pub struct Gain {
    /// Which technique.
    pub strategy: &'static str,
    /// In which order.
    pub order: Order,
    /// How many bytes a record has.
    pub record_bytes: u64,
    /// Throughput over that of default-mmap, less 1.
    pub gain: f64,
    /// The abstract's band, which it attributes to no cell.
    pub abstract_band: [f64; 2],
    /// Whether the gain is in it: for information, never a verdict.
    pub is_in_band: bool,
}

/// Every technique in both orders with all record sizes, on the machine of `sheet`.
///
/// # Errors
/// As [`run`](crate::run).
pub fn gains(sheet: &Sheet) -> Result<Vec<Gain>, Error> {
    let setup = machine(sheet)?;
    let mut all = Vec::new();
    for order in [Order::Sequential, Order::Random] {
        for record in RECORDS {
            let seconds = |strategy| {
                let order = order.workload(record);
                let report = one(strategy, &Knobs::default(), &setup, &order, FILE, record)?;
                Ok::<f64, Error>(report.virtual_seconds)
            };
            let baseline = seconds("default-mmap")?;
            for strategy in STRATEGIES {
                let gain = baseline / seconds(strategy)? - 1.0;
                all.push(Gain::of(strategy, order, record, gain));
            }
        }
    }
    Ok(all)
}

impl Order {
    fn workload(self, record: u64) -> String {
        match self {
            Order::Sequential => "seq".to_owned(),
            Order::Random => format!("blocks:{record}"),
        }
    }
}

impl Gain {
    fn of(strategy: &'static str, order: Order, record_bytes: u64, gain: f64) -> Gain {
        let [low, high] = ABSTRACT_GAIN;
        let is_in_band = (low..=high).contains(&gain);
        Gain { strategy, order, record_bytes, gain, abstract_band: ABSTRACT_GAIN, is_in_band }
    }
}
