//! The mapping cache of Kim, Choi and Han (Journal of KIISE 43(5), 2016): a file that is unmapped
//! keeps its page-table entries for a while, and mapping it again finds them.
//!
//! Size and eviction are not public. Assumed: 4 GiB of mappings, the longest unused leave first.

use mmap_ahead::page::{ByteLen, PageSize};

use super::{Entry, Strategy, Takes, no_argument};

/// How much is kept.
const KEPT: ByteLen = ByteLen(4 << 30);

pub(super) const ENTRY: Entry = Entry {
    name: "mapping-cache",
    takes: Takes { window: false, distance: true },
    make: |argument, knobs| {
        no_argument(argument)?;
        let keeps = knobs.distance.map_or(KEPT, |pages| PageSize::FOUR_KIB.len_of(pages));
        Ok(Strategy { keeps: Some(keeps), ..Strategy::default() })
    },
};
