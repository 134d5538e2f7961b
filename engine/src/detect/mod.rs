//! Touches in, streams out. Pure: nothing here knows a system call, a clock or a thread.

mod chains;
mod lru;
mod progression;
mod proven;
mod recent;
mod runs;
mod stride;
mod strides;
mod windows;

pub(crate) use runs::{RUNS_MAX, Runs, Seen};
pub(crate) use strides::{STRIDES_MAX, Stepped, Strides};
