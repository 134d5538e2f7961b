//! The experiments of Choi, Kim and Han (HotStorage 2017), beside what the paper shows of them.
//!
//! [`bars`] are its Figure 1, [`hold_out`] says how much of it was a prediction, [`gains`] are its
//! techniques over mmap, [`repeated`] is the mapping cache of the companion paper. [`assumptions`]
//! were written down before the first run, and [`sensitivity`] says what hangs on them.

mod assumptions;
mod bars;
mod figure1;
mod fit;
mod gains;
mod repeated;
mod sensitivity;

pub use assumptions::{Assumption, assumed, assumptions};
pub use bars::{Component, bars};
pub use figure1::{
    ABSTRACT_GAIN, EXTENDED_MADVISE_SECOND_HAND, MAPPING_CACHE_OVER_READ, MAPPING_CACHE_WEB_GAIN,
    PIXEL_S,
};
pub use fit::{HoldOut, fit, hold_out};
pub use gains::{Gain, Order, gains};
pub use repeated::{Repeated, repeated};
pub use sensitivity::{Sensitivity, sensitivity};

use mmap_ahead::page::{ByteLen, Nanos};

use crate::costs::{Preset, Sheet};
use crate::workload::{Shape, Workload};
use crate::{Error, Knobs, Report, Setup, Strategy, run};

/// The machine of the paper, with the costs of `sheet`.
fn machine(sheet: &Sheet) -> Result<Setup, Error> {
    let Setup { costs, device, .. } = Setup::of_sheet(sheet)?;
    Ok(Setup { costs, device, ..Setup::of(Preset::Choi2017) })
}

/// One run: `order` over `file` in records of `record` bytes.
fn one(
    strategy: &str,
    knobs: &Knobs,
    setup: &Setup,
    order: &str,
    file: ByteLen,
    record: u64,
) -> Result<Report, Error> {
    let shape = Shape { file, touch: Some(record), think: Nanos(0), threads: 1, steps: None };
    run(&Workload::named(order, &shape)?, &Strategy::named(strategy, knobs)?, setup)
}
