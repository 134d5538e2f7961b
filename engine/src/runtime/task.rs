//! One mapping's share of a worker: look, plan, fetch, and say when to come back.

mod arrival;
mod calm;
mod queue;
mod room;
mod steps;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::clock;
use super::explicit::Explicit;
use super::ledger::{How, Ledger, Passed};
use super::pace::{Next, Pace};
use super::pressure;
use super::process::{self, Hold};
use super::shared::{Conduct, Shared};
use crate::fetch::{Fetch, ForStores, Madvise, Read, Remap, read_ahead_of};
use crate::observe::{Guard, Marker, Observer, Pinpoint, Stores, Touches, View};
use crate::options::Fetcher;
use crate::page::{ByteLen, Nanos, PageCount, PageRange};
use crate::policy::{
    self, Event, Geometry, Outcome, Plan, Policy, PolicyKind, Source, Step, Window,
};
use crate::stats::Counters;
use crate::sys;

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

/// Everything that following a mapping takes.
struct Kit {
    view: View,
    observer: Box<dyn Observer>,
    policy: Box<dyn Policy>,
    fetch: Box<dyn Fetch>,
    pace: Pace,
    touches: Touches,
    plan: Plan,
    pending: VecDeque<Work>,
    budget: PageCount,
    /// Reads of this step that found the pages in memory, and those that did not.
    resident: u32,
    started: u32,
    /// Whether a read had to start the disk, and none was left to the kernel since: what looks as if it
    /// were in memory may be on its way only.
    is_cold: bool,
    /// Since when the next window waits for the disk.
    waits_since: Option<Nanos>,
    arrivals: arrival::Arrivals,
    ledger: Ledger,
    /// The part of what is in the ledger that the process's budget knows of.
    hold: Arc<Hold>,
    /// How often memory was short, as far as the policy was told.
    times_short: u64,
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
    fn new(shared: &Shared) -> Option<Kit> {
        match shared.conduct {
            Conduct::Follow => {}
            Conduct::WriteAhead => return Kit::for_stores(shared),
            Conduct::OnRequest | Conduct::ReadOnly | Conduct::Record => return None,
        }
        let pagemap = sys::pagemap()?;
        let around = sys::fault_around(pagemap);
        let page_size = sys::page_size();
        let view = View { span: shared.span, page_size, around, pagemap };
        let len = ByteLen(shared.span.len as u64);
        let mut geometry = Geometry::new(page_size, len, shared.ahead.budget());
        geometry.fault_around = view.block_len();
        let observer: Box<dyn Observer> = match &shared.guard {
            Some(slot) => {
                let guard = Guard::new(&view, Arc::clone(slot));
                geometry.fault_around = guard.granule();
                Box::new(guard)
            }
            None => {
                let ahead = read_ahead_of(shared.facts).map(|bytes| ByteLen(bytes as u64));
                let pinpoint = Pinpoint::new(ahead.map(|bytes| page_size.whole_pages_in(bytes)));
                Box::new(Marker::new(&view, pinpoint, shared.faults))
            }
        };
        let policy = shared.ahead.policy.build(geometry);
        Some(Kit::join(view, observer, policy, fetcher(shared, around), geometry.budget))
    }

    /// For a writer: forward runs alone, seen page by page.
    fn for_stores(shared: &Shared) -> Option<Kit> {
        let pagemap = sys::pagemap()?;
        let page_size = sys::page_size();
        let around = page_size.bytes() as usize;
        let view = View { span: shared.span, page_size, around, pagemap };
        let len = ByteLen(shared.span.len as u64);
        let mut geometry = Geometry::new(page_size, len, shared.ahead.budget_for_stores());
        geometry.fault_around = view.block_len();
        let kind = match shared.ahead.policy {
            PolicyKind::Off => PolicyKind::Off,
            _ => PolicyKind::Ramp,
        };
        let observer = Box::new(Stores::new(&view));
        let policy = kind.build(geometry);
        Some(Kit::join(view, observer, policy, Box::new(ForStores), geometry.budget))
    }

    fn join(
        view: View,
        observer: Box<dyn Observer>,
        policy: Box<dyn Policy>,
        fetch: Box<dyn Fetch>,
        budget: PageCount,
    ) -> Kit {
        Kit {
            view,
            observer,
            policy,
            fetch,
            pace: Pace::new(),
            touches: Touches::default(),
            plan: Plan::new(),
            pending: VecDeque::new(),
            budget,
            resident: 0,
            started: 0,
            is_cold: false,
            waits_since: None,
            arrivals: arrival::Arrivals::default(),
            ledger: Ledger::default(),
            hold: process::shared().join(),
            times_short: pressure::times_short(clock::now()),
        }
    }

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

    /// Remembers what was carried out, until somebody passes it.
    fn note(&mut self, range: PageRange, how: How, counters: &Counters) {
        Counters::add(&counters.pages_ahead, self.ledger.add(range, how).0);
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

    fn carry_out(&mut self, work: Work, shared: &Shared, before_fetch: BeforeFetch<'_>) {
        let begun = clock::now();
        let counters = &shared.counters;
        let (what, range, result) = match work {
            Work::Read(range) => {
                (policy::Fetch::Read, range, self.read(range, counters, before_fetch))
            }
            Work::Map(window) => {
                (policy::Fetch::Window, window.range, self.map(window, counters, before_fetch))
            }
            Work::Step(step) => return self.take_steps(step, counters, before_fetch),
        };
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => {
                Counters::add(&counters.refused, 1);
                tracing::debug!(%error, %range, "mmap-ahead: a fetch was refused");
                Outcome::Refused
            }
        };
        let took = clock::now().since(begun);
        self.plan.clear();
        self.policy.on(&Event::Fetched { what, range, took, outcome }, &mut self.plan);
        self.queue_plan();
    }

    fn read(
        &mut self,
        range: PageRange,
        counters: &Counters,
        before_fetch: BeforeFetch<'_>,
    ) -> io::Result<Outcome> {
        let span = self.view.span_of(range);
        let found = self.fetch.to_read(span);
        match found {
            Read::Left => {
                self.is_cold = false;
                self.note(range, How::LEFT, counters);
            }
            Read::Resident => {
                self.resident += 1;
                self.note(range, How::LEFT, counters);
            }
            Read::Absent => {
                self.is_cold = true;
                let range = self.within_process(range, counters);
                let fresh = self.ledger.missing(range);
                if fresh == PageCount(0) {
                    // Left out, or on its way since an earlier plan.
                    return Ok(Outcome::Done);
                }
                let span = self.view.span_of(range);
                self.look_out_for(range, clock::now());
                if self.fetch.hand_over(span) {
                    Counters::add(&counters.pages_driven, fresh.0);
                } else {
                    before_fetch();
                    self.fetch.start(&[span])?;
                }
                self.started += 1;
                Counters::add(&counters.pages_read_ahead, fresh.0);
                self.note(range, How::READ, counters);
            }
        }
        Ok(Outcome::Done)
    }

    fn map(
        &mut self,
        window: Window,
        counters: &Counters,
        before_fetch: BeforeFetch<'_>,
    ) -> io::Result<Outcome> {
        let Kit { view, observer, fetch, .. } = self;
        if observer.leaves_window(view, window, &mut **fetch, counters)? {
            self.note(window.range, How::WINDOW_LEFT, counters);
            return Ok(Outcome::Done);
        }
        let range = self.within_process(window.range, counters);
        if range.is_empty() {
            return Ok(Outcome::Done);
        }
        let trigger = window.trigger.filter(|&page| range.contains(page));
        let window = Window { range, trigger };
        let Kit { view, observer, fetch, .. } = self;
        before_fetch();
        observer.map_window(view, window, &mut **fetch, counters)?;
        sys::tell_own_faults();
        // What is left out for the reader to fault in.
        let marker = trigger.map(|page| view.block_of(page).intersect(range)).unwrap_or_default();
        let before = PageRange::new(range.start, marker.start);
        self.note(before, How::MAPPED, counters);
        self.note(marker, How::WINDOW_LEFT, counters);
        self.note(PageRange::new(before.end.max(marker.end), range.end), How::MAPPED, counters);
        Ok(Outcome::Done)
    }
}

/// The fetcher that was asked for, or madvise where it cannot work.
fn fetcher(shared: &Shared, around: usize) -> Box<dyn Fetch> {
    let madvise = Madvise::new(shared.facts, around, shared.span, shared.offset);
    let file = shared.file.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (shared.ahead.fetcher, file) {
        (Fetcher::Remap, Some(file)) => {
            let is_advised = Arc::clone(&shared.is_advised);
            Box::new(Remap::new(madvise, file, shared.span, shared.offset, is_advised))
        }
        (Fetcher::Remap, None) => {
            shared.counters.refused.fetch_add(1, Ordering::Relaxed);
            Box::new(madvise)
        }
        (Fetcher::Madvise, _) => Box::new(madvise),
    }
}

impl std::fmt::Debug for Kit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let policy = self.policy.name();
        f.debug_struct("Kit").field("policy", &policy).field("pace", &self.pace).finish()
    }
}
