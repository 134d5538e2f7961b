//! Touches in, streams out. Pure: nothing here knows a system call, a clock or a thread.

mod runs;

pub(crate) use runs::{RUNS_MAX, Runs, Seen};
