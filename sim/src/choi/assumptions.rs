//! What has to be assumed where the paper is silent. Written down before the first run.

use serde::Serialize;

use crate::costs::Sheet;

/// The costs that Figure 1 does not give, and places for those that it does: `assumed.toml`.
///
/// # Panics
/// Never: a test reads the file.
#[must_use]
pub fn assumed() -> Sheet {
    Sheet::parse(include_str!("assumed.toml")).expect("assumed.toml is a sheet")
}

/// One assumption about a technique or an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename = "choi_assumption")]
pub struct Assumption {
    /// What it is about.
    pub about: &'static str,
    /// What is assumed.
    pub text: &'static str,
}

const fn assume(about: &'static str, text: &'static str) -> Assumption {
    Assumption { about, text }
}

/// Every assumption that is not a cost.
#[must_use]
pub fn assumptions() -> &'static [Assumption] {
    const ALL: &[Assumption] = &[
        assume(
            "kernel",
            "Ext4-DAX maps one page of 4 KiB a fault: no fault-around, no 2 MiB entries",
        ),
        assume(
            "disturbance",
            "a fault slows the next access to its page by 230 ns and nothing else; this comes from comparing the default-mmap and populate-mmap bars",
        ),
        assume("disturbance", "entries made by another core, or in one go, disturb nothing"),
        assume(
            "map-ahead",
            "two faults in a row open a window of 2 pages; each further one doubles it, up to 512",
        ),
        assume("map-ahead", "a fault elsewhere maps its own page only: random readers pay nothing"),
        assume(
            "map-ahead",
            "the window is mapped inside the fault, at populate-mmap's cost for each page",
        ),
        assume(
            "async-map-ahead",
            "the same windows, made by one kernel thread on a core of its own, up to two windows ahead",
        ),
        assume(
            "async-map-ahead",
            "the first page of each window is left out, and the fault there asks for the next",
        ),
        assume(
            "async-map-ahead",
            "a reader that comes first maps its page itself and does not wait",
        ),
        assume(
            "extended-madvise",
            "one kernel thread maps the file from its start, once, without waiting for the reader",
        ),
        assume(
            "mapping-cache",
            "4 GiB of mappings are kept, the longest unused leave first; mapping again costs the call",
        ),
        assume(
            "random",
            "each record is read once, in a random order; reading a record is as fast as in a scan",
        ),
        assume("timing", "from before mmap to the last byte; munmap is not in it"),
    ];
    ALL
}
