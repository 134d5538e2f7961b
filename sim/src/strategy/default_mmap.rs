//! A mapping as it comes: the baseline.

use super::{Entry, NO_KNOBS, Strategy, no_argument};

pub(super) const ENTRY: Entry = Entry {
    name: "default-mmap",
    takes: NO_KNOBS,
    make: |argument, _| {
        no_argument(argument)?;
        Ok(Strategy::default())
    },
};
