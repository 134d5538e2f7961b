//! How long a WILLNEED may be before the kernel silently cuts it.

use std::collections::HashMap;
use std::fs;
use std::sync::Mutex;

/// The cut on a device that says nothing about itself: the kernel's own default of 128 KiB.
const CUT_BYTES_DEFAULT: usize = 128 << 10;

/// The most bytes that one MADV_WILLNEED starts on this device: max(io_pages, ra_pages). Read from
/// sysfs once for each device; devices without a queue there (network, btrfs) get the default.
///
/// Source: KERNEL.md 7.1; mm/readahead.c, force_page_cache_ra.
pub(crate) fn willneed_cut(device: (u32, u32)) -> usize {
    static KNOWN: Mutex<Option<HashMap<(u32, u32), usize>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let known = known.get_or_insert_with(HashMap::new);
    *known.entry(device).or_insert_with(|| read_cut(device))
}

fn read_cut((major, minor): (u32, u32)) -> usize {
    let block = format!("/sys/dev/block/{major}:{minor}");
    // A partition has no queue of its own: its disk is one folder up.
    let queues = [format!("{block}/queue"), format!("{block}/../queue")];
    let of_queue = |queue: &String| {
        let kib = |name| read_kib(&format!("{queue}/{name}"));
        Some(kib("read_ahead_kb")?.max(kib("max_sectors_kb")?))
    };
    let bdi = || read_kib(&format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb"));
    let kib = queues.iter().find_map(of_queue).or_else(bdi);
    kib.map_or(CUT_BYTES_DEFAULT, |kib| (kib << 10).max(CUT_BYTES_DEFAULT))
}

fn read_kib(path: &str) -> Option<usize> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_gets_the_kernels_default() {
        assert_eq!(willneed_cut((0, 0xfffff)), CUT_BYTES_DEFAULT);
    }
}
