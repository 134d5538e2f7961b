//! read(2) (KERNEL.md 1.1).

use std::ops::Range;

use super::cache::{Flag, Folio};
use super::{FileId, Io, Kernel, Work};

/// A page in bytes: the page table of the model is that of x86-64.
const PAGE: u64 = 4096;
/// Folios that one go gathers at most.
const BATCH: usize = 31;

/// A read(2) under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    file: FileId,
    start: u64,
    at: u64,
    /// As it was asked for, even if that is beyond the end of the file.
    end: u64,
}

/// How far a read(2) came in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a read that waits has to go on"]
pub struct ReadStep {
    /// Where it stands.
    pub end: ReadEnd,
    /// What was done in this go.
    pub work: Work,
}

/// Where a read(2) stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadEnd {
    /// So many bytes more were copied.
    Copied(u64),
    /// It sleeps until this arrives.
    Waits(Io),
    /// All that the file has of it is copied.
    Done,
}

/// What one go found in the cache.
#[derive(Clone, Copy)]
struct Batch {
    count: usize,
    last: Folio,
}

impl Kernel {
    /// Begins a read(2) of `bytes`; [`Kernel::read_on`] carries it out.
    #[must_use]
    pub fn read(&self, file: FileId, bytes: Range<u64>) -> Reading {
        Reading { file, start: bytes.start, at: bytes.start, end: bytes.end }
    }

    /// Goes on with a read(2): until some folios are copied, or it has to wait, or it is done. After
    /// a wait it may be asked again as soon as that read has [arrived](Kernel::arrived).
    pub fn read_on(&mut self, reading: &mut Reading) -> ReadStep {
        let end = self.read_step(reading);
        ReadStep { end, work: self.take_work() }
    }

    fn read_step(&mut self, reading: &mut Reading) -> ReadEnd {
        let file = reading.file;
        let end = reading.end.min(self.pages() * PAGE);
        if reading.at >= end {
            if reading.at > reading.start {
                self.ra_mut(file).prev_pos = reading.at as i64;
            }
            return ReadEnd::Done;
        }
        let first = reading.at / PAGE;
        let last = reading.end.div_ceil(PAGE);
        let Some(batch) = self.gather_or_read(file, first, last) else { return ReadEnd::Copied(0) };
        if self.cache.has(batch.last, Flag::ReadAhead) {
            let from = batch.last.start;
            self.async_read_ahead(file, batch.last, from, last - from);
        }
        let mut copied_to = batch.last.end();
        if let Some(io) = self.flight(batch.last) {
            if batch.count == 1 {
                return ReadEnd::Waits(io);
            }
            copied_to = batch.last.start;
        }
        self.mark_read(first, copied_to, self.continues(file, first));
        self.work.folios += batch.count as u64;
        let copied = end.min(copied_to * PAGE) - reading.at;
        reading.at += copied;
        ReadEnd::Copied(copied)
    }

    /// Whether the read(2) before ended in the folio of page `first`.
    fn continues(&self, file: FileId, first: u64) -> bool {
        let before = (self.ra(file).prev_pos - 1) / PAGE as i64;
        self.ra(file).prev_pos > 0 && self.cache.folio(first) == self.cache.folio(before as u64)
    }

    fn gather_or_read(&mut self, file: FileId, first: u64, last: u64) -> Option<Batch> {
        if let Some(batch) = self.gather(first, last) {
            return Some(batch);
        }
        self.sync_read_ahead(file, first, last - first);
        if self.cache.folio(first).is_none() {
            self.read_alone(first);
        }
        self.gather(first, last)
    }

    /// The cached folios from page `first` on, up to one that has to be waited for or is flagged.
    fn gather(&self, first: u64, last: u64) -> Option<Batch> {
        let mut batch = Batch { count: 1, last: self.cache.folio(first)? };
        while batch.count < BATCH {
            let is_last =
                [Flag::Locked, Flag::ReadAhead].map(|flag| self.cache.has(batch.last, flag));
            let next = batch.last.end();
            match self.cache.folio(next) {
                Some(folio) if next < last && is_last == [false; 2] => {
                    batch = Batch { count: batch.count + 1, last: folio };
                }
                _ => break,
            }
        }
        Some(batch)
    }
}
