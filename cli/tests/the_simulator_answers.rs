//! `sim run`, `sweep`, `merge` and `choi` as scripts use them.

#![forbid(unsafe_code)]

mod support;

use std::fs;

use serde_json::Value;
use support::{mmap_ahead, parts, scratch};

fn json_lines(arguments: &[&str]) -> Vec<Value> {
    let (code, out, err) = parts(&mmap_ahead(arguments));
    assert_eq!(code, Some(0), "{err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_run_is_a_line_whose_parts_add_up() {
    let lines = json_lines(&["sim", "run", "--size", "16MiB", "--seed", "9", "--json"]);
    assert_eq!(lines.len(), 4);
    for line in &lines {
        assert_eq!((&line["kind"], &line["seed"]), (&Value::from("sim"), &Value::from(9)));
        let parts = line["breakdown"].as_object().unwrap().values();
        let sum: u64 = parts.map(|part| part.as_u64().unwrap()).sum();
        assert_eq!(sum, line["reader_ns"].as_u64().unwrap(), "{line}");
    }
    let (_, table, _) = parts(&mmap_ahead(&["sim", "run", "--size", "16MiB", "--seed", "9"]));
    assert!(table.contains("seed 9") && table.contains("io stall"), "{table}");
}

#[test]
fn the_paper_is_reproduced_line_by_line() {
    let lines = json_lines(&["sim", "choi", "--json"]);
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).collect::<Vec<_>>();
    assert_eq!(of("choi").len(), 9);
    for line in of("choi") {
        let number = |name: &str| line[name].as_f64().unwrap();
        let (paper, sim) = (number("paper_s"), number("sim_s"));
        let within =
            if line["component"] == "total" { 0.02 * paper } else { (0.05 * paper).max(0.0185) };
        assert!((sim - paper).abs() <= within, "{line}");
    }
    assert_eq!(of("choi_hold_out").len(), 1);
    assert_eq!(of("choi_gain").len(), 2 * 5 * 4);
    assert!(!of("choi_sensitivity").is_empty() && !of("choi_assumption").is_empty());
}

#[test]
fn shards_merge_into_what_one_run_writes() {
    let dir = scratch();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let grid =
        ["sim", "sweep", "--size", "2MiB", "--replicas", "2", "--strategies", "default-mmap,ramp"];
    let sweep = |rest: &[&str]| {
        let (code, _, err) = parts(&mmap_ahead(&[&grid[..], rest].concat()));
        assert_eq!(code, Some(0), "{err}");
    };
    let (whole, csv) = (path("whole"), path("whole.csv"));
    sweep(&["--out", &whole, "--csv", &csv, "--jobs", "1"]);
    sweep(&["--out", &path("one"), "--shard", "1/2"]);
    sweep(&["--out", &path("two"), "--shard", "2/2"]);
    let merged = path("merged");
    let merge = mmap_ahead(&["sim", "merge", &path("two"), &path("one"), "--out", &merged]);
    assert_eq!(merge.status.code(), Some(0), "{merge:?}");
    let text = fs::read_to_string(&whole).unwrap();
    assert_eq!(fs::read_to_string(&merged).unwrap(), text);
    assert_eq!(fs::read_to_string(&csv).unwrap().lines().count(), 1 + 2 * 2 * 2);
    // Stopped in the middle, the same command goes on.
    fs::write(&whole, &text[..text.len() / 3]).unwrap();
    sweep(&["--out", &whole]);
    assert_eq!(fs::read_to_string(&whole).unwrap(), text);
}

#[test]
fn bad_names_are_wrong_usage_and_bad_files_are_named() {
    let dir = scratch();
    let path = dir.path().join("bad.trace");
    fs::write(&path, "mmap-ahead-trace 1\npages 4\n0\n9\n").unwrap();
    let trace = format!("trace:{}", path.display());
    let file = path.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["sim", "run", "--workload", "sideways"], 2, "`sideways`"),
        (&["sim", "run", "--strategy", "magic"], 2, "`magic`"),
        (&["sim", "run", "--costs", "nowhere"], 2, "nowhere"),
        (&["sim", "sweep", "--shard", "3/2"], 2, "3/2"),
        (&["sim", "merge", file], 1, "line 1"),
        (&["sim", "run", "--workload", &trace], 1, "line 4"),
    ];
    for (arguments, status, word) in cases {
        let (code, out, err) = parts(&mmap_ahead(arguments));
        assert_eq!((code, out.as_str(), err.lines().count()), (Some(status), "", 1), "{err}");
        assert!(err.contains(word), "{err}");
    }
}
