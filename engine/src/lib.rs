//! Memory-mapped files, read ahead of the reader.
//!
//! (The full story comes with the engine.)

mod detect;
mod error;
mod fetch;
mod mmap;
mod observe;
mod options;
pub mod page;
pub mod policy;
mod reader;
mod residency;
mod runtime;
mod stats;
mod sys;

#[cfg(feature = "lab")]
#[doc(hidden)]
pub mod lab;

pub use error::Error;
pub use mmap::*;
pub use options::{BUDGET_DEFAULT, FOLLOWED_LEN_MIN, Fetcher, Mode};
pub use policy::PolicyKind;
pub use reader::{ReadPath, Reader, ReaderStats};
pub use residency::Residency;
pub use runtime::{Prefetch, PrefetchState};
pub use stats::Stats;
