//! The oracle: knows the future. The bound that no strategy passes.

use super::{Entry, Method, NO_KNOBS, Strategy, no_argument};

pub(super) const ENTRY: Entry = Entry {
    name: "oracle",
    takes: NO_KNOBS,
    make: |argument, _| {
        no_argument(argument)?;
        Ok(Strategy { method: Method::Oracle, ..Strategy::default() })
    },
};
