//! Reads that the disk has, by the number that it hands back.

use super::slots::{Arrival, FrameIndex, SlotIndex};
use crate::page::{Nanos, PageRange};

/// What is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) goal: Goal,
    /// The pages of the file.
    pub(super) pages: PageRange,
    /// How many bytes of the file they hold, and how many of them have come.
    pub(super) bytes: usize,
    pub(super) filled: usize,
    pub(super) retries: u32,
    pub(super) begun: Nanos,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    Large { slot: SlotIndex, frame: FrameIndex },
    Small { slot: SlotIndex, arrival: Arrival, is_urgent: bool },
}

/// A table of them.
#[derive(Debug, Default)]
pub(super) struct Flights {
    table: Vec<Option<Flight>>,
    free: Vec<usize>,
}

impl Flights {
    /// Takes `flight` in and gives it a number.
    pub(super) fn begin(&mut self, flight: Flight) -> u64 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.table.push(None);
            self.table.len() - 1
        });
        self.table[number] = Some(flight);
        number as u64
    }

    /// Takes the flight of this number out.
    pub(super) fn end(&mut self, number: u64) -> Option<Flight> {
        let flight = self.table.get_mut(number as usize)?.take()?;
        self.free.push(number as usize);
        Some(flight)
    }
}
