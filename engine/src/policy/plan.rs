use crate::page::{PageCount, PageIndex, PageRange};

/// A run of pages to have in the page table before the reader comes, and the page in it whose
/// touch the policy wants to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The pages.
    pub range: PageRange,
    /// The page whose touch is to be reported (the kernel's PG_readahead flag, from user space).
    /// The observer leaves the block around it unmapped (marker) or closed (guard).
    pub trigger: Option<PageIndex>,
}

/// Which of a policy's streams. A number is never used for another stream of the same policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// Pages that a stream comes to next, read alone and left for the reader to map, so that its touch
/// is seen in the page table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Whose step it is, if its touch is to be reported. The steps of a stream are planned in the order
    /// in which it takes them.
    pub stream: Option<StreamId>,
    /// The pages.
    pub range: PageRange,
}

/// What a policy wants fetched. It is lent to the policy, cleared and used again, so that planning
/// allocates nothing once it has grown to its working size.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    reads: Vec<PageRange>,
    windows: Vec<Window>,
    steps: Vec<Step>,
    overtaken: Vec<PageRange>,
}

impl Plan {
    /// An empty plan.
    #[must_use]
    pub fn new() -> Plan {
        Plan::default()
    }

    /// Start the device on these pages (far ahead of the reader). Empty ranges are dropped.
    pub fn read(&mut self, range: PageRange) {
        if !range.is_empty() {
            self.reads.push(range);
        }
    }

    /// Have these pages in the page table (near the reader). Empty ranges are dropped.
    ///
    /// # Panics
    /// When `trigger` is not in `range`.
    pub fn window(&mut self, range: PageRange, trigger: Option<PageIndex>) {
        if range.is_empty() {
            return;
        }
        assert!(trigger.is_none_or(|page| range.contains(page)), "{trigger:?} is not in {range}");
        self.windows.push(Window { range, trigger });
    }

    /// Read exactly these pages, and say when the stream has touched them. Empty ranges are dropped.
    pub fn step(&mut self, stream: StreamId, range: PageRange) {
        if !range.is_empty() {
            self.steps.push(Step { stream: Some(stream), range });
        }
    }

    /// Read exactly these pages too, beside a step whose touch is reported. Empty ranges are dropped.
    pub fn step_more(&mut self, range: PageRange) {
        if !range.is_empty() {
            self.steps.push(Step { stream: None, range });
        }
    }

    /// Windows of earlier plans that begin in `range` and were not carried out yet are not wanted
    /// any more: a reader got there first.
    pub fn overtaken(&mut self, range: PageRange) {
        if !range.is_empty() {
            self.overtaken.push(range);
        }
    }

    /// Where windows of earlier plans are not wanted any more.
    #[must_use]
    pub fn overtaken_ranges(&self) -> &[PageRange] {
        &self.overtaken
    }

    /// The reads, in the order in which they were planned.
    #[must_use]
    pub fn reads(&self) -> &[PageRange] {
        &self.reads
    }

    /// The windows, in the order in which they were planned.
    #[must_use]
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// The steps, in the order in which they were planned.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether nothing is planned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Plan { reads, windows, steps, overtaken } = self;
        reads.is_empty() && windows.is_empty() && steps.is_empty() && overtaken.is_empty()
    }

    /// How many pages the windows cover.
    #[must_use]
    pub fn window_pages(&self) -> PageCount {
        PageCount(self.windows.iter().map(|window| window.range.count().0).sum())
    }

    /// Forgets what was planned, keeps the memory.
    pub fn clear(&mut self) {
        let Plan { reads, windows, steps, overtaken } = self;
        reads.clear();
        windows.clear();
        steps.clear();
        overtaken.clear();
    }
}
