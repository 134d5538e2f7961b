use super::*;
use crate::cache::CacheState;
use crate::datafile::{Afterwards, DataFile};
use crate::device;
use crate::engine::Engine;

const PAGES: u64 = 1024;

/// A file of 4 MiB on a disk; none, aloud, where there is none.
fn file(dir: &tempfile::TempDir) -> Option<DataFile> {
    let kind = device::file_system(dir.path()).unwrap();
    if device::is_memory(&kind) {
        eprintln!("SKIPPED: {} is in memory: nothing is cold there", dir.path().display());
        return None;
    }
    DataFile::make(dir.path(), PAGES * STEP_LEN, 3, Afterwards::Remove).ok()
}

fn seen(file: &DataFile, what: Watch, engine: Engine, pattern: &str) -> Seen {
    CacheState::Cold.prepare(file.path()).unwrap();
    let run = RunSpec { pattern: pattern.into(), ..RunSpec::scan(file.path().into(), engine) };
    watch(&WatchSpec { watch: what, run: RunSpec { cache: "cold".into(), ..run } }).unwrap()
}

#[test]
fn every_touch_of_a_cold_file_is_on_the_map_once() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let Some(file) = file(&dir) else { return };
    for engine in [crate::engine::BASELINE, Engine::Mmap] {
        let seen = seen(&file, Watch::Touches, engine, "seq");
        let (latency, map) = (seen.latency.unwrap(), seen.fault_map.unwrap());
        assert_eq!(latency.counts.iter().map(|(_, count)| count).sum::<u64>(), PAGES, "{engine}");
        let mut pages: Vec<_> = map.touches.iter().chain(&map.faults).map(|at| at.1).collect();
        pages.sort_unstable();
        let kernel_pages = PAGES * STEP_LEN / map.page_bytes;
        assert_eq!(pages.len() as u64, PAGES, "{engine}");
        assert_eq!((pages[0], pages[pages.len() - 1]), (0, kernel_pages - 1));
        assert!(!map.faults.is_empty(), "{engine}: a cold file without a fault");
        assert!(map.frontier.last().is_some_and(|last| last.1 == kernel_pages), "{engine}");
        assert!(map.wasted.is_empty(), "{engine}: all pages were touched: {:?}", map.wasted);
    }
}

#[test]
fn pages_that_nobody_touched_are_wasted() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let Some(file) = file(&dir) else { return };
    let seen = seen(&file, Watch::Touches, crate::engine::BASELINE, "stride:1MiB");
    let map = seen.fault_map.unwrap();
    assert_eq!(map.touches.len() + map.faults.len(), 4);
    let wasted: u64 = map.wasted.iter().map(|(_, first, end)| end - first).sum();
    assert!(wasted > 0, "the kernel reads around every fault");
}

#[test]
fn memory_is_sampled_to_the_end() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let Some(file) = file(&dir) else { return };
    let seen = seen(&file, Watch::Memory, Engine::READ, "seq");
    let memory = seen.memory.unwrap();
    let (first, last) = (memory.samples[0], memory.samples[memory.samples.len() - 1]);
    assert!(first.0 <= last.0 && memory.samples.len() <= SAMPLES_MOST + 1);
    assert!(last.1 > 0, "a process has memory");
    if last.2 != 0 {
        assert!(last.2 >= PAGES * STEP_LEN, "all of it was read: {last:?}");
    }
}
