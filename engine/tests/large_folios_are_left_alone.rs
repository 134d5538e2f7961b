//! A warm file on large folios has nothing to win: whoever reads it in bursts, too fast to be looked at
//! in between, costs a handful of looks and hardly a window.
//!
//! It fails when a calm mapping plans for a reader that passed several markers since the last look, and
//! when windows are tried although the reader's few faults say how large the folios are.

mod common;

use std::thread;
use std::time::Duration;

use common::{MIB, Place, skip, touch_all};
use mmap_ahead::Mmap;

const FILE_LEN: usize = 512 * MIB;
const BURST: usize = 32 * MIB;

/// The faults of plain memmap2 over all of `file`.
fn plain_faults(file: &std::fs::File) -> u64 {
    // SAFETY: the file has no name, and nobody writes it.
    let map = unsafe { memmap2::Mmap::map(file) }.unwrap();
    let before = minor_faults();
    touch_all(&map);
    minor_faults() - before
}

fn minor_faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    after_name.split_whitespace().nth(7).unwrap().parse().unwrap()
}

#[test]
fn bursts_through_large_folios_cost_a_handful_of_looks() {
    let Some(file) = Place::Disk.numbered(FILE_LEN) else { return };
    let faults = plain_faults(&file);
    if faults > (FILE_LEN / (512 << 10)) as u64 {
        skip!("no large folios here: {faults} faults");
    }
    // SAFETY: the file has no name, and nobody writes it.
    let map = unsafe { Mmap::map(&file) }.unwrap();
    for burst in map.chunks(BURST) {
        touch_all(burst);
        thread::sleep(Duration::from_millis(20));
    }
    let stats = map.stats();
    let armed = (FILE_LEN / (2 * MIB)) as u64;
    assert!(stats.touches > 0, "nobody looked: {stats:?}");
    assert!(stats.markers < armed / 3, "a marker for each window: {stats:?}");
    assert!(stats.pages_mapped < (FILE_LEN / 16 / 4096) as u64, "{stats:?}");
}
