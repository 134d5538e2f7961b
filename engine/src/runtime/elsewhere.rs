//! Where there is no Linux: nothing is followed, explicit prefetches are refused.

#[allow(dead_code)]
#[path = "prefetch.rs"]
mod prefetch;
#[allow(dead_code)]
#[path = "region.rs"]
mod region;

pub use prefetch::{Prefetch, PrefetchState};
pub(crate) use region::{Access, Region};

/// Nothing is fetched ahead, so nothing is held.
pub(crate) mod process {
    use crate::process::ProcessStats;

    pub(crate) struct Process;

    pub(crate) fn shared() -> Process {
        Process
    }

    impl Process {
        pub(crate) fn set_limit(&self, _bytes: u64) {}

        pub(crate) fn stats(&self) -> ProcessStats {
            ProcessStats::default()
        }
    }
}

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::RawFd;
use std::sync::Arc;

use crate::Error;
use crate::options::Ahead;
use crate::record::RecordedSet;
use crate::residency::Residency;
use crate::stats::Stats;

/// A tie to nothing.
#[derive(Debug)]
pub(crate) struct Follow;

impl Follow {
    pub(crate) fn start(
        _region: Region,
        _file: Option<RawFd>,
        _kept: Option<&Arc<File>>,
        _ahead: &Ahead,
    ) -> Follow {
        Follow
    }

    pub(crate) fn inert() -> Follow {
        Follow
    }

    pub(crate) fn settle(&mut self) {}

    pub(crate) fn release(self, unmap: impl FnOnce() + Send + 'static) {
        unmap();
    }

    pub(crate) fn prefetch(&self, _ranges: &[Range<usize>]) -> Prefetch {
        Prefetch::new(PrefetchState::Refused)
    }

    pub(crate) fn recorded(&self) -> io::Result<RecordedSet> {
        Err(Error::Unsupported { what: "a recorded set", needs: "Linux" }.into())
    }

    pub(crate) fn replay(&self, _set: &RecordedSet) -> Result<Prefetch, Error> {
        Ok(Prefetch::new(PrefetchState::Refused))
    }

    pub(crate) fn residency(&self, _range: Range<usize>) -> Residency {
        Residency::Unknown
    }

    pub(crate) fn advised_random(&self, _random: bool) {}

    pub(crate) fn advised(&self) {}

    pub(crate) fn pause(&self) {}

    pub(crate) fn resume(&self) {}

    pub(crate) fn stats(&self) -> Stats {
        Stats::default()
    }
}
