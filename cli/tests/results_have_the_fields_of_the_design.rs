//! `--json`: the fields of DESIGN.md, in its order, before any other. Scripts depend on them.

#![forbid(unsafe_code)]

mod support;

use serde_json::Value;
use support::{mmap_ahead, parts, scratch, small_file};

const RUN: [&str; 13] = [
    "kind",
    "engine",
    "pattern",
    "cache",
    "bytes",
    "seconds",
    "gb_per_s",
    "minor_faults",
    "major_faults",
    "cpu_user_s",
    "cpu_sys_s",
    "peak_rss_bytes",
    "checksum",
];

const RATIO: [&str; 6] = ["kind", "engine", "baseline", "speedup_median", "speedup_ci95", "runs"];

/// The line starts with these fields, in this order.
fn assert_fields(line: &str, fields: &[&str]) {
    let mut rest = line.strip_prefix('{').unwrap();
    for field in fields {
        rest = rest.strip_prefix(&format!("\"{field}\":")).unwrap_or_else(|| {
            panic!("wanted {field}, found {rest} in {line}");
        });
        // No value in front of the last of these fields holds a comma, but for the interval.
        let end = if rest.starts_with('[') { rest.find(']').unwrap() } else { 0 };
        let comma = end + rest[end..].find(',').unwrap();
        rest = &rest[comma + 1..];
    }
}

/// The lines of a comparison of a small file, parsed, with the text of each.
fn compare(arguments: &[&str]) -> Vec<(String, Value)> {
    let dir = scratch();
    let file = small_file(dir.path());
    let all = [&["compare", file.to_str().unwrap(), "--json"], arguments].concat();
    let (code, out, err) = parts(&mmap_ahead(&all));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    out.lines().map(|line| (line.to_owned(), serde_json::from_str(line).unwrap())).collect()
}

#[test]
fn runs_come_first_in_turn_and_ratios_last() {
    let lines = compare(&["--runs", "2", "--engines", "read,memmap2,mmap"]);
    let mut names: Vec<_> = lines
        .iter()
        .map(|(_, value)| (value["kind"].as_str().unwrap(), value["engine"].as_str().unwrap()))
        .collect();
    // Each round draws its own order.
    names[..6].chunks_mut(3).for_each(<[_]>::sort_unstable);
    let round = [("run", "memmap2"), ("run", "mmap"), ("run", "read")];
    let ratios = [("ratio", "read"), ("ratio", "mmap")];
    assert_eq!(names, [&round[..], &round, &ratios].concat());
    for (line, value) in &lines {
        assert_fields(line, if value["kind"] == "run" { &RUN } else { &RATIO });
    }
}

#[test]
fn values_are_what_their_names_say() {
    let lines = compare(&["--runs", "1", "--engines", "memmap2,mmap", "--pattern", "stride:8KiB"]);
    let of = |engine: &str| &lines.iter().find(|(_, line)| line["engine"] == engine).unwrap().1;
    let run = of("memmap2");
    assert_eq!((&run["pattern"], &run["cache"]), (&"stride:8KiB".into(), &"warm".into()));
    // 37 steps of 4 KiB start every 8 KiB; the last starts 5,088 bytes before the end.
    assert_eq!(run["bytes"], 37 * 4096);
    let (bytes, seconds) = (run["bytes"].as_f64().unwrap(), run["seconds"].as_f64().unwrap());
    assert!((run["gb_per_s"].as_f64().unwrap() - bytes / seconds / 1e9).abs() < 1e-9);
    assert_eq!(run["checksum"].as_str().unwrap().len(), 16);
    assert!(run["reader_minor_faults"].as_u64() <= run["minor_faults"].as_u64());
    assert!(run["peak_rss_bytes"].as_u64().unwrap() > 100_000);
    assert!(run["quality"].is_null(), "memmap2 predicts nothing: {run}");
    let ours = of("mmap");
    for name in ["accuracy", "coverage", "timeliness"] {
        assert!(ours["quality"].get(name).is_some(), "{name} is not in {ours}");
    }
    for name in ["bytes_wasted", "streams", "trips", "arrived_in_time", "arrived_late_1ms"] {
        assert!(ours["stats"][name].is_u64(), "{name} is not in {ours}");
    }
    assert!(run["environment"]["kernel"].is_string() && run["seed"].is_u64());
    let ratio = &lines[2].1;
    let pair = seconds / ours["seconds"].as_f64().unwrap();
    assert!((ratio["speedup_median"].as_f64().unwrap() - pair).abs() < 1e-9);
    assert_eq!((&ratio["baseline"], &ratio["runs"]), (&"memmap2".into(), &1.into()));
}

#[test]
fn every_engine_and_pattern_runs() {
    let engines = "memmap2,read,memmap2+sequential,memmap2+willneed,memmap2+populate,\
                   memmap2+random,mmap,mmap+guard,reader";
    for pattern in [
        "seq",
        "reverse",
        "stride:8KiB",
        "streams:4",
        "random",
        "zipf:0.99",
        "blocks:16KiB",
        "blocks:8KiB/32KiB",
    ] {
        let lines = compare(&["--runs", "1", "--engines", engines, "--pattern", pattern]);
        assert_eq!(lines.len(), 9 + 8, "{pattern}");
    }
}

#[test]
fn a_seed_decides_the_checksum_of_random_steps() {
    let checksum = |seed: &str| {
        let engines = ["--runs", "1", "--engines", "read", "--pattern", "random", "--seed", seed];
        compare(&engines)[0].1["checksum"].as_str().unwrap().to_owned()
    };
    assert_eq!(checksum("5"), checksum("5"));
    assert_ne!(checksum("5"), checksum("6"));
}

#[test]
fn doctor_says_one_object_a_line() {
    let (code, out, err) = parts(&mmap_ahead(&["doctor", "--json"]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let names: Vec<_> = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["name"].to_string())
        .collect();
    assert!(names.len() > 8 && names.contains(&"\"userfaultfd\"".to_owned()), "{names:?}");
}
