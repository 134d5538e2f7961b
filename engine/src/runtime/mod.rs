//! The runtime: what joins observer, policy and fetcher.
//!
//! Every followed mapping is a task. Few threads serve all of them, see `pool`; a thread works on
//! a mapping only inside its gate, see `gate`.

mod cgroup;
mod clock;
mod explicit;
mod follow;
mod gate;
mod ledger;
mod memory;
mod pace;
mod pool;
mod prefetch;
mod pressure;
pub(crate) mod process;
mod recording;
mod region;
mod shared;
mod task;

pub(crate) use clock::now;
pub(crate) use follow::Follow;
#[cfg(feature = "lab")]
pub(crate) use memory::room as memory_room;
pub use prefetch::{Prefetch, PrefetchState};
#[cfg(feature = "lab")]
pub(crate) use pressure::press;
pub(crate) use region::{Access, Region};
