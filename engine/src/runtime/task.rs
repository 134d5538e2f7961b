//! One mapping's share of a worker: look, plan, fetch, and say when to come back.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::clock;
use super::explicit::Explicit;
use super::pace::{Next, Pace};
use super::shared::{Conduct, Shared};
use crate::fetch::{Fetch, ForStores, Madvise, Read, Remap, read_ahead_of, samples_are_cached};
use crate::observe::{Guard, Marker, Observer, Pinpoint, Stores, Touches, View};
use crate::options::Fetcher;
use crate::page::{ByteLen, Nanos, PageCount, PageRange};
use crate::policy::{
    self, Event, Geometry, Outcome, Plan, Policy, PolicyKind, Source, Step, Window,
};
use crate::residency::Residency;
use crate::stats::Counters;
use crate::sys::{self, Span};

/// A step that has work left comes back after this long, so that other mappings get their turn.
const STEP_NANOS_MAX: u64 = 1_000_000;
/// Bytes between two pages that are asked about when everything ahead seems to be in memory.
const CALM_SAMPLE_BYTES: usize = 8 << 20;
const CALM_SAMPLES_MAX: usize = 32;
/// While a window waits for the disk, the disk is looked at this often, and no longer than this.
const DISK_LOOK_NANOS: u64 = 150_000;
const DISK_WAIT_NANOS_MAX: u64 = 20_000_000;
/// A read that is seen to end later than this says nothing.
const ARRIVAL_NANOS_MAX: u64 = 1_000_000_000;
/// Steps read by one call, and how many bytes of them: what a drop may have to wait for.
const STEPS_AT_ONCE: usize = 16;
const STEPS_BYTES_MAX: u64 = 2 << 20;

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
    /// Whether the last read had to start the disk.
    is_cold: bool,
    /// Since when the next window waits for the disk.
    waits_since: Option<Nanos>,
    /// A read whose end is looked out for, to learn how long the device takes.
    arriving: Option<Arriving>,
}

/// Pages that the device was started on.
#[derive(Clone, Copy, Debug)]
struct Arriving {
    range: PageRange,
    begun: Nanos,
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
            arriving: None,
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
        if !progressed {
            self.pace.waited();
        }
        self.rest_if_calm();
        if self.waits_since.is_some() {
            return Ok(Next::At(Nanos(now.0 + DISK_LOOK_NANOS)));
        }
        Ok(self.pace.next(now))
    }

    /// The next piece of the plan. A window that the disk has not brought yet is not mapped, since
    /// that would wait for it: reads behind it come first, and if there are none, nothing does.
    fn next_work(&mut self, now: Nanos) -> Option<Work> {
        let Some(front) = self.pending.front() else {
            self.waits_since = None;
            return None;
        };
        let waits = match front {
            Work::Map(window) => self.waits_for_disk(window.range, now),
            Work::Read(_) | Work::Step(_) => false,
        };
        if !waits {
            self.waits_since = None;
            return self.pending.pop_front();
        }
        self.waits_since.get_or_insert(now);
        let read = self.pending.iter().position(|work| !matches!(work, Work::Map(_)))?;
        self.pending.remove(read)
    }

    /// Whether the disk is still at work on `range`. Not for ever: what was never read, or is gone
    /// again, is read when it is mapped.
    fn waits_for_disk(&self, range: PageRange, now: Nanos) -> bool {
        let waited = self.waits_since.map_or(Nanos(0), |since| now.since(since));
        self.is_cold
            && waited.0 < DISK_WAIT_NANOS_MAX
            && self.fetch.residency(self.view.span_of(range)) == Residency::Absent
    }

    /// Looks, tells the policy, queues what it plans. Returns whether a reader was seen that goes
    /// somewhere: touches that lead to no plan are no reason to look more often.
    fn look(&mut self, shared: &Shared, now: Nanos) -> io::Result<bool> {
        self.touches.clear();
        self.plan.clear();
        self.look_for_arrival(now);
        self.observer.look(&self.view, now, &mut self.touches, &shared.counters)?;
        if self.touches.is_empty() {
            return Ok(false);
        }
        let count = self.touches.passed.len() + self.touches.found.len();
        Counters::add(&shared.counters.touches, count as u64);
        self.touches.tidy();
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
        self.drop_overtaken();
        let goes_on = !self.touches.passed.is_empty() || !self.plan.is_empty();
        if goes_on {
            self.progressed(now);
        }
        self.queue_plan();
        Ok(goes_on)
    }

    /// Tells the policy how long the device took for what is looked out for, if it has come.
    fn look_for_arrival(&mut self, now: Nanos) {
        let Some(Arriving { range, begun }) = self.arriving else { return };
        let took = now.since(begun);
        match self.fetch.residency(self.view.span_of(range)) {
            // Nobody looked for so long, or it was evicted, or the device is stuck.
            _ if took.0 >= ARRIVAL_NANOS_MAX => self.arriving = None,
            Residency::Resident => {
                self.policy.on(&Event::Arrived { range, took }, &mut self.plan);
                self.arriving = None;
            }
            Residency::Absent => {}
            Residency::Unknown => self.arriving = None,
        }
    }

    fn look_out_for(&mut self, range: PageRange, begun: Nanos) {
        self.arriving.get_or_insert(Arriving { range, begun });
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

    /// Forgets queued windows that a reader has gone through already.
    fn drop_overtaken(&mut self) {
        for touched in &self.touches.found {
            self.pending.retain(|work| match work {
                Work::Read(range) => !is_within(*range, *touched),
                Work::Map(window) => !is_within(window.range, *touched),
                Work::Step(step) => !is_within(step.range, *touched),
            });
        }
    }

    /// Queues the plan, cut to the mapping and to the budget: reads first, so that the disk works
    /// while the page table is built.
    fn queue_plan(&mut self) {
        for &overtaken in self.plan.overtaken_ranges() {
            self.pending.retain(|work| match work {
                Work::Map(window) => !overtaken.contains(window.range.start),
                Work::Read(_) | Work::Step(_) => true,
            });
        }
        let whole = self.view.pages();
        let mut reads = Allowance { whole, room: self.budget };
        let mut windows = Allowance { whole, room: self.budget };
        for step in self.plan.steps() {
            let stream = step.stream;
            self.pending
                .extend(reads.take(step.range).map(|r| Work::Step(Step { stream, range: r })));
        }
        for &range in self.plan.reads() {
            self.pending.extend(reads.take(range).map(Work::Read));
        }
        for window in self.plan.windows() {
            self.pending.extend(windows.take(window.range).map(|range| {
                let trigger = window.trigger.filter(|&page| range.contains(page));
                Work::Map(Window { range, trigger })
            }));
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
        self.is_cold = found == Read::Absent;
        match found {
            Read::Left => Ok(Outcome::Done),
            Read::Resident => {
                self.resident += 1;
                Ok(Outcome::Done)
            }
            Read::Absent => {
                before_fetch();
                self.look_out_for(range, clock::now());
                self.fetch.start(&[span])?;
                self.started += 1;
                Counters::add(&counters.pages_read_ahead, range.count().0);
                Ok(Outcome::Done)
            }
        }
    }

    /// Reads `first` and the steps that are queued right behind it in one go, those that follow each
    /// other in the file as one range, and watches them.
    fn take_steps(&mut self, first: Step, counters: &Counters, before_fetch: BeforeFetch<'_>) {
        let begun = clock::now();
        let most = self.view.page_size.pages_for(ByteLen(STEPS_BYTES_MAX));
        let mut left = PageCount(most.0.saturating_sub(first.range.count().0));
        let mut steps = vec![first];
        while let Some(&Work::Step(step)) = self.pending.front()
            && steps.len() < STEPS_AT_ONCE
            && step.range.count() <= left
        {
            left = PageCount(left.0 - step.range.count().0);
            steps.push(step);
            self.pending.pop_front();
        }
        // None for one that its reader came to first: that says nothing.
        let mut outcomes = vec![Some(Outcome::Done); steps.len()];
        let mut absent: Vec<PageRange> = Vec::new();
        for (step, outcome) in steps.iter().zip(&mut outcomes) {
            if self.fetch.residency(self.view.span_of(step.range)) == Residency::Resident {
                *outcome = match self.view.any_present(step.range) {
                    Ok(true) => {
                        Counters::add(&counters.late, 1);
                        None
                    }
                    Ok(false) => Some(Outcome::Resident),
                    Err(_) => Some(Outcome::Refused),
                };
                continue;
            }
            if self.observer.watch_step(&self.view, *step, counters).is_err() {
                *outcome = Some(Outcome::Refused);
            }
            match absent.last_mut() {
                Some(last) if last.end == step.range.start => last.end = step.range.end,
                Some(last) if last.start == step.range.end => last.start = step.range.start,
                _ => absent.push(step.range),
            }
        }
        if let Some(&last) = absent.last() {
            before_fetch();
            self.look_out_for(last, clock::now());
            let spans: Vec<Span> = absent.iter().map(|&range| self.view.span_of(range)).collect();
            if let Err(error) = self.fetch.start(&spans) {
                Counters::add(&counters.refused, 1);
                tracing::debug!(%error, "mmap-ahead: steps were refused");
                outcomes.fill(Some(Outcome::Refused));
            }
            let pages = absent.iter().map(|range| range.count().0).sum();
            Counters::add(&counters.pages_read_ahead, pages);
            self.started += 1;
        }
        let took = clock::now().since(begun);
        self.plan.clear();
        for (step, outcome) in steps.iter().zip(outcomes) {
            let (what, range) = (policy::Fetch::Step, step.range);
            if let Some(outcome) = outcome {
                self.policy.on(&Event::Fetched { what, range, took, outcome }, &mut self.plan);
            }
        }
        self.queue_plan();
    }

    fn map(
        &mut self,
        window: Window,
        counters: &Counters,
        before_fetch: BeforeFetch<'_>,
    ) -> io::Result<Outcome> {
        let Kit { view, observer, fetch, .. } = self;
        if !observer.leaves_window(view, window, &mut **fetch, counters)? {
            before_fetch();
            observer.map_window(view, window, &mut **fetch, counters)?;
            sys::tell_own_faults();
        }
        Ok(Outcome::Done)
    }

    /// Large folios, all in memory: there is nothing to win.
    fn rest_if_calm(&mut self) {
        if self.started > 0 || !self.observer.is_still() {
            self.pace.wake();
        } else if self.resident > 0 && !self.pace.is_calm() {
            self.rest();
        }
    }

    /// Looks ahead as far as the reader can get until the next look, and at all that is planned for
    /// whomever, and rests until then if all of that is in memory. Returns whether it does.
    fn rest(&mut self) -> bool {
        let reader = self.pace.reader();
        let ahead = PageRange::at(reader, PageCount(self.pace.rest())).intersect(self.view.pages());
        let is_cached = |range: PageRange| {
            let span = self.view.span_of(range.intersect(self.view.pages()));
            let samples = (span.len / CALM_SAMPLE_BYTES).clamp(1, CALM_SAMPLES_MAX);
            samples_are_cached(span, samples)
        };
        let rests = !ahead.is_empty()
            && is_cached(ahead)
            && self.plan.steps().iter().all(|step| is_cached(step.range))
            && runs_of(self.plan.reads()).into_iter().all(is_cached);
        if !rests {
            self.pace.wake();
        }
        rests
    }
}

/// What a plan may still ask for.
struct Allowance {
    whole: PageRange,
    room: PageCount,
}

impl Allowance {
    /// The part of `range` that is allowed, if any.
    fn take(&mut self, range: PageRange) -> Option<PageRange> {
        let range = range.intersect(self.whole);
        let range = PageRange::at(range.start, range.count().min(self.room));
        self.room = PageCount(self.room.0 - range.count().0);
        (!range.is_empty()).then_some(range)
    }
}

/// `ranges` with those that follow each other made one.
fn runs_of(ranges: &[PageRange]) -> Vec<PageRange> {
    let mut runs: Vec<PageRange> = Vec::new();
    for &range in ranges {
        match runs.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => runs.push(range),
        }
    }
    runs
}

fn is_within(inner: PageRange, outer: PageRange) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// The fetcher that was asked for, or madvise where it cannot work.
fn fetcher(shared: &Shared, around: usize) -> Box<dyn Fetch> {
    let madvise = Madvise::new(shared.facts, around);
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
