//! read(2) into one buffer, a call for each step of the workload.

use super::{Entry, Method, NO_KNOBS, Strategy, no_argument};

pub(super) const ENTRY: Entry = Entry {
    name: "read",
    takes: NO_KNOBS,
    make: |argument, _| {
        no_argument(argument)?;
        Ok(Strategy { method: Method::Read, ..Strategy::default() })
    },
};
