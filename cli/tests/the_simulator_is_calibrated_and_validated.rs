//! `sim calibrate` writes a sheet that `sim run` takes; `sim validate` hashes its predictions before it
//! measures, and says how good they were.

#![forbid(unsafe_code)]

mod support;

use std::fs;

use mmap_ahead_sim::validate::hash;
use support::{in_memory, mmap_ahead, parts, scratch};

#[test]
fn a_calibrated_sheet_predicts_and_is_judged() {
    let dir = scratch();
    if in_memory(dir.path()) {
        return eprintln!("SKIPPED: no disk to calibrate");
    }
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (sheet, predictions) = (path("host.toml"), path("predictions"));
    let calibrate =
        ["sim", "calibrate", "-o", &sheet, "--dir", dir.path().to_str().unwrap(), "--rounds", "1"];
    let (code, _, err) = parts(&mmap_ahead(&calibrate));
    if err.contains("/dev/shm") {
        return eprintln!("SKIPPED: {err}");
    }
    assert_eq!(code, Some(0), "{err}");
    let run = ["sim", "run", "--costs", &sheet, "--size", "4MiB", "--json"];
    assert_eq!(parts(&mmap_ahead(&run)).0, Some(0));

    let validate = [
        "sim",
        "validate",
        "--costs",
        &sheet,
        "--predictions",
        &predictions,
        "--size",
        "4MiB",
        "--steps",
        "20",
        "--runs",
        "1",
        "--json",
        "--dir",
        dir.path().to_str().unwrap(),
    ];
    let (code, out, err) = parts(&mmap_ahead(&validate));
    assert_eq!(code, Some(0), "{err}");
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, cells) = lines.split_last().unwrap();
    assert!(cells.len() >= 24, "{} cells", cells.len());
    let written = fs::read_to_string(&predictions).unwrap();
    assert_eq!(last["predictions_sha256"], hash(&written));
    for (cell, prediction) in cells.iter().zip(written.lines()) {
        let prediction: serde_json::Value = serde_json::from_str(prediction).unwrap();
        assert_eq!(cell["predicted_s"], prediction["seconds"], "changed after it was hashed");
        assert!(cell["measured_s"].as_f64().unwrap() > 0.0 && cell["error"].is_number());
    }
    let (results, figures) = (path("results.jsonl"), path("figures"));
    fs::write(&results, &out).unwrap();
    let (code, _, err) = parts(&mmap_ahead(&["plot", &results, "-o", &figures]));
    assert_eq!(code, Some(0), "{err}");
    assert!(fs::metadata(path("figures/predicted.svg")).unwrap().len() > 0);
    fs::remove_dir_all(figures).unwrap();
    fs::remove_file(results).unwrap();
    for field in ["median_abs_error", "spearman", "spearman_speedups"] {
        assert!(last[field].is_number(), "{field} in {last}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "files were left behind");
}
