//! What comes next: pure state machines that turn touches into a plan.
//!
//! A policy makes no system call, has no clock and no thread. The engine drives it with the faults
//! of a real program, the simulator with modelled ones: what is compared is what is shipped.

mod adaptive;
mod backward;
mod claim;
mod course;
mod fixed;
mod map_ahead;
mod off;
mod plan;
mod ramp;
mod rest;
mod share;
mod squeeze;
mod streams;
mod stride;
mod tempo;

pub use adaptive::Adaptive;
pub use fixed::Fixed;
pub use map_ahead::MapAhead;
pub use off::Off;
pub use plan::{Plan, Step, StreamId, Window};
pub use ramp::Ramp;
pub use streams::Streams;
pub use stride::Stride;

use crate::page::{ByteLen, Nanos, PageCount, PageIndex, PageRange, PageSize};

/// What a policy is told once, before the first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// The size of a page.
    pub page_size: PageSize,
    /// The pages of the mapping: nothing beyond them is ever planned.
    pub pages: PageCount,
    /// The most pages that may be mapped or cached ahead of the reader at any time.
    pub budget: PageCount,
    /// How many pages the kernel maps for one fault (its fault-around; 16 by default). A touch is
    /// known no finer than this.
    pub fault_around: PageCount,
}

impl Geometry {
    /// A geometry for `len` bytes, with a budget in bytes.
    #[must_use]
    pub fn new(page_size: PageSize, len: ByteLen, budget: ByteLen) -> Geometry {
        Geometry {
            page_size,
            pages: page_size.pages_for(len),
            budget: page_size.whole_pages_in(budget),
            fault_around: page_size.pages_for(ByteLen(64 << 10)),
        }
    }

    /// What a touch of `page` says was touched, as finely as is known.
    pub(crate) fn around(&self, page: PageIndex) -> PageRange {
        PageRange::at(page, self.fault_around)
    }

    /// `bytes` in pages, at least one.
    pub(crate) fn pages_of(&self, bytes: u64) -> PageCount {
        self.page_size.pages_for(ByteLen(bytes.max(1)))
    }
}

/// Who saw a touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// A marker block became present: the reader has passed it.
    Marker,
    /// A guarded page was touched (SIGSEGV).
    Guard,
    /// A userfault.
    Userfault,
    /// The reader said so itself (`Reader` knows its offset).
    Explicit,
    /// A scan of the page table found pages that nobody mapped but the reader.
    Scan,
}

/// Which part of a plan a fetch was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fetch {
    /// The device was started: [`Plan::read`].
    Read,
    /// Pages were put into the page table: [`Plan::window`].
    Window,
    /// A step was read: [`Plan::step`].
    Step,
}

/// How a fetch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// All of it is there, or on its way.
    Done,
    /// All of it was in the page cache already: nothing had to be done.
    Resident,
    /// The kernel refused, or the file ends before the range does. The reader falls back to the
    /// kernel's own behaviour.
    Refused,
}

/// What happened, as far as the observer and the fetcher know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A reader was at `page`.
    Touch {
        /// The page, no finer than [`Geometry::fault_around`].
        page: PageIndex,
        /// When it was noticed.
        at: Nanos,
        /// By whom.
        source: Source,
    },
    /// Readers were at all these pages, in an unknown order, since the last such event.
    ///
    /// A bitmap of pages, written as its runs: they are not empty, ascend, and do not adjoin. That is the
    /// order of the page table, not that of the reader.
    Touched {
        /// Which pages.
        pages: &'a [PageRange],
        /// When it was noticed.
        at: Nanos,
    },
    /// Readers went on right behind steps that were read for them, up to these pages: more of each step
    /// is wanted than was known. A bitmap, as in [`Event::Touched`].
    ReadOn {
        /// Which pages.
        pages: &'a [PageRange],
        /// When it was noticed.
        at: Nanos,
    },
    /// A planned range was carried out.
    Fetched {
        /// Which part of the plan it was.
        what: Fetch,
        /// The range, as planned.
        range: PageRange,
        /// From the start of the call to its return.
        took: Nanos,
        /// How it ended.
        outcome: Outcome,
    },
    /// Pages whose reading was started are in memory: how long the device took.
    Arrived {
        /// Which pages.
        range: PageRange,
        /// From the start of the read until they were found in memory.
        took: Nanos,
    },
    /// Pages that had been fetched are gone again before they were used.
    Evicted {
        /// Which pages.
        range: PageRange,
    },
    /// Memory is short: plan less.
    Pressure,
}

/// A state machine that says what to fetch.
///
/// Whatever it plans, the engine clips to the mapping and to the budget; a policy that plans too
/// much costs accuracy, never correctness.
pub trait Policy: Send {
    /// Its name, as the command line and the figures print it.
    fn name(&self) -> &'static str;

    /// Takes in one event and adds to `plan` what should be fetched because of it.
    ///
    /// Called for every event in the order in which the engine learnt of them. `plan` may already
    /// hold what earlier events asked for.
    fn on(&mut self, event: &Event<'_>, plan: &mut Plan);

    /// How many streams it reads ahead of at the moment, for [`Stats::streams`](crate::Stats::streams).
    ///
    /// Default: 0, for a policy that tells none apart.
    fn streams(&self) -> u64 {
        0
    }
}

/// The policies that can be chosen by name.
///
/// Default: [`PolicyKind::Adaptive`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PolicyKind {
    /// Plans nothing: [`Off`].
    Off,
    /// One window of a fixed size ahead of every touch: [`Fixed`].
    Fixed,
    /// Windows that double while the reader runs on: [`Ramp`].
    Ramp,
    /// The rule of Choi, Kim and Han (HotStorage 2017): [`MapAhead`].
    MapAhead,
    /// Steps of constant distance: [`Stride`].
    Stride,
    /// Runs in both directions: [`Streams`].
    Streams,
    /// All of these, by the pace of the reader and the device: [`Adaptive`].
    #[default]
    Adaptive,
}

impl PolicyKind {
    /// Every policy, in the order of the documentation.
    pub const ALL: [PolicyKind; 7] = [
        PolicyKind::Off,
        PolicyKind::Fixed,
        PolicyKind::Ramp,
        PolicyKind::MapAhead,
        PolicyKind::Stride,
        PolicyKind::Streams,
        PolicyKind::Adaptive,
    ];

    /// A new policy of this kind, for a mapping of this shape.
    #[must_use]
    pub fn build(self, geometry: Geometry) -> Box<dyn Policy> {
        match self {
            PolicyKind::Off => Box::new(Off),
            PolicyKind::Fixed => Box::new(Fixed::new(geometry)),
            PolicyKind::Ramp => Box::new(Ramp::new(geometry)),
            PolicyKind::MapAhead => Box::new(MapAhead::new(geometry)),
            PolicyKind::Stride => Box::new(Stride::new(geometry)),
            PolicyKind::Streams => Box::new(Streams::new(geometry)),
            PolicyKind::Adaptive => Box::new(Adaptive::new(geometry)),
        }
    }

    /// The name that [`PolicyKind::from_str`](std::str::FromStr) takes back.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            PolicyKind::Off => "off",
            PolicyKind::Fixed => "fixed",
            PolicyKind::Ramp => "ramp",
            PolicyKind::MapAhead => "map-ahead",
            PolicyKind::Stride => "stride",
            PolicyKind::Streams => "streams",
            PolicyKind::Adaptive => "adaptive",
        }
    }
}

/// A part of a policy, made by `new` and put where it stays. In a frame of its own, so that one part is on the stack
/// at a time.
#[inline(never)]
fn boxed<T>(new: impl FnOnce(Geometry) -> T, geometry: Geometry) -> Box<T> {
    Box::new(new(geometry))
}

impl std::str::FromStr for PolicyKind {
    type Err = crate::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        PolicyKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let known: Vec<_> = PolicyKind::ALL.iter().map(|kind| kind.name()).collect();
            crate::Error::configuration(format!(
                "unknown policy `{name}`; known: {}",
                known.join(", ")
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `policy` plans to map after a touch of `page`.
    pub(super) fn windows_after(policy: &mut dyn Policy, page: u64) -> Vec<(u64, u64)> {
        let mut plan = Plan::new();
        let (page, source) = (PageIndex(page), Source::Marker);
        policy.on(&Event::Touch { page, at: Nanos(0), source }, &mut plan);
        plan.windows().iter().map(|w| (w.range.start.0, w.range.end.0)).collect()
    }

    /// They are moved several times when they are made: a debug build does so for real, on a worker's stack.
    #[test]
    fn policies_are_small_and_so_are_the_parts_they_are_made_of() {
        for (name, size, most) in [
            ("map-ahead", size_of::<MapAhead>(), 512),
            ("streams", size_of::<Streams>(), 512),
            ("adaptive", size_of::<Adaptive>(), 512),
            ("ramp", size_of::<Ramp>(), 16 << 10),
            ("backward", size_of::<backward::Backward>(), 16 << 10),
            ("stride", size_of::<Stride>(), 16 << 10),
        ] {
            assert!(size <= most, "{name}: {size} bytes");
        }
    }

    /// A file of 1 GiB.
    pub(super) fn of_one_gib() -> Geometry {
        Geometry::new(PageSize::FOUR_KIB, ByteLen(1 << 30), crate::BUDGET_DEFAULT)
    }
}
