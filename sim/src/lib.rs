//! A simulator that drives the engine's own policies: what is compared is what is shipped.
//!
//! Readers take a [`Workload`] step by step over one file, with a [`Strategy`], on the machine of a
//! [`Setup`]: a modelled [`kernel`], a device, cores, and costs with a name and a source each. Time
//! is virtual, whole nanoseconds; the same input and seed give the same [`Report`] on every machine.
//!
//! ```
//! use mmap_ahead::page::ByteLen;
//! use mmap_ahead_sim::{Knobs, Setup, Shape, Strategy, Workload, run};
//!
//! let shape = Shape { file: ByteLen(64 << 20), ..Shape::default() };
//! let workload = Workload::named("seq", &shape)?;
//! for name in ["default-mmap", "ramp", "oracle"] {
//!     let report = run(&workload, &Strategy::named(name, &Knobs::default())?, &Setup::default())?;
//!     println!("{name}: {} s, {} faults", report.virtual_seconds, report.faults());
//!     assert_eq!(report.breakdown.total().0, report.counts.reader_ns);
//! }
//! # Ok::<(), mmap_ahead_sim::Error>(())
//! ```
//!
//! # Not modelled yet
//! The engine's marker observer keeps still by the engine's own rule where folios are large, but does not
//! rest altogether, finds every fault outside of windows (no sweep
//! that comes late), and does not tell that a reader went on behind a step. `Paged` has no proofs, errors
//! or pinned frames. UFFDIO_CONTINUE is in the modelled kernel alone: no strategy uses it. Memory in which
//! no 2 MiB are free is not modelled. All files of a workload are parts of one modelled file. Unmapping at the end of a run is not timed.
#![forbid(unsafe_code)]

pub mod calibrate;
pub mod choi;
pub mod costs;
mod device;
mod error;
pub mod kernel;
mod observer;
pub mod record;
mod run;
pub mod strategy;
pub mod sweep;
mod trace;
pub mod validate;
pub mod workload;

pub use costs::{Costs, Preset, Sheet};
pub use device::{DeviceModel, Tells};
pub use error::Error;
pub use run::{Breakdown, CacheState, Counts, Kind, Report, Setup, Step, run, run_watched};
pub use strategy::{Knobs, Strategy};
pub use trace::{
    Access, Accesses, FileSurvey, Operation, PageTouches, PageTrace, Survey, Thinking, Touch,
    Trace, TraceFile,
};
pub use workload::{Shape, Workload};
