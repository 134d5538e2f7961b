//! The matrix: every pattern on every file system, cold and warm, and what it says.

use crate::cache::CacheState;
use crate::compare::Comparison;
use crate::engine::{BASELINE, Engine};
use crate::pattern::Pattern;
use crate::result::RatioResult;

mod page;

pub use page::{About, markdown};

/// The engines of the matrix; the last is the limit.
pub const ENGINES: [Engine; 7] = [
    BASELINE,
    Engine::READ,
    Engine::Mmap,
    Engine::MmapGuard,
    Engine::Reader,
    Engine::Paged,
    Engine::Direct,
];

/// A pattern of the matrix: its name, the bytes of a step (none for its own), and how many steps at
/// most, so that no cell takes for ever.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    name: &'static str,
    /// What it is, for the page.
    words: &'static str,
    /// Bytes a step.
    pub touch: Option<u64>,
    /// The most steps.
    pub steps: Option<u64>,
}

/// Every pattern of the command line once.
pub const SHAPES: [Shape; 8] = [
    Shape {
        name: "seq",
        words: "all of the file, from its beginning to its end",
        touch: None,
        steps: None,
    },
    Shape {
        name: "reverse",
        words: "backwards, in pieces of 64 KiB",
        touch: Some(64 << 10),
        steps: None,
    },
    Shape {
        name: "stride:128KiB",
        words: "one page of 4 KiB every 128 KiB",
        touch: None,
        steps: None,
    },
    Shape { name: "stride:1MiB", words: "one page of 4 KiB every MiB", touch: None, steps: None },
    Shape {
        name: "blocks:64KiB/1MiB",
        words: "64 KiB at the beginning of every MiB",
        touch: None,
        steps: None,
    },
    Shape {
        name: "streams:8",
        words: "eight forward runs in turn, 64 KiB each time",
        touch: Some(64 << 10),
        steps: None,
    },
    Shape { name: "random", words: "5,000 pages anywhere", touch: None, steps: Some(5000) },
    Shape {
        name: "zipf:0.99",
        words: "5,000 pages, some of them far more often than others",
        touch: None,
        steps: Some(5000),
    },
];

impl Shape {
    /// The pattern.
    ///
    /// # Panics
    /// Never: the names are those of this file.
    #[must_use]
    pub fn pattern(&self) -> Pattern {
        self.name.parse().expect("the matrix names patterns that exist")
    }
}

/// Where and how a cell was measured.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The file system, with its `read_ahead_kb` where that matters: "ext4, 128".
    pub place: String,
    /// The pattern.
    pub pattern: String,
    /// The state of the cache.
    pub cache: CacheState,
    /// What came out, or why nothing did.
    pub outcome: Result<Comparison, String>,
}

/// What a ratio and its interval say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Faster,
    Slower,
    Undecided,
}

impl Verdict {
    /// One pair or two decide nothing.
    fn of(ratio: &RatioResult) -> Verdict {
        let [low, high] = ratio.speedup_ci95;
        if ratio.runs > 2 && low > 1.0 {
            Verdict::Faster
        } else if ratio.runs > 2 && high < 1.0 {
            Verdict::Slower
        } else {
            Verdict::Undecided
        }
    }
}

impl Cell {
    /// The ratio of `engine` to the baseline.
    fn ratio(&self, engine: Engine) -> Option<&RatioResult> {
        self.outcome.as_ref().ok()?.ratio_of(engine)
    }

    /// The median speed of `engine`, in GB/s.
    fn speed(&self, engine: Engine) -> Option<f64> {
        let comparison = self.outcome.as_ref().ok()?;
        comparison.median(engine, |run| run.gb_per_s).map(|at| at.value)
    }

    /// The speed of `engine` as a part of the limit's; only a cold file is read from the disk.
    fn of_limit(&self, engine: Engine) -> Option<f64> {
        Some(self.speed(engine)? / self.limit()?)
    }

    /// What the disk gives at most, in GB/s.
    fn limit(&self) -> Option<f64> {
        self.speed(Engine::Direct).filter(|_| self.cache == CacheState::Cold)
    }

    fn name(&self) -> String {
        format!("`{}`, {}, {}", self.pattern, self.cache, self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_of_it_exists() {
        for shape in SHAPES {
            assert_eq!(shape.pattern().to_string(), shape.name);
        }
    }
}
