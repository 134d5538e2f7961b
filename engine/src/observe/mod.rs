//! Who saw what: ways to learn where a reader, or a writer, is.

mod blocks;
mod guard;
mod marker;
mod pinpoint;
#[cfg_attr(not(feature = "lab"), allow(unreachable_pub))]
mod still;
mod stores;
mod sweep;
mod trail;
mod view;
mod watched;

pub(crate) use guard::Guard;
pub(crate) use marker::Marker;
pub(crate) use pinpoint::Pinpoint;
#[cfg(feature = "lab")]
pub use still::Still;
pub(crate) use stores::Stores;
pub(crate) use view::View;

use std::io;

use crate::fetch::Fetch;
use crate::page::{Nanos, PageCount, PageIndex, PageRange};
use crate::policy::{Source, Step, Window};
use crate::stats::Counters;

/// Touches learnt by one look. Lent and used again.
#[derive(Debug, Default)]
pub(crate) struct Touches {
    /// Triggers that a reader has passed.
    pub(crate) passed: Vec<PageIndex>,
    /// Pages found mapped by nobody but a reader, in no order.
    pub(crate) found: Vec<PageRange>,
    /// Pages behind a step on which its reader was found to read on.
    pub(crate) read_on: Vec<PageRange>,
}

impl Touches {
    pub(crate) fn is_empty(&self) -> bool {
        self.passed.is_empty() && self.found.is_empty() && self.read_on.is_empty()
    }

    /// Has the ranges ascend, those that adjoin made one: what order they came in nobody knows.
    pub(crate) fn tidy(&mut self) {
        merge(&mut self.found);
        merge(&mut self.read_on);
    }

    /// Makes one set of it where both triggers and other pages were found: what lies on one reader's way
    /// is told in the order of the way, or a trigger makes what lies before it look like somebody
    /// else's.
    pub(crate) fn join(&mut self, view: &View) {
        if self.found.is_empty() || self.passed.is_empty() {
            return;
        }
        let whole = view.pages();
        let blocks = self.passed.drain(..).map(|page| view.block_of(page).intersect(whole));
        self.found.extend(blocks);
        merge(&mut self.found);
    }

    pub(crate) fn clear(&mut self) {
        let Touches { passed, found, read_on } = self;
        passed.clear();
        found.clear();
        read_on.clear();
    }
}

fn merge(ranges: &mut Vec<PageRange>) {
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup_by(|next, last| {
        let adjoins = next.start <= last.end;
        if adjoins {
            last.end = last.end.max(next.end);
        }
        adjoins
    });
}

/// A way to see where readers are. One for each followed mapping; used by one worker at a time.
pub(crate) trait Observer: Send {
    /// Adds to `touches` what became known since the last look.
    fn look(
        &mut self,
        view: &View,
        now: Nanos,
        touches: &mut Touches,
        counters: &Counters,
    ) -> io::Result<()>;

    /// Whether `window` is left to the reader, whose touch of its trigger will be seen all the same.
    /// Makes no call that may block.
    fn leaves_window(
        &mut self,
        _view: &View,
        _window: Window,
        _fetch: &mut dyn Fetch,
        _counters: &Counters,
    ) -> io::Result<bool> {
        Ok(false)
    }

    /// Carries out a window in such a way that a touch of its trigger will be seen.
    fn map_window(
        &mut self,
        view: &View,
        window: Window,
        fetch: &mut dyn Fetch,
        counters: &Counters,
    ) -> io::Result<()>;

    /// Sees from now on when the reader takes `step`, whose pages are left for it to map.
    fn watch_step(&mut self, _view: &View, _step: Step, _counters: &Counters) -> io::Result<()> {
        Ok(())
    }

    /// Pages were mapped by somebody who is no reader: nothing is to be learnt from them.
    fn account(&mut self, _range: PageRange) {}

    /// Whether windows are left to the reader for now, because mapping them wins nothing.
    fn is_still(&self) -> bool;

    /// A reader went on by `pages` while windows are left to it: whether that goes on, or the next
    /// window is to be tried.
    fn rests(&mut self, _pages: PageCount) -> bool {
        false
    }

    /// Whether fetching for this mapping has to end for good.
    fn is_over(&self) -> bool {
        false
    }

    /// Who it is. A guard rings when there is something to see: nobody needs to look.
    fn source(&self) -> Source;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{self, Span};

    #[test]
    fn touches_that_adjoin_are_one_whatever_order_they_came_in() {
        let pages = |start, end| PageRange::new(PageIndex(start), PageIndex(end));
        let found = vec![pages(48, 64), pages(0, 16), pages(32, 48), pages(8, 20), pages(65, 70)];
        let mut touches = Touches { found, ..Touches::default() };
        touches.tidy();
        assert_eq!(touches.found, [pages(0, 20), pages(32, 64), pages(65, 70)]);
    }

    #[test]
    fn triggers_and_pages_on_one_way_are_told_in_its_order() {
        let Some(pagemap) = sys::pagemap() else { return };
        let span = Span { addr: 1 << 30, len: 1 << 24 };
        let page_size = sys::page_size();
        let around = 16 * page_size.bytes() as usize;
        let view = View { span, page_size, around, pagemap };
        let pages = |start, end| PageRange::new(PageIndex(start), PageIndex(end));
        let passed = vec![PageIndex(1536), PageIndex(2048)];
        let mut touches = Touches { passed, found: vec![pages(1024, 1536)], ..Touches::default() };
        touches.join(&view);
        assert_eq!(touches.found, [pages(1024, 1552), pages(2048, 2064)]);
        assert!(touches.passed.is_empty());
        touches.found.clear();
        touches.passed.push(PageIndex(512));
        touches.join(&view);
        assert_eq!((touches.passed.len(), touches.found.len()), (1, 0), "nothing to join with");
    }
}
