//! What is on its way from the device.

use mmap_ahead::page::{PageIndex, PageRange};

/// Pages that one bio brings: its segments are folios, and it holds this many at most (BIO_MAX_VECS).
pub(super) const FOLIOS_MAX: u32 = 256;

/// One read of the device: a bio. Its folios are locked from when it was made until the caller
/// says that it [arrived](super::Kernel::arrived); those who wait for any of them wait for all of it
/// (KERNEL.md 1.5).
///
/// It may be larger than the device's largest request: the block layer splits it, and it arrives with
/// its last part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Io {
    /// The pages, never none.
    pub range: PageRange,
    /// Why it is made.
    pub cause: Cause,
    /// How many folios it fills: each is a piece of memory of its own.
    pub folios: u32,
}

/// Why pages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Somebody waits for one of these pages.
    Demand,
    /// The kernel reads ahead: nobody waits yet.
    Ahead,
    /// MADV_WILLNEED, readahead(2), MADV_POPULATE's kin: asked for by name.
    Asked,
}

/// The reads that have not arrived, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Flights {
    /// By first page; they never overlap.
    flying: Vec<Io>,
    /// Made since the caller last took them, in the order they were made.
    made: Vec<Io>,
}

impl Flights {
    /// A new read.
    pub(super) fn start(&mut self, io: Io) {
        let at = self.flying.partition_point(|other| other.range.start < io.range.start);
        debug_assert!(self.flying.get(at).is_none_or(|next| io.range.end <= next.range.start));
        self.flying.insert(at, io);
        self.made.push(io);
    }

    /// The read that brings `page`.
    pub(super) fn of(&self, page: PageIndex) -> Option<Io> {
        let after = self.flying.partition_point(|io| io.range.start <= page);
        let io = *self.flying.get(after.checked_sub(1)?)?;
        io.range.contains(page).then_some(io)
    }

    /// Takes out the read that begins at `start`.
    pub(super) fn land(&mut self, start: PageIndex) -> Option<Io> {
        let at = self.flying.binary_search_by_key(&start, |io| io.range.start).ok()?;
        Some(self.flying.remove(at))
    }

    /// How many have not arrived.
    pub(super) fn len(&self) -> usize {
        self.flying.len()
    }

    /// Any of them.
    pub(super) fn last(&self) -> Option<Io> {
        self.flying.last().copied()
    }

    /// What was made since the last call.
    pub(super) fn take_made(&mut self) -> std::vec::Drain<'_, Io> {
        self.made.drain(..)
    }
}
