//! `record` finds the pages that a program, its threads and its children touched, and no others.

#![forbid(unsafe_code)]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use mmap_ahead::page::PageSize;
use mmap_ahead_sim::{Accesses, PageTrace, Survey, Thinking};
use support::{PROGRAM, in_memory, mmap_ahead, parts, scratch};

/// Skips aloud where the kernel gives no events, and checks the rest.
fn is_recorded(output: &Output) -> bool {
    let (code, _, err) = parts(output);
    if err.contains("does not let page faults be recorded") {
        eprintln!("SKIPPED: {err}");
        return false;
    }
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("none lost") && err.contains("a recorded fault takes"), "{err}");
    true
}

/// A run of ours over a file on tmpfs, where a fault maps 64 KiB and no more: one step every 128 KiB
/// faults once each.
fn spec(path: &Path, threads: u32) -> String {
    format!(
        r#"{{"path":"{}","engine":"memmap2","pattern":"stride:128KiB","cache":"as-is","seed":0,"threads":{threads}}}"#,
        path.display()
    )
}

#[test]
fn the_pages_that_threads_touch_are_found() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
        return eprintln!("SKIPPED: /dev/shm cannot be written");
    };
    if !in_memory(dir.path()) {
        return eprintln!("SKIPPED: /dev/shm is not tmpfs");
    }
    const STEPS: u64 = 64;
    let data = dir.path().join("data");
    std::fs::write(&data, vec![7; (STEPS as usize) << 17]).unwrap();
    for (name, threads) in [("plain.trace", 1), ("threads.trace.gz", 3)] {
        let trace = dir.path().join(name);
        let spec = spec(&data, threads);
        let (trace, data) = (trace.to_str().unwrap(), data.to_str().unwrap());
        // A shell in between: its child is recorded too.
        let shell = format!("'{PROGRAM}' __run '{spec}'; exit $?");
        let output = mmap_ahead(&["record", "-o", trace, "--", "sh", "-c", &shell]);
        if !is_recorded(&output) {
            return;
        }
        let survey = Survey::of(Path::new(trace)).unwrap();
        let index = survey.choose(Some(data)).unwrap();
        assert_eq!(survey.files[index].bytes, STEPS << 17);
        let accesses: Vec<_> =
            Accesses::open(Path::new(trace)).unwrap().map(Result::unwrap).collect();
        assert!(accesses.is_sorted_by_key(|access| access.at), "not in the order of time");
        let ours: Vec<_> = accesses.iter().filter(|access| access.file == index).collect();
        let threads_seen: BTreeSet<u32> = ours.iter().map(|access| access.thread).collect();
        assert_eq!(threads_seen.len(), threads as usize, "{threads_seen:?}");
        let walk =
            PageTrace::open(Path::new(trace), Some(data), PageSize::FOUR_KIB, Thinking::Recorded);
        let mut pages: Vec<u64> =
            walk.unwrap().touches().unwrap().map(|touch| touch.unwrap().page.0).collect();
        if threads == 1 {
            assert!(pages.is_sorted(), "the order of one reader");
        }
        pages.sort_unstable();
        assert_eq!(pages, (0..STEPS).map(|step| step << 5).collect::<Vec<_>>());
    }
}

#[test]
fn a_program_that_fails_is_recorded_and_said() {
    let dir = scratch();
    let trace = dir.path().join("trace");
    let output = mmap_ahead(&["record", "-o", trace.to_str().unwrap(), "--", "sh", "-c", "exit 3"]);
    if is_recorded(&output) {
        assert!(parts(&output).2.contains("exit status: 3"));
        assert!(Survey::of(&trace).unwrap().choose(None).is_ok());
    }
}

#[test]
fn what_cannot_be_recorded_is_one_clear_line() {
    let dir = scratch();
    let trace = dir.path().join("trace");
    let trace = trace.to_str().unwrap();
    for (trace, program, words) in [
        (trace, "/no/such/program", "/no/such/program"),
        ("/no/such/dir/trace", "true", "/no/such/dir"),
    ] {
        let (code, out, err) = parts(&mmap_ahead(&["record", "-o", trace, "--", program]));
        assert_eq!((code, out.as_str(), err.lines().count()), (Some(1), "", 1), "{err}");
        assert!(err.contains(words) || err.contains("does not let"), "{err}");
    }
}
