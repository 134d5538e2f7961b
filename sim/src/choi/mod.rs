//! The experiments of Choi, Kim and Han (HotStorage 2017), beside what the paper shows of them.

mod assumptions;
mod figure1;
mod fit;

pub use assumptions::assumed;
pub use fit::{HoldOut, fit, hold_out};
