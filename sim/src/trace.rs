//! Traces: which pages a reader touches, in order, and how long it thinks about each.

use mmap_ahead::page::{Nanos, PageCount, PageIndex};

mod access;
mod csv;
mod fio;
mod input;
mod lackey;
mod pages;
mod random;
mod reader;
pub(crate) mod recorded;
mod text;

pub use access::{Access, Operation, TraceFile};
pub use pages::{FileSurvey, PageTouches, PageTrace, Survey, Thinking};
pub use reader::Accesses;

/// One step of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The page.
    pub page: PageIndex,
    /// How long the reader works on it before it goes on.
    pub think: Nanos,
}

/// A walk through one mapped file. No touch lies outside of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    name: String,
    pages: PageCount,
    touches: Vec<Touch>,
}

impl Trace {
    /// Every page from the first to the last.
    #[must_use]
    pub fn sequential(pages: PageCount, think: Nanos) -> Trace {
        Trace::of("seq".into(), pages, think, 0..pages.0)
    }

    /// Every page from the last to the first.
    #[must_use]
    pub fn reverse(pages: PageCount, think: Nanos) -> Trace {
        Trace::of("reverse".into(), pages, think, (0..pages.0).rev())
    }

    /// The first of every `step` pages.
    ///
    /// # Panics
    /// When `step` is 0.
    #[must_use]
    pub fn stride(pages: PageCount, step: PageCount, think: Nanos) -> Trace {
        let step_by = usize::try_from(step.0).unwrap_or(usize::MAX);
        let name = format!("stride:{}", step.0);
        Trace::of(name, pages, think, (0..pages.0).step_by(step_by))
    }

    /// As many touches as there are pages, anywhere, some pages more than once. The same `seed`
    /// gives the same trace, on every machine and in every version.
    #[must_use]
    pub fn random(pages: PageCount, seed: u64, think: Nanos) -> Trace {
        let anywhere = random::below(pages.0, seed).take(pages.0 as usize);
        Trace::of(format!("random:{seed}"), pages, think, anywhere)
    }

    /// Reads the text format of committed traces.
    ///
    /// ```text
    /// mmap-ahead-trace 1
    /// pages 4096          # of the file; every page number is below it
    /// think_ns 242        # of the touches from here on; 0 at first
    /// 0..512              # pages 0 to 511; 512..0 would be 512 down to 1
    /// 77                  # one page
    /// ```
    /// What follows a `#` is a remark. `name` is what reports call the trace.
    ///
    /// # Errors
    /// [`Error::Trace`](crate::Error::Trace) with the number of the line that is not like that.
    pub fn parse(name: &str, text: &str) -> Result<Trace, crate::Error> {
        text::parse(name, text)
    }

    /// What reports call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The size of the file.
    #[must_use]
    pub fn pages(&self) -> PageCount {
        self.pages
    }

    /// The steps, in order.
    #[must_use]
    pub fn touches(&self) -> &[Touch] {
        &self.touches
    }

    fn of(
        name: String,
        pages: PageCount,
        think: Nanos,
        touched: impl Iterator<Item = u64>,
    ) -> Trace {
        let touches = touched.map(|page| Touch { page: PageIndex(page), think }).collect();
        Trace { name, pages, touches }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(trace: &Trace) -> Vec<u64> {
        trace.touches().iter().map(|touch| touch.page.0).collect()
    }

    #[test]
    fn walks_go_where_their_names_say() {
        let (pages, think) = (PageCount(7), Nanos(5));
        assert_eq!(touched(&Trace::sequential(pages, think)), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(touched(&Trace::reverse(pages, think)), [6, 5, 4, 3, 2, 1, 0]);
        assert_eq!(touched(&Trace::stride(pages, PageCount(3), think)), [0, 3, 6]);
        assert!(Trace::sequential(pages, think).touches().iter().all(|t| t.think == think));
        assert!(Trace::random(PageCount(0), 1, think).touches().is_empty());
    }

    #[test]
    fn a_seed_is_a_trace() {
        let random = |seed| touched(&Trace::random(PageCount(1000), seed, Nanos(0)));
        assert_eq!(random(7), random(7));
        assert_ne!(random(7), random(8));
        assert_eq!(random(7)[..4], [389, 16, 900, 582], "the same in every version");
        assert!(random(7).iter().all(|page| *page < 1000));
        let mut different = random(7);
        different.sort_unstable();
        different.dedup();
        assert!((580..690).contains(&different.len()), "1 - 1/e of them: {}", different.len());
    }
}
