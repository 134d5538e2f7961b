//! What the kernel reads ahead by itself, and how long a WILLNEED may be before it is silently cut.

use std::collections::HashMap;
use std::fs;
use std::sync::Mutex;

use crate::sys::FileFacts;

/// The cut on a device that says nothing about itself: the kernel's own default of 128 KiB.
const CUT_BYTES_DEFAULT: usize = 128 << 10;

/// What the kernel does by itself on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadAhead {
    /// The most bytes that one MADV_WILLNEED starts: max(io_pages, ra_pages).
    pub(super) willneed_cut: usize,
    /// The kernel's own read-ahead in bytes.
    pub(super) window: usize,
}

/// Read from sysfs once for each device; devices without a queue there (network, btrfs) get the
/// kernel's defaults.
///
/// Source: KERNEL.md 7.1; mm/readahead.c, force_page_cache_ra.
pub(super) fn read_ahead(device: (u32, u32)) -> ReadAhead {
    static KNOWN: Mutex<Option<HashMap<(u32, u32), ReadAhead>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let known = known.get_or_insert_with(HashMap::new);
    *known.entry(device).or_insert_with(|| ask(device))
}

/// The kernel's own read-ahead in bytes for a file of which `facts` are known; `None` where nobody may
/// see what it has done.
pub(crate) fn read_ahead_of(facts: Option<FileFacts>) -> Option<usize> {
    let facts = facts.filter(|facts| facts.is_cache_visible)?;
    Some(read_ahead(facts.device).window)
}

fn ask((major, minor): (u32, u32)) -> ReadAhead {
    let block = format!("/sys/dev/block/{major}:{minor}");
    // A partition has no queue of its own: its disk is one folder up.
    let queues = [format!("{block}/queue"), format!("{block}/../queue")];
    let of_queue = |queue: &String| {
        let kib = |name| read_kib(&format!("{queue}/{name}"));
        Some((kib("read_ahead_kb")?, kib("max_sectors_kb")?))
    };
    let of_bdi = || {
        let kib = read_kib(&format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb"))?;
        Some((kib, kib))
    };
    let (ahead, request) = queues.iter().find_map(of_queue).or_else(of_bdi).unwrap_or_default();
    ReadAhead {
        willneed_cut: (ahead.max(request) << 10).max(CUT_BYTES_DEFAULT),
        window: ahead << 10,
    }
}

fn read_kib(path: &str) -> Option<usize> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_gets_the_kernels_default() {
        let unknown = ReadAhead { willneed_cut: CUT_BYTES_DEFAULT, window: 0 };
        assert_eq!(read_ahead((0, 0xfffff)), unknown);
    }
}
