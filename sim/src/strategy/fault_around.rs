//! A mapping whose faults map N pages (`fault_around_bytes`, a debugfs file of root).

use mmap_ahead::page::PageCount;

use super::{Entry, NO_KNOBS, Strategy};
use crate::Error;

pub(super) const ENTRY: Entry = Entry {
    name: "fault-around",
    takes: NO_KNOBS,
    make: |argument, _| {
        let pages: Option<u64> = argument.and_then(|pages| pages.parse().ok());
        match pages.filter(|pages| pages.is_power_of_two() && *pages <= 512) {
            Some(pages) => {
                Ok(Strategy { fault_around: Some(PageCount(pages)), ..Strategy::default() })
            }
            None => {
                let what = "fault-around:N takes a power of two from 1 to 512";
                Err(Error::Unknown(what.into()))
            }
        }
    },
};
