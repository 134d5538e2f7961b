//! Who saw what: ways to learn where a reader is.

mod blocks;
mod guard;
mod marker;
mod still;
mod sweep;
mod view;

pub(crate) use guard::Guard;
pub(crate) use marker::Marker;
pub(crate) use view::View;

use std::io;

use crate::fetch::Fetch;
use crate::page::{Nanos, PageCount, PageIndex, PageRange};
use crate::policy::{Source, Window};
use crate::stats::Counters;

/// Touches learnt by one look. Lent and used again.
#[derive(Debug, Default)]
pub(crate) struct Touches {
    /// Triggers that a reader has passed.
    pub(crate) passed: Vec<PageIndex>,
    /// Pages found mapped by nobody but a reader, in no order.
    pub(crate) found: Vec<PageRange>,
}

impl Touches {
    pub(crate) fn is_empty(&self) -> bool {
        self.passed.is_empty() && self.found.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.passed.clear();
        self.found.clear();
    }
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

    /// Pages were mapped by somebody who is no reader: nothing is to be learnt from them.
    fn account(&mut self, _range: PageRange) {}

    /// Whether windows are left to the reader for now, because mapping them wins nothing.
    fn is_still(&self) -> bool;

    /// A reader went on by `pages` while windows are left to it: whether that goes on, or the next
    /// window is to be tried.
    fn rests(&mut self, _pages: PageCount) -> bool {
        false
    }

    /// Who it is. A guard rings when there is something to see: nobody needs to look.
    fn source(&self) -> Source;
}
