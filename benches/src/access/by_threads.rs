//! Several threads that share the steps.

use std::io;
use std::iter::{Skip, StepBy};
use std::panic::resume_unwind;
use std::thread;

use rayon::prelude::*;

use super::{Tally, sum_slice};
use crate::steps::{Step, Steps};

/// Steps that rayon hands out at once: 4 MiB of `seq`.
const CHUNK: usize = 16;

/// Every `threads`th step to each thread.
pub(super) fn sum(
    steps: &Steps,
    threads: usize,
    sum: impl Fn(StepBy<Skip<Steps>>) -> io::Result<Tally> + Sync,
) -> io::Result<Tally> {
    let sum = &sum;
    let tallies: Vec<_> = thread::scope(|scope| {
        let part = |first| steps.clone().skip(first).step_by(threads);
        let spawn = |first| scope.spawn(move || sum(part(first)));
        let running: Vec<_> = (0..threads).map(spawn).collect();
        let joined = running.into_iter().map(|thread| thread.join());
        joined.map(|tally| tally.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    tallies.into_iter().try_fold(Tally::default(), |all, tally| Ok(all.and(tally?)))
}

/// Chunks of the steps, in no order, on all processors.
pub(super) fn sum_rayon(map: &[u8], steps: Steps) -> io::Result<Tally> {
    let steps: Vec<Step> = steps.collect();
    let chunks = steps.par_chunks(CHUNK).map(|chunk| sum_slice(map, chunk.iter().copied()));
    chunks.try_reduce(Tally::default, |all, tally| Ok(all.and(tally)))
}
