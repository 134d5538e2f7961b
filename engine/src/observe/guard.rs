//! The guard: windows start closed, a touch raises SIGSEGV, and the handler opens the window and
//! tells us. See `sys::trip` for the handler.
//!
//! Opening ahead costs nothing but a protection change, so most of a plan is opened at once; one
//! window now and then stays closed, so that the reader's arrival there is heard of.

use std::io;
use std::sync::Arc;

use super::{Observer, Touches, View};
use crate::fetch::Fetch;
use crate::page::{ByteLen, Nanos, PageCount, PageIndex, PageRange};
use crate::policy::{Source, Window};
use crate::stats::Counters;
use crate::sys::TripSlot;

/// Bytes between two windows that stay closed on the way of one reader. A round trip of the signal was
/// measured at 4.7 us (DESIGN.md), waking the worker comes on top; a reader of warm pages passes 8 MiB
/// in 300 us.
const TRIGGER_BYTES_APART: u64 = 8 << 20;

#[derive(Debug)]
pub(crate) struct Guard {
    slot: Arc<TripSlot>,
    /// Pages of one guarded window.
    granule: PageCount,
    /// The window left closed last.
    armed: Option<PageIndex>,
    trigger_apart: PageCount,
}

impl Guard {
    pub(crate) fn new(view: &View, slot: Arc<TripSlot>) -> Guard {
        let pages = |bytes| view.page_size.pages_for(ByteLen(bytes));
        let granule = pages(slot.granule() as u64);
        Guard { slot, granule, armed: None, trigger_apart: pages(TRIGGER_BYTES_APART) }
    }

    /// How many pages one trip opens.
    pub(crate) fn granule(&self) -> PageCount {
        self.granule
    }

    /// The guarded windows that `range` touches, half-open.
    fn windows_of(&self, range: PageRange) -> std::ops::Range<usize> {
        let first = range.start.0 / self.granule.0;
        let end = range.end.0.div_ceil(self.granule.0);
        first as usize..(end as usize).max(first as usize)
    }

    /// The guarded window that stays closed for `trigger`: if it is closed still, and the last one
    /// lies far enough behind.
    fn keep_closed(&mut self, trigger: Option<PageIndex>) -> Option<usize> {
        let trigger = trigger?;
        let window = (trigger.0 / self.granule.0) as usize;
        let is_near = self
            .armed
            .is_some_and(|armed| armed <= trigger && trigger < armed.plus(self.trigger_apart));
        if is_near || self.slot.is_open(window) {
            return None;
        }
        self.armed = Some(trigger);
        Some(window)
    }
}

impl Observer for Guard {
    fn look(
        &mut self,
        _view: &View,
        _now: Nanos,
        touches: &mut Touches,
        _counters: &Counters,
    ) -> io::Result<()> {
        let granule = self.granule;
        self.slot.drain(|window| touches.passed.push(PageIndex(window as u64 * granule.0)));
        Ok(())
    }

    /// Opens the guarded windows that `window` touches, but for the trigger's, and maps the pages
    /// that are open then.
    fn map_window(
        &mut self,
        view: &View,
        window: Window,
        fetch: &mut dyn Fetch,
        counters: &Counters,
    ) -> io::Result<()> {
        let windows = self.windows_of(window.range);
        let closed = self.keep_closed(window.trigger).filter(|closed| windows.contains(closed));
        let (before, after) = match closed {
            Some(closed) => (windows.start..closed, closed + 1..windows.end),
            None => (windows.clone(), windows.end..windows.end),
        };
        for open in [before, after] {
            if open.is_empty() {
                continue;
            }
            self.slot.open(open.clone())?;
            let start = PageIndex(open.start as u64 * self.granule.0);
            let pages = PageRange::at(start, PageCount(open.len() as u64 * self.granule.0));
            let pages = pages.intersect(window.range);
            if !pages.is_empty() {
                fetch.map(view.span_of(pages))?;
                Counters::add(&counters.pages_mapped, pages.count().0);
            }
        }
        Counters::add(&counters.windows, 1);
        Ok(())
    }

    fn is_still(&self) -> bool {
        false
    }

    fn source(&self) -> Source {
        Source::Guard
    }
}
