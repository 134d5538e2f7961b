//! `pm` prints four ways on one table, says which are not durable, and changes nothing.

mod support;

use std::fs;

use serde_json::Value;
use support::{mmap_ahead, parts, scratch, small_file};

fn lines(path: &str) -> Vec<Value> {
    let (code, out, err) = parts(&mmap_ahead(&["pm", path, "--stores", "5", "--json"]));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_way_is_timed_and_judged() {
    let dir = scratch();
    let path = dir.path().join("new");
    let lines = lines(path.to_str().unwrap());
    let ways: Vec<_> = lines.iter().map(|line| line["way"].as_str().unwrap()).collect();
    assert_eq!(ways, ["no sync", "flush + fence", "msync", "pwrite O_DIRECT|O_SYNC"]);
    for line in &lines {
        assert_eq!(line["kind"], "pm");
        assert!(line["median_ns"].as_f64().is_some_and(|nanos| nanos > 0.0), "{line}");
        assert!(line["p99_ns"].as_f64() >= line["median_ns"].as_f64(), "{line}");
    }
    assert!(!path.exists(), "what was made is removed");
    let median = |way: usize| lines[way]["median_ns"].as_f64().unwrap();
    if !support::in_memory(dir.path()) {
        assert!(median(2) > 10.0 * median(0), "msync to a disk is not as fast as a store");
    }
}

#[test]
fn nothing_in_memory_is_durable() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
        eprintln!("SKIPPED: /dev/shm cannot be written");
        return;
    };
    if !support::in_memory(dir.path()) {
        eprintln!("SKIPPED: /dev/shm is not tmpfs");
        return;
    }
    let lines = lines(dir.path().join("new").to_str().unwrap());
    assert!(lines.iter().all(|line| line["durable"] == "no"), "{lines:?}");
}

#[test]
fn a_file_that_is_there_keeps_its_bytes() {
    let dir = scratch();
    let path = small_file(dir.path());
    let before = fs::read(&path).unwrap();
    lines(path.to_str().unwrap());
    assert!(before == fs::read(&path).unwrap());
}

#[test]
fn the_table_says_why() {
    let dir = scratch();
    let path = dir.path().join("new");
    let (code, out, err) = parts(&mmap_ahead(&["pm", path.to_str().unwrap(), "--stores", "3"]));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("durable") && out.contains("survives the program only"), "{out}");
}

#[test]
fn what_cannot_be_stored_to_is_one_clear_line() {
    let dir = scratch();
    let short = dir.path().join("short");
    fs::write(&short, "short").unwrap();
    for path in [short.as_path(), dir.path(), "/no/such/dir/file".as_ref()] {
        let (code, out, err) = parts(&mmap_ahead(&["pm", path.to_str().unwrap()]));
        assert_eq!((code, out.as_str(), err.lines().count()), (Some(1), "", 1), "{err}");
        assert!(err.contains(path.to_str().unwrap()), "{err}");
    }
}
