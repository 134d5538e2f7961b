//! The runtime: what joins observer, policy and fetcher.
//!
//! Every followed mapping is a task. Few threads serve all of them, see `pool`; a thread works on
//! a mapping only inside its gate, see `gate`.

mod clock;
mod explicit;
mod follow;
mod gate;
mod ledger;
mod pace;
mod pool;
mod prefetch;
mod pressure;
mod recording;
mod shared;
mod task;

pub(crate) use clock::now;
pub(crate) use follow::{Access, Follow, Region};
pub use prefetch::{Prefetch, PrefetchState};
#[cfg(feature = "lab")]
pub(crate) use pressure::press;
