//! What the paper says: the bars of its Figure 1, as read from a copy, and its abstracts.

/// The file of Figure 1, read front to back in records of one page.
pub const PAGES: u64 = 1 << 20;

/// One pixel of the copy that the bars were read from, in seconds.
pub const PIXEL_S: f64 = 0.0185;

/// A bar: components in seconds where the figure splits it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Which case.
    pub case: &'static str,
    /// Its whole height.
    pub total_s: f64,
    /// Reading the mapped pages; `None`: not split.
    pub file_access_s: Option<f64>,
    /// Making page-table entries.
    pub pte_s: Option<f64>,
    /// Everything else about a page fault.
    pub page_fault_s: Option<f64>,
}

/// read(2) into a buffer.
pub const READ: Bar =
    Bar { case: "read", total_s: 1.056, file_access_s: None, pte_s: None, page_fault_s: None };

/// mmap as it comes: a fault for every page (Ext4-DAX has no fault-around).
pub const DEFAULT_MMAP: Bar = Bar {
    case: "default-mmap",
    total_s: 1.426,
    file_access_s: Some(0.630),
    pte_s: Some(0.630),
    page_fault_s: Some(0.167),
};

/// mmap with MAP_POPULATE.
pub const POPULATE_MMAP: Bar = Bar {
    case: "populate-mmap",
    total_s: 1.019,
    file_access_s: Some(0.389),
    pte_s: Some(0.630),
    page_fault_s: Some(0.0),
};

/// All bars, in the figure's order.
pub const BARS: [Bar; 3] = [READ, DEFAULT_MMAP, POPULATE_MMAP];

/// What the abstract says that the techniques gain over mmap in its microbenchmark: which one gains
/// which is not said there.
pub const ABSTRACT_GAIN: [f64; 2] = [0.38, 0.70];

/// Kim, Choi and Han (Journal of KIISE 43(5), 2016), abstract: the mapping cache against read(2).
pub const MAPPING_CACHE_OVER_READ: f64 = 2.8;

/// The same: a web server's gain.
pub const MAPPING_CACHE_WEB_GAIN: f64 = 0.12;

/// A public note on the slides, which were not available: extended madvise over mmap. Second hand,
/// so it is printed and never judged.
pub const EXTENDED_MADVISE_SECOND_HAND: f64 = 2.5;
