//! The engine with `Mode::Guard`: windows start closed, a touch raises a signal, whose handler opens the
//! window and wakes the worker. `guard:POLICY`; alone, the default policy.

use std::str::FromStr;
use std::sync::Arc;

use mmap_ahead::PolicyKind;
use mmap_ahead::page::PageCount;
use mmap_ahead::policy::Geometry;

use super::{Ahead, Bound, Carrier, Entry, NO_KNOBS, Sees, Strategy};
use crate::Error;

/// The least size of a window that one trip opens, 2 MiB, and how many a mapping has at most: those of the
/// engine's `mmap/shared.rs` and `sys/trip`.
const WINDOW_MIN: PageCount = PageCount(512);
const WINDOWS_MAX: u64 = 2048;

pub(super) const ENTRY: Entry = Entry {
    name: "guard",
    takes: NO_KNOBS,
    make: |argument, _| {
        let kind = argument.map_or(Ok(PolicyKind::default()), PolicyKind::from_str);
        let kind = kind.map_err(|error| Error::Unknown(error.to_string()))?;
        let policy = Arc::new(move |geometry: Geometry| {
            let fault_around = window_of(geometry.pages);
            kind.build(Geometry { fault_around, ..geometry })
        });
        let (sees, carrier, bound) = (Sees::Trips, Carrier::Helper, Bound::Budget);
        let ahead = Ahead { sees, carrier, bound, policy };
        Ok(Strategy { ahead: Some(ahead), ..Strategy::default() })
    },
};

/// How many pages one trip opens, in a mapping of so many: a power of two.
pub(crate) fn window_of(pages: PageCount) -> PageCount {
    let mut window = WINDOW_MIN.0;
    while pages.0.div_ceil(window) > WINDOWS_MAX {
        window *= 2;
    }
    PageCount(window)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_grow_with_the_mapping_so_that_there_are_not_too_many() {
        assert_eq!(window_of(PageCount(0)), PageCount(512));
        assert_eq!(window_of(PageCount(512 * 2048)), PageCount(512), "4 GiB");
        assert_eq!(window_of(PageCount(512 * 2048 + 1)), PageCount(1024));
    }
}
