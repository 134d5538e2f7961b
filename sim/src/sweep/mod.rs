//! Grids of runs: every strategy on every workload and machine, over several seeds, on all cores,
//! in pieces if need be, and the same bytes out whatever did it.

mod cell;
mod csv;
mod grid;
mod results;
mod summary;
mod work;

pub use cell::Cell;
pub use csv::csv;
pub use grid::{Grid, Machine, Shard, Source};
pub use results::{Results, merge};
pub use summary::{Mean, Paired, Summary, summaries};
pub use work::{Progress, sweep};
