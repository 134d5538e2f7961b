//! The demo's smoke run: a small file, everything it promises to write, nothing left behind.

#![forbid(unsafe_code)]

mod support;

use std::fs;

use mmap_ahead_bench::result::{RatioResult, RunResult};
use support::{in_memory, mmap_ahead, parts, scratch};

#[test]
fn demo_prints_a_table_and_writes_results_figures_and_a_page() {
    let dir = scratch();
    let out = scratch();
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let (dir_text, out_text) = (text(dir.path()), text(out.path()));
    let arguments = ["demo", "--size", "4MiB", "--dir", &dir_text, "--out", &out_text];
    let (code, printed, err) = parts(&mmap_ahead(&arguments));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{printed}");
    assert!(printed.starts_with("seed "), "{printed}");
    assert!(printed.contains("mmap vs memmap2"), "{printed}");
    if in_memory(dir.path()) {
        eprintln!("SKIPPED: {dir_text} is in memory, so the demo had no cold part");
    } else {
        assert!(printed.contains("\ncold ") && printed.contains("\nwarm "), "{printed}");
    }
    for name in ["index.html", "throughput.png", "throughput.svg", "speedup.svg"] {
        assert!(fs::metadata(out.path().join(name)).unwrap().len() > 1000, "{name}");
    }
    let page = fs::read_to_string(out.path().join("index.html")).unwrap();
    assert!(page.contains("page fault") && page.contains("demo --size 4MiB"), "the story is told");
    let results = fs::read_to_string(out.path().join("results.jsonl")).unwrap();
    let runs = results.lines().filter(|l| serde_json::from_str::<RunResult>(l).is_ok()).count();
    let ratios = results.lines().filter(|l| serde_json::from_str::<RatioResult>(l).is_ok()).count();
    let parsed = mmap_ahead_plots::Results::parse("results.jsonl", &results).unwrap();
    assert_eq!((parsed.runs.len(), parsed.ratios.len()), (runs, ratios));
    assert_eq!((parsed.sims.len(), parsed.choi.len()), (10, parsed.choi.len().max(3)));
    if !in_memory(dir.path()) {
        assert_eq!((parsed.fault_maps.len(), parsed.latencies.len()), (2, 2), "{printed}");
        assert!(parsed.memories.len() >= 2, "{printed}");
    }
    assert!(runs >= 3 * 7 && ratios >= 2, "{runs} runs, {ratios} ratios");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "files were left behind");
}

#[test]
fn an_out_that_is_a_file_is_one_clear_line() {
    let dir = scratch();
    let file = support::small_file(dir.path());
    let arguments = ["demo", "--size", "4MiB", "--out", file.to_str().unwrap()];
    let (code, _, err) = parts(&mmap_ahead(&arguments));
    assert_eq!((code, err.lines().count()), (Some(1), 1), "{err}");
    assert!(err.contains(file.to_str().unwrap()), "{err}");
}
