//! MAP_POPULATE: mmap(2) returns when every page is in the page table.

use super::{Entry, NO_KNOBS, Strategy, no_argument};

pub(super) const ENTRY: Entry = Entry {
    name: "populate-mmap",
    takes: NO_KNOBS,
    make: |argument, _| {
        no_argument(argument)?;
        Ok(Strategy { populate: true, ..Strategy::default() })
    },
};
