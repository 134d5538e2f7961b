//! One mapping's share of a worker: look, plan, fetch, and say when to come back.

mod arrival;
mod calm;
mod carry;
mod kit;
mod queue;
mod room;
mod steps;

use std::io;
use std::sync::atomic::Ordering;

use self::kit::Kit;
use super::clock;
use super::explicit::Explicit;
use super::ledger::Passed;
use super::pace::Next;
use super::pressure;
use super::shared::Shared;
use crate::page::{Nanos, PageRange};
use crate::policy::{Event, Source, Step, Window};
use crate::stats::Counters;

/// A step that has work left comes back after this long, so that other mappings get their turn.
const STEP_NANOS_MAX: u64 = 1_000_000;
/// What the disk is given to read ahead takes no longer than this, unless it is slow.
const DISK_NANOS_MAX: u64 = 50_000_000;
/// While a window waits for the disk, the disk is looked at this often.
const DISK_LOOK_NANOS: u64 = 150_000;

/// The state of one mapping, used by one worker at a time.
#[derive(Debug, Default)]
pub(super) struct Task {
    state: State,
    explicit: Explicit,
}

#[derive(Debug, Default)]
enum State {
    /// Before the first step.
    #[default]
    New,
    Ready(Box<Kit>),
    /// Nothing is followed: no page map, or it failed.
    Off,
}

/// A piece of a plan.
#[derive(Clone, Copy, Debug)]
enum Work {
    Read(PageRange),
    Map(Window),
    Step(Step),
}

/// Called right before a call that may block.
pub(super) type BeforeFetch<'a> = &'a mut dyn FnMut();

impl Task {
    /// Does what is due for `shared`, inside its gate.
    pub(super) fn step(&mut self, shared: &Shared, before_fetch: BeforeFetch<'_>) -> Next {
        if let Some(mut recording) = shared.recording() {
            return recording.step(shared, before_fetch);
        }
        if matches!(self.state, State::New) {
            self.state = Kit::new(shared).map_or(State::Off, |kit| State::Ready(Box::new(kit)));
        }
        let begun = clock::now();
        let explicit_left = self.explicit.step(shared, before_fetch);
        for span in self.explicit.mapped() {
            if let State::Ready(kit) = &mut self.state {
                kit.observer.account(kit.view.blocks_of(span));
            }
        }
        let next = match &mut self.state {
            State::Ready(kit) if shared.is_followed() => {
                match kit.step(shared, begun, before_fetch) {
                    Ok(_) if kit.observer.is_over() => {
                        self.state = State::Off;
                        Next::Dormant
                    }
                    Ok(next) => next,
                    Err(error) => {
                        tracing::warn!(%error, "mmap-ahead: cannot look at the page table; it is off");
                        self.state = State::Off;
                        Next::Dormant
                    }
                }
            }
            _ => Next::Dormant,
        };
        if next == Next::Dormant {
            shared.counters.streams.store(0, Ordering::Relaxed);
        }
        if explicit_left { Next::At(begun) } else { next }
    }
}

impl Kit {
    fn step(
        &mut self,
        shared: &Shared,
        begun: Nanos,
        before_fetch: BeforeFetch<'_>,
    ) -> io::Result<Next> {
        (self.resident, self.started) = (0, 0);
        let mut now = begun;
        let mut progressed = false;
        let mut looks = 0;
        loop {
            // Where mapping wins nothing there is no hurry: one look a step, or a fast reader would
            // keep this thread at its heels for ever.
            if looks == 0 || !self.observer.is_still() {
                progressed |= self.look(shared, now)?;
                looks += 1;
            }
            let Some(work) = self.next_work(now) else { break };
            self.carry_out(work, shared, before_fetch);
            now = clock::now();
            self.settle(now);
            if shared.gate.is_closed() || self.observer.is_over() {
                return Ok(Next::Dormant);
            }
            if now.since(begun).0 > STEP_NANOS_MAX {
                return Ok(Next::At(now));
            }
        }
        if self.observer.source() == Source::Guard {
            return Ok(Next::Rings);
        }
        match progressed {
            true => {}
            false if self.disk_is_at_work(now) => self.pace.waited_for_disk(),
            false => self.pace.waited(),
        }
        self.rest_if_calm();
        if self.waits_since.is_some() {
            return Ok(Next::At(Nanos(now.0 + DISK_LOOK_NANOS)));
        }
        Ok(self.pace.next(now))
    }

    /// Whether a reader that was seen a moment ago may be waiting for what is being read.
    fn disk_is_at_work(&self, now: Nanos) -> bool {
        self.is_cold && now.since(self.pace.progress_at()).0 < DISK_NANOS_MAX
    }

    /// Looks, tells the policy, queues what it plans. Returns whether a reader was seen that goes
    /// somewhere: touches that lead to no plan are no reason to look more often.
    fn look(&mut self, shared: &Shared, now: Nanos) -> io::Result<bool> {
        self.touches.clear();
        self.plan.clear();
        self.look_for_arrival(now);
        self.observer.look(&self.view, now, &mut self.touches, &shared.counters)?;
        if self.touches.is_empty() {
            self.judge_arrivals(now, &shared.counters);
            return Ok(false);
        }
        self.feel_pressure(now, &shared.counters);
        self.touches.tidy();
        self.count_touches(&shared.counters);
        self.settle(now);
        self.judge_arrivals(now, &shared.counters);
        if self.observer.source() == Source::Marker {
            self.touches.join(&self.view);
        }
        for &page in &self.touches.passed {
            let touch = Event::Touch { page, at: now, source: self.observer.source() };
            self.policy.on(&touch, &mut self.plan);
        }
        if !self.touches.found.is_empty() {
            let touched = Event::Touched { pages: &self.touches.found, at: now };
            self.policy.on(&touched, &mut self.plan);
        }
        if !self.touches.read_on.is_empty() {
            let read_on = Event::ReadOn { pages: &self.touches.read_on, at: now };
            self.policy.on(&read_on, &mut self.plan);
        }
        shared.counters.streams.store(self.policy.streams(), Ordering::Relaxed);
        self.drop_overtaken();
        let goes_on = !self.touches.passed.is_empty() || !self.plan.is_empty();
        if goes_on {
            self.progressed(now);
        }
        self.queue_plan();
        Ok(goes_on)
    }

    /// Tells the policy when memory was found short since the last time.
    fn feel_pressure(&mut self, now: Nanos, counters: &Counters) {
        let times = pressure::times_short(now);
        if std::mem::replace(&mut self.times_short, times) != times {
            Counters::add(&counters.pressures, 1);
            self.policy.on(&Event::Pressure, &mut self.plan);
        }
    }

    /// Counts what was passed, and what of it had been fetched ahead.
    fn count_touches(&mut self, counters: &Counters) {
        let Kit { touches, ledger, view, .. } = self;
        let end = view.pages().end;
        let mut sum = Passed::default();
        touches.passed.iter().for_each(|&page| sum += ledger.run_to(page, end));
        let ranges = touches.found.iter().chain(&touches.read_on);
        ranges.for_each(|&range| sum += ledger.pass(range));
        let Passed { pages, used, mapped, read } = sum;
        let told = touches.passed.len() + touches.found.len();
        for (counter, amount) in [
            (&counters.touches, told as u64),
            (&counters.pages_passed, pages),
            (&counters.pages_used, used),
            (&counters.pages_covered, mapped),
            (&counters.pages_read_used, read),
        ] {
            Counters::add(counter, amount);
        }
    }

    /// The reader went on. While all is calm its plan is dropped, but for one now and then.
    fn progressed(&mut self, now: Nanos) {
        let passed = self.touches.passed.iter().copied();
        let furthest = passed.chain(self.touches.found.iter().map(|range| range.end)).max();
        let furthest = furthest.unwrap_or_default();
        let went = furthest.since(self.pace.reader());
        self.pace.progressed(now, furthest);
        if self.pace.is_calm() && self.observer.rests(went) && self.rest() {
            self.plan.clear();
        }
    }
}
