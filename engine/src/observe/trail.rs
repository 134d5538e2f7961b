//! Steps that streams are expected to take: single pages or blocks that were read and left for their
//! reader to map. Nobody but a reader makes them present, so each of them says that it passed.

use std::collections::VecDeque;
use std::io;

use super::pinpoint::Pinpoint;
use super::{Touches, View};
use crate::page::{PageCount, PageRange};
use crate::policy::{Step, StreamId};
use crate::stats::Counters;

/// Streams watched at once; the one that was looked at in vain most often is forgotten first.
const TRAILS_MAX: usize = 128;
/// Looks in vain after which a stream is not awaited any more: a second or so. A sweep finds it again.
const VAIN_LOOKS_MAX: u32 = 2000;
/// Steps watched of one stream: more than any policy plans.
const STEPS_MAX: usize = 256;

/// A step that was absent when it was planned.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    range: PageRange,
    /// Whether the page behind it was absent too: if it is present later, the reader reads on.
    is_open_ended: bool,
}

/// Which steps of a trail were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    None,
    /// So many, from the first one on.
    First(usize),
    /// The last one, and not the first.
    Last,
}

#[derive(Debug)]
struct Trail {
    stream: StreamId,
    steps: VecDeque<Awaited>,
    /// The last step that was passed, until it is known whether the reader read on behind it.
    passed: Option<Awaited>,
    vain_looks: u32,
}

/// All that is awaited.
#[derive(Debug, Default)]
pub(crate) struct Trails {
    trails: Vec<Trail>,
}

impl Trails {
    /// Awaits `step`, unless it is present already: then nothing is to be learnt from it.
    pub(crate) fn watch(&mut self, view: &View, step: Step, counters: &Counters) -> io::Result<()> {
        let Some(stream) = step.stream else { return Ok(()) };
        Counters::add(&counters.polls, 1);
        if view.any_present(step.range)? {
            return Ok(());
        }
        let behind = PageRange::at(step.range.end, PageCount(1)).intersect(view.pages());
        let is_open_ended = !behind.is_empty() && !view.any_present(behind)?;
        let awaited = Awaited { range: step.range, is_open_ended };
        let trail = self.trail_of(stream);
        if trail.steps.len() < STEPS_MAX {
            Counters::add(&counters.steps, 1);
            trail.steps.push_back(awaited);
        }
        Ok(())
    }

    fn trail_of(&mut self, stream: StreamId) -> &mut Trail {
        let place = self.trails.iter().position(|trail| trail.stream == stream);
        let place = place.unwrap_or_else(|| {
            if self.trails.len() == TRAILS_MAX {
                let quietest = (0..TRAILS_MAX).max_by_key(|&at| self.trails[at].vain_looks);
                self.trails.swap_remove(quietest.unwrap_or(0));
            }
            let (steps, passed, vain_looks) = (VecDeque::new(), None, 0);
            self.trails.push(Trail { stream, steps, passed, vain_looks });
            self.trails.len() - 1
        });
        &mut self.trails[place]
    }

    /// Adds the steps that were taken since the last look, and what was read behind them.
    pub(crate) fn look(
        &mut self,
        view: &View,
        pinpoint: &Pinpoint,
        touches: &mut Touches,
        counters: &Counters,
    ) -> io::Result<()> {
        for trail in &mut self.trails {
            trail.look(view, pinpoint, touches, counters)?;
        }
        self.trails.retain(|trail| trail.vain_looks < VAIN_LOOKS_MAX);
        Ok(())
    }

    /// Pages were mapped by somebody who is no reader: steps there say nothing any more.
    pub(crate) fn account(&mut self, range: PageRange) {
        for trail in &mut self.trails {
            trail.steps.retain(|step| step.range.intersect(range).is_empty());
        }
    }
}

impl Trail {
    fn look(
        &mut self,
        view: &View,
        pinpoint: &Pinpoint,
        touches: &mut Touches,
        counters: &Counters,
    ) -> io::Result<()> {
        let taken = match self.taken(view, counters)? {
            Taken::None => {
                self.vain_looks += 1;
                return Ok(());
            }
            Taken::First(count) => count,
            Taken::Last => {
                // What lies between was left out, as far as anybody knows.
                let last = self.steps.pop_back();
                self.steps.clear();
                self.steps.extend(last);
                1
            }
        };
        self.vain_looks = 0;
        Counters::add(&counters.steps_taken, taken as u64);
        // The reader may be in the midst of the last one: those before it are over.
        let over = self.passed.into_iter().chain(self.steps.iter().take(taken - 1).copied());
        if let Some(grown) = read_behind(view, pinpoint, over.last(), counters)? {
            touches.read_on.push(grown);
        }
        self.passed = self.steps.get(taken - 1).copied();
        touches.found.extend(self.steps.drain(..taken).map(|step| step.range));
        Ok(())
    }

    /// How many steps were taken. The first tells whether any was; the last is for a reader that left
    /// some out. In between by doubling and halving: a reader takes them in order.
    fn taken(&self, view: &View, counters: &Counters) -> io::Result<Taken> {
        let len = self.steps.len();
        let is_taken = |index: usize| {
            Counters::add(&counters.polls, 1);
            view.any_present(self.steps[index].range)
        };
        if len == 0 {
            return Ok(Taken::None);
        }
        if !is_taken(0)? {
            let is_far = len > 1 && is_taken(len - 1)?;
            return Ok(if is_far { Taken::Last } else { Taken::None });
        }
        let (mut taken, mut step) = (1, 1);
        while taken < len {
            let probe = (taken + step - 1).min(len - 1);
            if !is_taken(probe)? {
                let (mut low, mut high) = (taken, probe);
                while low < high {
                    let middle = low + (high - low) / 2;
                    if is_taken(middle)? {
                        low = middle + 1;
                    } else {
                        high = middle;
                    }
                }
                return Ok(Taken::First(low));
            }
            taken = probe + 1;
            step *= 2;
        }
        Ok(Taken::First(len))
    }
}

/// The pages behind a step up to the one that its reader was seen to fault on, if it read on there.
fn read_behind(
    view: &View,
    pinpoint: &Pinpoint,
    step: Option<Awaited>,
    counters: &Counters,
) -> io::Result<Option<PageRange>> {
    let Some(step) = step.filter(|step| step.is_open_ended) else { return Ok(None) };
    let next = PageRange::at(step.range.end, PageCount(1)).intersect(view.pages());
    Counters::add(&counters.polls, 1);
    if next.is_empty() || !view.any_present(next)? {
        return Ok(None);
    }
    let block = PageRange::new(next.start, view.block_of(next.start).end);
    let faulted = pinpoint.faulted_page(view, block);
    Ok(faulted.map(|page| PageRange::new(next.start, page.plus(PageCount(1)))))
}
