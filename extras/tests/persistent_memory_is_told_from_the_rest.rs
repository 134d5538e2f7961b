//! A file on persistent memory is known by MAP_SYNC and made durable by cache lines; any other says why not.
//!
//! Persistent memory is wherever the environment's MMAP_AHEAD_PMEM says; `.ci/pmem` runs this in an
//! emulated machine that has some.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mmap_ahead_extras::pmem::{AppendLog, Pmem, STREAMED_LEN_MIN, WhyNot};

const LEN: usize = 1 << 20;

fn file_in(dir: &Path) -> File {
    let file = tempfile::tempfile_in(dir).unwrap();
    file.set_len(LEN as u64).unwrap();
    file
}

fn persistent_memory() -> Option<PathBuf> {
    let dir = std::env::var_os("MMAP_AHEAD_PMEM").map(PathBuf::from);
    if dir.is_none() {
        eprintln!("SKIPPED: no persistent memory (MMAP_AHEAD_PMEM=DIR; see .ci/pmem)");
    }
    dir
}

#[test]
fn persistent_memory_is_made_durable_by_cache_lines() {
    let Some(dir) = persistent_memory() else { return };
    let file = file_in(&dir);
    let pmem = Pmem::map(&file).unwrap();
    assert_eq!((pmem.is_pmem(), pmem.why_not()), (true, None));
    assert_ne!(pmem.way(), "msync");
    println!("made durable by {}", pmem.way());
    for (offset, len) in [(3, 1), (60, 300), (4095, 2), (1 << 16, 64 * STREAMED_LEN_MIN + 5)] {
        let bytes: Vec<u8> = (0..len).map(|number| (number % 251) as u8 + 1).collect();
        pmem.write_durably(offset, &bytes).unwrap();
        let mut back = vec![0; len];
        file.read_exact_at(&mut back, offset as u64).unwrap();
        assert!(back == bytes, "{len} bytes at {offset}");
    }
}

#[test]
fn a_log_on_persistent_memory_is_read_back() {
    let Some(dir) = persistent_memory() else { return };
    let file = file_in(&dir);
    let records: Vec<Vec<u8>> =
        (0..100).map(|number| vec![number; usize::from(number) * 7]).collect();
    let mut log = AppendLog::open(Pmem::map(&file).unwrap()).unwrap();
    records.iter().for_each(|record| log.append(record).unwrap());
    drop(log);
    let log = AppendLog::open(Pmem::map(&file).unwrap()).unwrap();
    assert!(log.records().eq(records));
}

#[test]
fn every_other_file_says_why_not() {
    let mut places = vec![std::env::temp_dir(), PathBuf::from("/dev/shm")];
    places.retain(|place| place.is_dir());
    for place in places {
        let pmem = Pmem::map(&file_in(&place)).unwrap();
        if pmem.is_pmem() {
            eprintln!("SKIPPED: {} is persistent memory", place.display());
            continue;
        }
        assert_eq!(pmem.way(), "msync");
        let why = pmem.why_not().expect("a reason");
        assert_eq!(why, WhyNot::NoDax, "{}", place.display());
        assert!(why.to_string().contains("-o dax"), "{why}");
    }
}
