//! What a sweep runs: axes, and the cells where they meet.

use std::str::FromStr;

use mmap_ahead::page::PageCount;

use super::cell::Cell;
use crate::workload::Workload;
use crate::{Error, Knobs, Setup, Strategy};

/// A workload of a sweep, by the name that its results have.
#[derive(Clone, Debug)]
pub struct Source(pub Workload);

/// A machine of a sweep, by the name that its results have.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The name.
    pub name: String,
    /// The machine; the grid sets its seed.
    pub setup: Setup,
}

/// The axes of a sweep. Every list has at least one entry.
#[derive(Clone, Debug)]
pub struct Grid {
    /// Names of strategies; the first is what the others are held against.
    pub strategies: Vec<String>,
    /// Largest windows, for strategies that have that knob; `None`: the strategy's own.
    pub windows: Vec<Option<PageCount>>,
    /// Distances, likewise.
    pub distances: Vec<Option<PageCount>>,
    /// Machines.
    pub machines: Vec<Machine>,
    /// Workloads.
    pub workloads: Vec<Source>,
    /// How often each cell is run, each time with another seed; at least 1.
    pub replicas: u64,
    /// The first seed.
    pub seed: u64,
}

impl Grid {
    /// Every cell, in the order in which results are written: replicas of one cell follow each
    /// other.
    ///
    /// # Errors
    /// [`Error::Unknown`] when an axis is empty, or a strategy is not known or named twice.
    pub fn cells(&self) -> Result<Vec<Cell>, Error> {
        self.check()?;
        let mut cells = Vec::new();
        for machine in 0..self.machines.len() {
            for workload in 0..self.workloads.len() {
                for strategy in &self.strategies {
                    for knobs in self.knobs_of(strategy)? {
                        for replica in 0..self.replicas {
                            let (index, seed) = (cells.len(), self.seed.wrapping_add(replica));
                            let strategy = strategy.clone();
                            cells.push(Cell { index, machine, workload, strategy, knobs, seed });
                        }
                    }
                }
            }
        }
        Ok(cells)
    }

    /// What tells this grid from another: results of different grids do not mix.
    ///
    /// # Errors
    /// As [`Grid::cells`].
    pub fn title(&self) -> Result<String, Error> {
        let mut text = format!("{:?}", (&self.strategies, &self.windows, &self.distances));
        for Machine { name, setup } in &self.machines {
            text += &format!("{name} {setup:?}");
        }
        for Source(workload) in &self.workloads {
            text += &format!("{workload:?}");
        }
        text += &format!("{} {}", self.replicas, self.seed);
        // FNV-1a: the same in every version of Rust.
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let (cells, seed) = (self.cells()?.len(), self.seed);
        let header = serde_json::json!({
            "kind": "sweep", "grid": format!("{hash:016x}"), "cells": cells, "seed": seed,
            "baseline": self.strategies[0],
        });
        Ok(header.to_string())
    }

    /// The knobs to turn at a strategy: only those that it has.
    fn knobs_of(&self, strategy: &str) -> Result<Vec<Knobs>, Error> {
        let takes = Strategy::takes(strategy)?;
        let own = [None];
        let windows = if takes.window { &self.windows[..] } else { &own };
        let distances = if takes.distance { &self.distances[..] } else { &own };
        let pairs = windows.iter().flat_map(|window| distances.iter().map(move |d| (window, d)));
        Ok(pairs.map(|(&window, &distance)| Knobs { window, distance }).collect())
    }

    fn check(&self) -> Result<(), Error> {
        let Grid { strategies, windows, distances, machines, workloads, replicas, .. } = self;
        let counts = [strategies.len(), windows.len(), distances.len(), machines.len()];
        if counts.contains(&0) || workloads.is_empty() || *replicas == 0 {
            return Err(Error::Unknown("a sweep needs at least one of everything".into()));
        }
        for (index, name) in strategies.iter().enumerate() {
            Strategy::named(name, &Knobs::default())?;
            if strategies[..index].contains(name) {
                return Err(Error::Unknown(format!("strategy `{name}` is named twice")));
            }
        }
        Ok(())
    }
}

/// A part of a sweep: `i/n` is every n-th cell, from the i-th on, counted from 1.
///
/// Default: `1/1`, all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: usize,
    of: usize,
}

impl Shard {
    /// Whether the cell of this index belongs to it.
    #[must_use]
    pub fn holds(&self, index: usize) -> bool {
        index % self.of == self.number - 1
    }

    /// Whether it is all of the sweep.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.of == 1
    }
}

impl Default for Shard {
    fn default() -> Shard {
        Shard { number: 1, of: 1 }
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Shard, Error> {
        let parts = text.split_once('/').and_then(|(number, of)| {
            Some(Shard { number: number.parse().ok()?, of: of.parse().ok()? })
        });
        match parts {
            Some(shard) if (1..=shard.of).contains(&shard.number) => Ok(shard),
            _ => Err(Error::Unknown(format!("`{text}` is no shard; write 1/4 to 4/4"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_out_every_cell_once() {
        let shards: Vec<Shard> = (1..=3).map(|i| format!("{i}/3").parse().unwrap()).collect();
        for index in 0..20 {
            assert_eq!(shards.iter().filter(|shard| shard.holds(index)).count(), 1);
        }
        assert!(Shard::default().is_all() && !shards[0].is_all());
        for text in ["", "0/3", "4/3", "1", "1/0", "a/b"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
