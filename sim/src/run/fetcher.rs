//! What the engine's fetcher makes of a plan: what is in memory is not read again, what the kernel
//! reads as fast by itself is left to it, long ranges are read in blocks (`block_reader`), and steps go
//! in batches. The engine's `fetch/madvise.rs` and
//! `runtime/task/steps.rs`, whose constants these are; they cannot be linked, since they make calls.

use mmap_ahead::page::{Nanos, PageCount, PageIndex, PageRange};
use mmap_ahead::policy::{Fetch, Outcome};

use super::follow::{Done, Work};
use super::helper::Helper;
use super::plans::Want;
use super::price;
use super::world::World;
use crate::kernel::FileId;
use crate::run::breakdown::Kind;

/// Pages between two that are asked about: 1 MiB.
const SAMPLE_PAGES: PageCount = PageCount(256);
/// From this read-ahead on, 1 MiB, the kernel keeps a disk busy by itself.
const READ_AHEAD_ENOUGH: PageCount = PageCount(256);
/// Steps read by one call, and how many pages of them: 2 MiB.
const STEPS_AT_ONCE: usize = 32;
const STEPS_PAGES_MAX: PageCount = PageCount(512);
/// Steps of so many pages, 512 KiB, are left to such a kernel as runs are.
const STEP_LEFT_PAGES: PageCount = PageCount(128);

/// What was found of a range that is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Resident,
    Absent,
    /// Absent, and better left to the kernel's own read-ahead.
    Left,
}

impl World<'_> {
    /// Whether `range` is in memory, by a page of each MiB, and who reads it if not.
    fn found(&self, range: PageRange) -> Found {
        let is_resident = range
            .pieces(SAMPLE_PAGES)
            .all(|piece| self.kernel.is_resident(PageIndex(piece.end.0.saturating_sub(1))));
        match is_resident {
            true => Found::Resident,
            false if self.kernel.options().ra_pages >= READ_AHEAD_ENOUGH => Found::Left,
            false => Found::Absent,
        }
    }

    /// Whether a window on `range` is left to its reader.
    pub(crate) fn is_left(&self, range: PageRange) -> bool {
        self.has_cache && self.found(range) == Found::Left
    }

    /// Whether the device is still at work on `range`, so that mapping it would wait.
    pub(crate) fn is_awaited(&self, range: PageRange) -> bool {
        self.has_cache && self.found(range) == Found::Absent
    }
}

impl Helper {
    /// Has `planned` read, in blocks where it is long enough: returns at once, the device goes on.
    pub(super) fn read(&mut self, planned: PageRange, world: &mut World<'_>) {
        let (what, begun) = (Fetch::Read, self.clock.now());
        let range = world.clip(planned, Want::Cached);
        let found = self.look_at(range, world);
        if found != Found::Resident {
            world.is_cold = found == Found::Absent;
        }
        if found == Found::Absent && !range.is_empty() {
            world.fetch(range, Want::Cached);
            self.pay_call(world);
            self.start(range, begun, world);
            world.show(begun, vec![range], None);
        }
        let outcome = if range == planned { Outcome::Done } else { Outcome::Refused };
        self.return_(Done { what, planned, took: self.clock.now().since(begun), outcome }, world);
    }

    /// Reads `first` and the steps that are queued right behind it by one call.
    pub(super) fn read_steps(&mut self, first: PageRange, world: &mut World<'_>) {
        let (what, begun) = (Fetch::Step, self.clock.now());
        let mut outcomes = Vec::new();
        let mut absent = Vec::new();
        for planned in steps_with(first, world) {
            let range = world.clip(planned, Want::Cached);
            let outcome = self.step(range, &mut absent, world);
            let is_clipped = range != planned;
            outcomes.push((planned, if is_clipped { Some(Outcome::Refused) } else { outcome }));
        }
        if !absent.is_empty() {
            self.pay_call(world);
            absent.iter().for_each(|&range| self.start(range, begun, world));
            world.show(begun, absent, None);
        }
        let took = self.clock.now().since(begun);
        for (planned, outcome) in outcomes {
            if let Some(outcome) = outcome {
                self.return_(Done { what, planned, took, outcome }, world);
            }
        }
    }

    /// Adds a step to `absent`, unless it is there; steps that follow each other are read as one. How it went, or none for one that its reader came
    /// to first, or that is left to the kernel: that says nothing.
    fn step(
        &mut self,
        range: PageRange,
        absent: &mut Vec<PageRange>,
        world: &mut World<'_>,
    ) -> Option<Outcome> {
        match self.look_at(range, world) {
            Found::Resident => {
                let is_mapped = world.kernel.mapped_runs(range).next().is_some();
                (!is_mapped).then_some(Outcome::Resident)
            }
            Found::Left if range.count() >= STEP_LEFT_PAGES => None,
            Found::Left | Found::Absent => {
                world.fetch(range, Want::Cached);
                match absent.last_mut() {
                    Some(last) if last.end == range.start => last.end = range.end,
                    Some(last) if last.start == range.end => last.start = range.start,
                    _ => absent.push(range),
                }
                Some(Outcome::Done)
            }
        }
    }

    /// Asks whether `range` is in memory: mincore(2), a page at a time.
    fn look_at(&mut self, range: PageRange, world: &World<'_>) -> Found {
        let asked = range.count().0.div_ceil(SAMPLE_PAGES.0);
        let each = price::call(&world.costs, Nanos(0)).total().0;
        self.clock.spend(Kind::Calls, Nanos(each * asked));
        world.found(range)
    }

    /// Blocks for the threads that read such, MADV_WILLNEED for the rest, as many calls as it takes.
    fn start(&mut self, range: PageRange, begun: Nanos, world: &mut World<'_>) {
        let left = world.hand_over(range, self.clock.now());
        let in_blocks = range.count().0 - left.iter().map(|left| left.count().0).sum::<u64>();
        let new_pages: u64 = left.into_iter().map(|left| self.will_need(left, world)).sum();
        if in_blocks + new_pages > 0 {
            world.look_out_for(range, begun);
        }
    }

    /// How many pages were not cached before.
    fn will_need(&mut self, mut left: PageRange, world: &mut World<'_>) -> u64 {
        let mut new_pages = 0;
        while !left.is_empty() {
            let (covered, work) = world.kernel.will_need(FileId::MAPPED, left);
            new_pages += work.pages_new;
            self.clock.pay(&price::folios(&world.costs, &work));
            world.submit(&mut self.clock);
            if covered.is_empty() {
                break;
            }
            left = PageRange::new(covered.end, left.end);
            if !left.is_empty() {
                self.pay_call(world);
            }
        }
        new_pages
    }
}

/// `first` and the steps that are queued right behind it, as many as one call may read.
fn steps_with(first: PageRange, world: &mut World<'_>) -> Vec<PageRange> {
    let mut left = STEPS_PAGES_MAX.0.saturating_sub(first.count().0);
    let mut steps = vec![first];
    let Some(follow) = &mut world.follow else { return steps };
    while let Some(&Work::Step(step)) = follow.work.front()
        && steps.len() < STEPS_AT_ONCE
        && step.count().0 <= left
    {
        left -= step.count().0;
        steps.push(step);
        follow.work.pop_front();
    }
    steps
}
