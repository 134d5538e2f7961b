//! A forward run past the page cache: frames in flight ahead of the offset.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::look::{Look, Meanwhile};
use super::queue::{BLOCK_LEN, Queue};
use super::version::Version;
use crate::sys::{CacheView, Cell, FRAME_LEN};

/// Frames: 16 of 2 MiB, all the memory there is. Measured with DEPTH.
const FRAMES: usize = 16;

/// Reads in flight at most: 15, all frames but the one that is lent.
const DEPTH: usize = FRAMES - 1;

/// Reads in flight when a run begins; each frame that is lent adds as many. A guess: a run that
/// stops early has not read much in vain, and memory is allocated while the disk works.
const DEPTH_BEGIN: usize = 4;

/// How far the plan goes: 64 MiB. Beyond that, what is cached is not looked at.
const PLAN_LEN_MAX: usize = 32;

/// What may be skipped and still be the same run: 64 KiB. A guess: a record, not a jump.
const GAP_MAX: u64 = 64 << 10;

/// So many frames in a row that were read past the page cache and are in it afterwards end it:
/// O_DIRECT is only a name there (encrypted or compressed files, data journals, btrfs with
/// checksums). The kernel's own read-ahead, before it notices that we left, makes half as many.
const FUTILE_MAX: u32 = 16;

/// Who has the bytes at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A frame, to be lent.
    Lend,
    /// The page cache, which has most of it up to an offset.
    Pread(u64),
    /// The run is over: it went elsewhere, came to the end, or into cached pages; or the file was
    /// changed.
    Over,
    /// It cannot go on, here or later.
    Broken,
}

/// A piece of the file up to a multiple of the frame, or its end.
#[derive(Debug)]
struct Slot {
    start: u64,
    end: u64,
    way: Way,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    /// Read number so and so; what the cache held of it then.
    Disk(u64, Option<CacheView>),
    Cache,
}

/// A landed frame. What it holds is as read(2) would have read it when it was last verified.
#[derive(Debug)]
struct Lent {
    cell: Cell,
    range: Range<u64>,
    verified: bool,
}

/// The frames, and what they are used for.
#[derive(Debug)]
pub(super) struct Stream {
    queue: Queue,
    /// The same file, for pread without the kernel's own read-ahead.
    pub(super) quiet: Arc<File>,
    version: Version,
    /// Adjoining slots; the first holds the offset.
    plan: VecDeque<Slot>,
    planned: u64,
    /// Found to be cached when a run was last over because of that.
    warm: Range<u64>,
    lent: Option<Lent>,
    frames_lent: usize,
    futile: u32,
}

impl Stream {
    /// Of a file that was opened with O_DIRECT and once more without.
    pub(super) fn new(
        direct: Arc<OwnedFd>,
        quiet: Arc<File>,
        version: Version,
    ) -> io::Result<Stream> {
        Ok(Stream {
            queue: Queue::new(direct, DEPTH, FRAME_LEN, FRAMES)?,
            quiet,
            version,
            plan: VecDeque::new(),
            planned: 0,
            warm: 0..0,
            lent: None,
            frames_lent: 0,
            futile: 0,
        })
    }

    /// Whether a run may begin at `offset`.
    pub(super) fn may_begin(&self, offset: u64) -> bool {
        !self.warm.contains(&offset)
    }

    /// Begins a run at `offset`.
    pub(super) fn begin(&mut self, offset: u64, version: Version) {
        self.end();
        self.version = version;
        self.planned = offset;
        self.frames_lent = 0;
    }

    /// Forgets what was planned and read.
    pub(super) fn end(&mut self) {
        self.unlend();
        self.plan.clear();
        self.queue.clear();
    }

    pub(super) fn quiet(&self) -> &Arc<File> {
        &self.quiet
    }

    /// The bytes of the lent frame from `offset` on.
    pub(super) fn lent(&self, offset: u64) -> &[u8] {
        match &self.lent {
            Some(Lent { cell, range, verified: true }) if range.contains(&offset) => {
                &cell.bytes()[(offset - range.start) as usize..(range.end - range.start) as usize]
            }
            _ => &[],
        }
    }

    /// What is lent is looked at once more before it is lent again.
    pub(super) fn doubt(&mut self) {
        if let Some(lent) = &mut self.lent {
            lent.verified = false;
        }
    }

    /// Goes to `offset`, keeps the disk busy beyond it, and says who has the bytes there.
    pub(super) fn next(&mut self, offset: u64) -> Next {
        if !self.go_to(offset) {
            return Next::Over;
        }
        if self.plan_ahead().is_err() {
            return Next::Broken;
        }
        let cached = |slot: &Slot| matches!(slot.way, Way::Cache);
        match self.plan.front() {
            None => Next::Over,
            Some(_) if self.plan.len() == PLAN_LEN_MAX && self.plan.iter().all(cached) => {
                self.warm = offset..self.planned;
                Next::Over
            }
            Some(&Slot { end, way: Way::Cache, .. }) => Next::Pread(end),
            Some(&Slot { start, end, way: Way::Disk(number, seen) }) => {
                self.lend(start..end, number, seen)
            }
        }
    }

    /// Drops the slots before `offset`; false when it lies elsewhere.
    fn go_to(&mut self, offset: u64) -> bool {
        let start = self.plan.front().map_or(self.planned, |slot| slot.start);
        let first_end = self.plan.front().map_or(self.planned, |slot| slot.end);
        if offset < start || offset > first_end + GAP_MAX {
            return false;
        }
        while self.plan.front().is_some_and(|slot| slot.end <= offset) {
            self.unlend();
            self.plan.pop_front();
        }
        if offset >= self.version.len {
            return false;
        }
        if self.plan.is_empty() {
            self.planned = offset / BLOCK_LEN * BLOCK_LEN;
        }
        true
    }

    fn unlend(&mut self) {
        if let Some(lent) = self.lent.take() {
            self.queue.give_back(lent.cell);
        }
    }

    fn plan_ahead(&mut self) -> io::Result<()> {
        let depth = DEPTH.min(DEPTH_BEGIN * (1 + self.frames_lent));
        while self.planned < self.version.len
            && self.plan.len() < PLAN_LEN_MAX
            && self.queue.has_room()
            && self.queue.in_flight() < depth
        {
            let start = self.planned;
            let frame_end = (start + 1).next_multiple_of(FRAME_LEN as u64);
            let end = frame_end.min(self.version.len);
            let way = match self.look(start..end) {
                Look::Cached => Way::Cache,
                Look::Cold(seen) => {
                    let len = (end - start).next_multiple_of(BLOCK_LEN) as usize;
                    let number = self.queue.push(start, len)?;
                    self.queue.submit()?;
                    Way::Disk(number, seen)
                }
            };
            self.plan.push_back(Slot { start, end, way });
            self.planned = end;
        }
        Ok(())
    }

    /// Waits for the first slot's frame, if that was not done, and verifies it.
    fn lend(&mut self, range: Range<u64>, number: u64, seen: Option<CacheView>) -> Next {
        if self.lent.is_none() {
            let Ok(landed) = self.queue.take(number) else { return Next::Broken };
            let whole =
                landed.result.as_ref().is_ok_and(|&len| len as u64 >= range.end - range.start);
            if !whole {
                self.queue.give_back(landed.cell);
                // Whatever it is, pread(2) will say it at the right byte.
                return if landed.result.is_ok() { Next::Over } else { Next::Broken };
            }
            self.lent = Some(Lent { cell: landed.cell, range: range.clone(), verified: false });
            self.frames_lent += 1;
        }
        if self.lent.as_ref().is_some_and(|lent| lent.verified) {
            return Next::Lend;
        }
        match self.look_again(&range, seen) {
            Meanwhile::Nothing => self.futile = 0,
            Meanwhile::Cached => self.futile += 1,
            Meanwhile::Written => return Next::Over,
        }
        if self.futile == FUTILE_MAX {
            return Next::Broken;
        }
        if Version::of(&self.quiet).ok() != Some(self.version) {
            return Next::Over;
        }
        self.lent.iter_mut().for_each(|lent| lent.verified = true);
        Next::Lend
    }
}
