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

use std::sync::OnceLock;

use crate::sys::Pagemap;

/// The page map of this process, opened once; `None` where the kernel or a sandbox hides it.
fn pagemap() -> Option<&'static Pagemap> {
    static PAGEMAP: OnceLock<Option<Pagemap>> = OnceLock::new();
    let opened = PAGEMAP.get_or_init(|| {
        Pagemap::open()
            .inspect_err(|error| tracing::info!(%error, "mmap-ahead: no page map; it is off"))
            .ok()
    });
    opened.as_ref()
}
