//! `plot` and `compare --report`: every figure that the results are enough for, and one clear line
//! where they are damaged.

#![forbid(unsafe_code)]

mod support;

use std::fs;
use std::path::Path;

use support::{in_memory, mmap_ahead, parts, scratch};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plots/tests/data/");

fn plot(files: &[&str], out: &Path) -> (Option<i32>, String, String) {
    let out = out.to_str().unwrap();
    parts(&mmap_ahead(&[&["plot"], files, &["-o", out]].concat()))
}

/// The names of the files in `dir`, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn plot_draws_what_the_files_hold_and_names_what_it_wrote() {
    let out = scratch();
    let (choi, validate) = (format!("{DATA}choi.jsonl"), format!("{DATA}validate.jsonl"));
    let (code, printed, err) = plot(&[&choi, &validate], out.path());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let written = ["choi.png", "choi.svg", "predicted.png", "predicted.svg"];
    assert_eq!(names(out.path()), written);
    assert_eq!(printed.lines().count(), written.len());
    assert!(printed.lines().all(|line| Path::new(line).is_file()), "{printed}");
}

#[test]
fn a_damaged_line_is_named_and_nothing_is_written() {
    let dir = scratch();
    let good = fs::read_to_string(format!("{DATA}choi.jsonl")).unwrap();
    for (text, what) in [
        (format!("{good}{{\"kind\":\"choi\",\"case\":\"read\"}}\n"), "missing field `component`"),
        (format!("{good}{{\"kind\":\"novel\"}}\n"), "`novel` is no kind of result"),
        (format!("{good}{}", &good[..30]), "EOF"),
    ] {
        let file = dir.path().join("damaged.jsonl");
        fs::write(&file, text).unwrap();
        let out = dir.path().join("out");
        let (code, printed, err) = plot(&[file.to_str().unwrap()], &out);
        assert_eq!((code, printed.as_str(), err.lines().count()), (Some(1), "", 1), "{err}");
        let line = good.lines().count() + 1;
        assert!(err.contains(&format!("damaged.jsonl: line {line}: ")), "{err}");
        assert!(err.contains(what), "{err}");
        assert!(!out.exists(), "something was written");
    }
}

#[test]
fn a_file_that_is_missing_or_empty_is_one_clear_line() {
    let dir = scratch();
    let (code, _, err) = plot(&["/no/such/file"], dir.path());
    assert_eq!((code, err.lines().count()), (Some(1), 1), "{err}");
    assert!(err.contains("/no/such/file"), "{err}");
    let empty = dir.path().join("empty");
    fs::write(&empty, "").unwrap();
    let (code, _, err) = plot(&[empty.to_str().unwrap()], dir.path());
    assert_eq!((code, err.as_str()), (Some(1), "mmap-ahead: empty: holds no results\n"));
}

#[test]
fn a_report_holds_its_results_and_every_figure_that_they_are_enough_for() {
    let (dir, out) = (scratch(), scratch());
    if in_memory(dir.path()) {
        eprintln!("SKIPPED: {} is in memory: nothing is cold there", dir.path().display());
        return;
    }
    let report = out.path().join("report");
    let (dir_text, report_text) = (dir.path().to_str().unwrap(), report.to_str().unwrap());
    let arguments = ["compare", "--size", "4MiB", "--dir", dir_text, "--cache", "cold", "--runs"];
    let more = ["2", "--engines", "memmap2,mmap", "--json", "--report", report_text];
    let (code, printed, err) = parts(&mmap_ahead(&[&arguments[..], &more].concat()));
    assert_eq!((code, err.lines().count()), (Some(0), 1), "{err}");
    assert!(err.starts_with("Written: ") && err.trim_end().ends_with("index.html"), "{err}");
    let results = fs::read_to_string(report.join("results.jsonl")).unwrap();
    for line in printed.lines() {
        assert!(results.contains(line), "{line} is not among the results");
    }
    for kind in ["touch_latency", "fault_map", "memory"] {
        let lines = results.lines().filter(|line| line.contains(&format!("\"kind\":\"{kind}\"")));
        assert_eq!(lines.count(), 2, "{kind}: one for each engine");
    }
    let page = fs::read_to_string(report.join("index.html")).unwrap();
    for name in ["throughput", "speedup", "fault-map", "touch-latency", "memory"] {
        assert!(report.join(format!("{name}.svg")).is_file(), "{name}");
        assert!(page.contains(&format!("<figure id=\"{name}\">")), "{name}");
    }
    assert!(page.contains("compare --size 4MiB"), "the command that makes it again");
    // The figures alone, from the results, are the same.
    let again = out.path().join("again");
    let (code, _, err) = plot(&[report.join("results.jsonl").to_str().unwrap()], &again);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let svg = |dir: &Path| fs::read_to_string(dir.join("fault-map.svg")).unwrap();
    assert_eq!(svg(&report), svg(&again));
}
