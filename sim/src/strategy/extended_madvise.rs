//! Extended madvise of Choi, Kim and Han (HotStorage 2017): the program asks for the whole mapping
//! to be mapped, and does not wait for it.
//!
//! The flags' names and the design are not public. Assumed: one kernel thread maps the file from its
//! start to its end; a reader that comes to a page first maps it itself.

use std::sync::Arc;

use mmap_ahead::policy::Off;

use super::{Ahead, Bound, Carrier, Entry, NO_KNOBS, Sees, Strategy, no_argument};

pub(super) const ENTRY: Entry = Entry {
    name: "extended-madvise",
    takes: NO_KNOBS,
    make: |argument, _| {
        no_argument(argument)?;
        let ahead = Ahead {
            sees: Sees::Faults,
            carrier: Carrier::Helper,
            bound: Bound::None,
            policy: Arc::new(|_| Box::new(Off)),
        };
        Ok(Strategy { maps_all: true, ahead: Some(ahead), ..Strategy::default() })
    },
};
