//! Async map-ahead of Choi, Kim and Han (HotStorage 2017): a kernel thread maps the windows, the
//! reader goes on meanwhile.
//!
//! The paper's design is not public. Assumed: one kernel thread; it maps up to `distance` ahead; one
//! page of each window is left out, and the reader's fault there asks for more; a reader that comes
//! to a page before the thread does maps that page itself.

use std::sync::Arc;

use super::no_argument;
use super::{Ahead, Bound, Carrier, Entry, KernelWindow, Sees, Strategy, Takes, WINDOW_MAX};

pub(super) const ENTRY: Entry = Entry {
    name: "async-map-ahead",
    takes: Takes { window: true, distance: true },
    make: |argument, knobs| {
        no_argument(argument)?;
        let window = knobs.window.unwrap_or(WINDOW_MAX);
        let distance = knobs.distance.unwrap_or(mmap_ahead::page::PageCount(2 * window.0));
        let policy =
            Arc::new(move |geometry| KernelWindow::ahead(geometry, window, distance).boxed());
        let ahead =
            Ahead { sees: Sees::Faults, carrier: Carrier::Helper, bound: Bound::None, policy };
        Ok(Strategy { ahead: Some(ahead), ..Strategy::default() })
    },
};
