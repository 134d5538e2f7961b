//! The runtime: what joins observer, policy and fetcher.

mod follow;
mod prefetch;

pub(crate) use follow::{Access, Follow, Region};
pub use prefetch::{Prefetch, PrefetchState};
