//! A simulator that drives the engine's own policies: what is compared is what is shipped.
//!
//! One reader walks a [`Trace`] over one mapped file. A passive marker observer sees what such an
//! observer can see, the policy turns that into a plan, and one worker carries the plan out on a
//! modelled device. Time is virtual, whole nanoseconds, and the same input gives the same
//! [`Report`] on every machine.
//!
//! ```
//! use mmap_ahead::PolicyKind;
//! use mmap_ahead::page::{Nanos, PageCount};
//! use mmap_ahead_sim::{Comparison, Setup, Trace};
//!
//! let trace = Trace::sequential(PageCount(16 << 10), Nanos(242));
//! let all = Comparison::of(&trace, &PolicyKind::ALL, &Setup::default())?;
//! println!("{all}");
//! # Ok::<(), mmap_ahead_sim::Error>(())
//! ```
//!
//! # Not modelled yet
//! Large folios, eviction, the kernel's own asynchronous read-ahead, more than one reader or
//! worker. A page that was touched once stays mapped.
#![forbid(unsafe_code)]

mod clock;
mod costs;
mod device;
mod error;
pub mod kernel;
mod memory;
mod observer;
mod report;
mod run;
mod trace;
mod worker;

pub use costs::Costs;
pub use device::DeviceModel;
pub use error::Error;
pub use report::{Comparison, Counts, Report};
pub use run::{CacheState, Setup, Step, run, run_watched};
pub use trace::{Touch, Trace};
