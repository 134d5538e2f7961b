//! Map-ahead of Choi, Kim and Han (HotStorage 2017): a fault that follows the last one also maps a
//! window behind its page, inside the same fault.
//!
//! The paper's sizing rule is not public; [`KernelWindow`] has what is assumed.

use std::sync::Arc;

use super::no_argument;
use super::{Ahead, Bound, Carrier, Entry, KernelWindow, Sees, Strategy, Takes, WINDOW_MAX};

pub(super) const ENTRY: Entry = Entry {
    name: "map-ahead",
    takes: Takes { window: true, distance: false },
    make: |argument, knobs| {
        no_argument(argument)?;
        let window = knobs.window.unwrap_or(WINDOW_MAX);
        let policy = Arc::new(move |geometry| KernelWindow::in_fault(geometry, window).boxed());
        let ahead =
            Ahead { sees: Sees::Faults, carrier: Carrier::Fault, bound: Bound::None, policy };
        Ok(Strategy { ahead: Some(ahead), ..Strategy::default() })
    },
};
