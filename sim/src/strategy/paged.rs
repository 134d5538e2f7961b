//! The engine's `Paged`: bounded memory, filled through userfaultfd by the thread of `run/paged`, past the
//! page cache. `paged:POLICY`; alone, the default policy. A limit on memory is its memory limit; without
//! one it has 32 MiB, as in `compare`.

use std::str::FromStr;
use std::sync::Arc;

use mmap_ahead::PolicyKind;
use mmap_ahead::policy::Geometry;

use super::{Ahead, Bound, Carrier, Entry, NO_KNOBS, Sees, Strategy};
use crate::Error;

pub(super) const ENTRY: Entry = Entry {
    name: "paged",
    takes: NO_KNOBS,
    make: |argument, _| {
        let kind = argument.map_or(Ok(PolicyKind::default()), PolicyKind::from_str);
        let kind = kind.map_err(|error| Error::Unknown(error.to_string()))?;
        let policy = Arc::new(move |geometry: Geometry| kind.build(geometry));
        let (sees, carrier, bound) = (Sees::Userfaults, Carrier::Helper, Bound::Budget);
        let ahead = Ahead { sees, carrier, bound, policy };
        Ok(Strategy { ahead: Some(ahead), ..Strategy::default() })
    },
};
