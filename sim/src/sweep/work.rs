//! Running a sweep on all cores: results come out in order, whoever was first.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::cell::Cell;
use super::grid::{Grid, Shard};
use super::results::Results;
use crate::Error;

/// A cell has been run; results so far.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Its line, or none where it was there before.
    pub line: &'a str,
    /// How many cells of this shard are there now.
    pub done: usize,
    /// How many there will be.
    pub of: usize,
}

/// Runs the cells of `shard` that `results` does not have yet, on `threads` threads (`None`: all
/// cores), and adds them in order. `progress` is told of each, in that order: what it writes is the
/// same whatever the number of threads.
///
/// # Errors
/// [`Error::Results`] when `results` are another grid's; what a run says, the first in order; what
/// `progress` says.
pub fn sweep(
    grid: &Grid,
    shard: Shard,
    threads: Option<NonZero<usize>>,
    results: &mut Results,
    progress: &mut dyn FnMut(Progress<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    if results.title() != grid.title()? {
        let what = "the results there are another sweep's; remove the file, or name another";
        return Err(Error::Results(what.into()));
    }
    let cells: Vec<Cell> =
        grid.cells()?.into_iter().filter(|cell| shard.holds(cell.index)).collect();
    let left: Vec<&Cell> = cells.iter().filter(|cell| !results.has(cell.index)).collect();
    let threads = threads.or_else(|| std::thread::available_parallelism().ok());
    let threads = threads.map_or(1, NonZero::get).min(left.len().max(1));
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next, left) = (sender.clone(), &next, &left);
            scope.spawn(move || {
                // Ends when all are taken, or nobody listens any more.
                while let Some(cell) = left.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let at = cell.index;
                    if sender.send((at, cell.run(grid))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        for cell in &left {
            while !early.contains_key(&cell.index) {
                let Ok((index, line)) = receiver.recv() else {
                    return Err(Error::Results("a run ended without a result".into()));
                };
                early.insert(index, line);
            }
            let Some(line) = early.remove(&cell.index) else { continue };
            let line = line?;
            results.push(line.clone())?;
            progress(Progress { line: &line, done: results.len(), of: cells.len() })?;
        }
        Ok(())
    })
}
