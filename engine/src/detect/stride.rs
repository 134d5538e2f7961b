//! One reader's steps, and what a touch means to them.

use crate::page::{PageCount, PageIndex, PageRange};

/// Steps that a reader may leave out beyond all that are planned for it, and still be the same.
const SKIPPED_MAX: i64 = 8;
/// Steps behind a reader that are its own still: stragglers of several threads.
const BEHIND_MAX: i64 = 256;
/// How many steps back a reader may be found to have read on.
const GROWN_BEHIND_MAX: i64 = 8;
/// The most pages of a step that are read: what one call may fetch, 2 MiB in pages of 4 KiB. Whoever reads
/// more at a step runs there.
const EXTENT_MAX: PageCount = PageCount(512);
/// More touches than this make a stride no more credible.
const SCORE_MAX: i64 = 1 << 16;
/// Older steps are forgotten, so that the numbers stay small.
const STEPS_KEPT: u32 = 1 << 16;

/// Steps of constant distance.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stride {
    /// Tells it from all others that ever were.
    pub(crate) id: u64,
    /// Where the first step that is remembered and the last one begin.
    pub(crate) first: PageIndex,
    pub(crate) last: PageIndex,
    /// How many steps lie from `first` to `last`.
    pub(crate) steps: u32,
    /// How many pages of a step are read.
    pub(crate) extent: PageCount,
    /// How many steps beyond `last` are planned.
    pub(crate) planned: u32,
    /// Whether all steps were equally long, to the page.
    pub(crate) is_exact: bool,
    /// The look that showed it: until a later one does, nobody knows which way it goes.
    pub(super) seen_in: Option<u64>,
    /// Touches that were its steps, less the steps that were left out.
    pub(crate) score: i64,
    /// When it was heard of last; 0 for none.
    pub(super) used: u64,
    /// Pages from one step to the next, rounded towards zero; negative when it goes backwards.
    pub(super) distance: i64,
}

/// What a touch is to the stride that owns it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meant {
    /// The step so many after the last one, or before it.
    Step(i64),
    /// Some of what is known of the step so many before the last one.
    Inside(i64),
    /// More than is known of it, up to so many pages from its start on.
    Growth(i64, PageCount),
}

impl Meant {
    pub(super) fn steps_away(self) -> u64 {
        let (Meant::Step(step) | Meant::Inside(step) | Meant::Growth(step, _)) = self;
        step.unsigned_abs()
    }
}

impl Stride {
    /// A stride that is seen first at `last`, `steps` steps after `first`.
    pub(super) fn new(first: PageIndex, last: PageIndex, steps: u32, is_exact: bool) -> Stride {
        let score = i64::from(steps) + 1;
        let mut stride = Stride { first, last, steps, is_exact, score, ..Stride::default() };
        stride.measure();
        stride
    }

    /// The same with `extent` pages read at each step, as far as that makes sense.
    pub(super) fn with_extent(mut self, extent: PageCount) -> Stride {
        self.extent = extent.min(EXTENT_MAX).min(PageCount(self.distance.unsigned_abs()));
        self
    }

    /// Pages from one step to the next, rounded towards zero; negative when it goes backwards.
    pub(crate) fn distance(&self) -> i64 {
        self.distance
    }

    /// Where the step `ahead` of the last one begins (`ahead` may be negative); none before page 0.
    pub(crate) fn position(&self, ahead: i64) -> Option<PageIndex> {
        let at = if self.is_exact {
            i128::from(self.distance) * i128::from(ahead)
        } else {
            // To the nearest page: of a distance that is not whole, the steps seen are the whole parts.
            let steps = i128::from(self.steps.max(1));
            let from_last = i128::from(signed(self.first, self.last)) * i128::from(ahead);
            (2 * from_last + steps).div_euclid(2 * steps)
        };
        u64::try_from(i128::from(self.last.0) + at).ok().map(PageIndex)
    }

    /// The pages that are read at the step `ahead` of the last one. A page more at each end where
    /// steps are not whole pages apart.
    pub(crate) fn step(&self, ahead: u32) -> Option<PageRange> {
        let at = self.position(i64::from(ahead))?;
        let slack = self.slack();
        Some(PageRange::new(at.minus(slack), at.plus(self.extent).plus(slack)))
    }

    /// How many pages are read at a step.
    pub(crate) fn step_len(&self) -> PageCount {
        PageCount(self.extent.0 + 2 * self.slack().0)
    }

    /// The pages that are planned ahead of it.
    pub(crate) fn ahead(&self) -> PageCount {
        PageCount(self.step_len().0 * u64::from(self.planned))
    }

    /// What `touched` is to it, if it is its own.
    pub(super) fn meaning(&self, touched: PageRange) -> Option<Meant> {
        // Whoever reads what lies between the steps too takes no steps.
        if touched.count().0 > self.distance.unsigned_abs() {
            return None;
        }
        let reach = i64::from(self.planned) + SKIPPED_MAX;
        let behind = self.behind();
        let step = |slack| self.step_in(touched, slack);
        // To have come from the other side, a block must begin where its step would.
        let is_there = |step| self.position(step) == Some(touched.start);
        let exact = step(self.slack())
            .filter(|step| (-behind..=reach).contains(step))
            .filter(|&step| !self.is_before_first(step) || is_there(step));
        let growth = || self.part_of_step(touched);
        // A page off: then its steps are not whole pages apart after all.
        let near = || step(PageCount(1)).filter(|step| (1..=reach).contains(step));
        exact.map(Meant::Step).or_else(growth).or_else(|| near().map(Meant::Step))
    }

    /// Goes on by `by` steps, to what is `touched`.
    pub(super) fn advance(&mut self, by: u32, touched: PageRange) {
        let Some(at) = self.position(i64::from(by)) else { return };
        self.is_exact &= touched.contains(at);
        // A single page is where it was; of a block only the step itself is known.
        let is_seen = !self.is_exact && touched.count() == PageCount(1);
        self.last = if is_seen { touched.start } else { at };
        self.score += 2 - i64::from(by);
        self.score = self.score.min(SCORE_MAX);
        self.steps = self.steps.saturating_add(by);
        self.planned = self.planned.saturating_sub(by);
        if self.steps > STEPS_KEPT
            && let Some(first) = self.position(-i64::from(STEPS_KEPT / 2))
        {
            self.first = first;
            self.steps = STEPS_KEPT / 2;
        }
        if !self.is_exact {
            self.measure();
        }
    }

    /// Reads `reads` pages of each step, or twice what was known. The answer is what was known.
    pub(super) fn grow(&mut self, reads: PageCount) -> PageCount {
        let known = self.extent;
        *self = self.with_extent(reads.max(PageCount(2 * known.0)));
        known
    }

    /// A step that was passed was touched after all: one of a set has no order, or a straggler.
    pub(super) fn confirm(&mut self) {
        self.score = (self.score + 1).min(SCORE_MAX);
    }

    /// What is touched lies `steps` steps behind, before the first one: in a set that was found at once the
    /// reader went the other way.
    pub(super) fn turn_around(&mut self) {
        std::mem::swap(&mut self.first, &mut self.last);
        self.distance = -self.distance;
        self.planned = 0;
    }

    /// Whether `step` lies before all that were seen.
    pub(super) fn is_before_first(&self, step: i64) -> bool {
        step < -i64::from(self.steps)
    }

    /// The first and the last page that may be its own.
    pub(super) fn window(&self) -> (PageIndex, PageIndex) {
        let distance = self.distance.unsigned_abs();
        let reach = distance * (u64::from(self.planned) + SKIPPED_MAX as u64 + 1);
        let behind = (distance * self.behind() as u64).max(self.extent.0 + 1);
        let (up, down) = if self.distance > 0 { (reach, behind) } else { (behind, reach) };
        (self.last.minus(PageCount(down)), self.last.plus(PageCount(up)))
    }

    /// How many steps back a touch may be its own: those that it has taken, and, while it may be that it
    /// goes the other way, as many before them.
    fn behind(&self) -> i64 {
        let taken = i64::from(self.steps).min(BEHIND_MAX);
        if self.seen_in.is_some() { 2 * taken + SKIPPED_MAX } else { taken }
    }

    fn measure(&mut self) {
        let distance = signed(self.first, self.last) / i64::from(self.steps.max(1));
        // Steps that do not lead anywhere: what was known stays.
        if distance != 0 {
            self.distance = distance;
        }
    }

    fn slack(&self) -> PageCount {
        PageCount(u64::from(!self.is_exact))
    }

    /// The step nearest to the last one that `touched` may be, give or take `slack` pages, if any.
    fn step_in(&self, touched: PageRange, slack: PageCount) -> Option<i64> {
        let (low, high) = (signed(self.last, touched.start), signed(self.last, touched.end) - 1);
        let slack = slack.0 as i64;
        // The edge of `touched` that the reader comes to first.
        let near = if self.distance > 0 { low - slack } else { high + slack };
        let guess = near.checked_div_euclid(self.distance)?;
        // Rounding, and distances that are not whole, are one step off at most on either side.
        (guess - 1..=guess + 2).find(|&step| {
            let at = self.position(step).map(|at| signed(self.last, at));
            at.is_some_and(|at| low - slack <= at && at <= high + slack)
        })
    }

    /// What `touched` is to the step that it begins in or right behind, if that is one of the latest.
    fn part_of_step(&self, touched: PageRange) -> Option<Meant> {
        let from = touched.start.minus(self.extent);
        let starts = PageRange::new(from, touched.start.plus(PageCount(1)));
        let step = self.step_in(starts, PageCount(0))?;
        let step = Some(step).filter(|step| (-GROWN_BEHIND_MAX..=0).contains(step))?;
        let reads = touched.end.since(self.position(step)?);
        Some(if reads > self.extent { Meant::Growth(step, reads) } else { Meant::Inside(step) })
    }
}

/// Pages from `from` to `to`, negative when `to` lies before.
pub(super) fn signed(from: PageIndex, to: PageIndex) -> i64 {
    // Indexes are below 2^52: a mapping is shorter than the address space.
    to.0 as i64 - from.0 as i64
}
