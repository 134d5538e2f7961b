//! Every figure with results that no ordinary run gives: long names, many engines, one engine, single
//! points, nothing but zeros, and values from 1e-6 to 1e6.

use super::ALL;
use crate::results::Results;
use crate::sheet::Width;
use crate::testing::check;

const ENVIRONMENT: &str = r#"{"kernel":"6.18.44-a-kernel-with-a-long-name","cpu":"AMD EPYC 9754 128-Core Processor","cpus":2,"file_system":"ext4","device":"mapper-vg0-a-long-name","read_ahead_kb":128,"commit":"abcdef0-dirty"}"#;

/// Draws all that `lines` are enough for, checks it, and gives the names of the figures.
fn drawn(lines: &[String]) -> Vec<&'static str> {
    let lines = lines.join("\n").replace("ENV", &format!("\"environment\":{ENVIRONMENT}"));
    let results = Results::parse("extremes.jsonl", &lines).unwrap();
    let mut names = Vec::new();
    for figure in ALL {
        for width in [Width::Wide, Width::Narrow] {
            let scene = (figure.draw)(&results, width).unwrap();
            scene.iter().for_each(check);
            names.extend(scene.filter(|_| width == Width::Wide).map(|_| figure.name));
        }
    }
    names
}

fn run(engine: &str, pattern: &str, speed: f64) -> String {
    let seconds = 1.0 / speed;
    format!(
        r#"{{"kind":"run","engine":"{engine}","pattern":"{pattern}","cache":"cold","bytes":4096,"seconds":{seconds},"gb_per_s":{speed},ENV}}"#
    )
}

fn ratio(engine: &str, [low, median, high]: [f64; 3]) -> String {
    format!(
        r#"{{"kind":"ratio","engine":"{engine}","baseline":"memmap2","speedup_median":{median},"speedup_ci95":[{low},{high}],"runs":3,"cache":"cold",ENV}}"#
    )
}

fn latency(engine: &str, counts: &str) -> String {
    format!(
        r#"{{"kind":"touch_latency","engine":"{engine}","pattern":"blocks:64KiB/1MiB","cache":"cold","touch":8,"counts":{counts},ENV}}"#
    )
}

fn map(engine: &str, touches: &str) -> String {
    format!(
        r#"{{"kind":"fault_map","engine":"{engine}","policy":"","pattern":"seq","cache":"cold","pages":16,"page_bytes":4096,"seconds":0.2,"touches":{touches},"faults":[],"fetched":[],"wasted":[],"frontier":[],ENV}}"#
    )
}

fn memory(engine: &str, samples: &str) -> String {
    format!(
        r#"{{"kind":"memory","engine":"{engine}","pattern":"seq","cache":"cold","file_bytes":1073741824,"limit_bytes":null,"samples":{samples},ENV}}"#
    )
}

fn sim(strategy: &str, nanos: u64, parts: u64, share: f64) -> String {
    let part = |index: u64| format!(r#""part_{index}_of_it_ns":{nanos}"#);
    let breakdown: Vec<String> = (0..parts).map(part).collect();
    let (breakdown, all) = (breakdown.join(","), nanos * parts);
    let seconds = all as f64 / 1e9;
    format!(
        r#"{{"kind":"sim","machine":"nvme","workload":"zipf:0.99","strategy":"{strategy}","virtual_seconds":{seconds},"reader_ns":{all},"breakdown":{{{breakdown}}},"accuracy":{share},"coverage":{share}}}"#
    )
}

fn validate(way: &str, seconds: f64) -> String {
    format!(
        r#"{{"kind":"validate","pattern":"seq","cache":"warm","way":"{way}","predicted_s":{seconds},"measured_s":{seconds},ENV}}"#
    )
}

fn sweep(strategy: &str, window: Option<u32>, distance: Option<u32>, seconds: f64) -> String {
    let number = |pages: Option<u32>| pages.map_or("null".to_owned(), |pages| pages.to_string());
    let (window, distance) = (number(window), number(distance));
    format!(
        r#"{{"kind":"summary","machine":"optane","workload":"seq","strategy":"{strategy}","window_pages":{window},"distance_pages":{distance},"seconds":{{"mean":{seconds},"ci95":null}}}}"#
    )
}

#[test]
fn twelve_engines_with_long_names() {
    let mut lines = vec![run("direct", "seq", 14.0)];
    for i in 0..12_u32 {
        let (name, n) = (format!("engine-with-a-long-name-{i:02}"), f64::from(i));
        lines.extend([
            run(&name, "seq", 1.0 + n),
            ratio(&name, [0.5, 1.0 + n / 3.0, 2.0 + n]),
            latency(&name, &format!("[[{},1000],[{},3]]", 10 * (i + 1), 100_000 * (i + 1))),
            map(&name, "[[0,0],[100000,8],[200000,15]]"),
            memory(&name, &format!("[[0,0,0],[{},{},7]]", 100_000 * (i + 1), u64::from(i) << 26)),
            sim(&name, u64::from(1000 * (i + 1)), 12, n / 12.0),
            validate(&name, 1.0 + n),
            sweep(&name, Some(1 << i), None, 1.0 + n),
            sweep("ramp", Some(1 << i), Some(1 << i), 1.0 + n),
            sweep(&name, None, None, 1.0 + n),
        ]);
    }
    assert_eq!(drawn(&lines).len(), ALL.len() - 1, "all but the published experiment");
}

#[test]
fn one_engine_and_single_points() {
    let lines = [
        run("mmap", "seq", 2.0),
        ratio("mmap", [1.0, 1.0, 1.0]),
        latency("mmap", "[[100,1]]"),
        map("mmap", "[[0,0]]"),
        memory("mmap", "[[0,0,0]]"),
        sim("adaptive", 1, 1, 0.0),
        validate("mmap", 1.0),
        sweep("ramp", Some(1), Some(1), 1.0),
        sweep("off", None, None, 1.0),
    ];
    assert_eq!(drawn(&lines).len(), ALL.len() - 2, "and no limit of the disk");
}

#[test]
fn values_from_a_millionth_to_a_million() {
    let mut lines = vec![latency("e", "[[1,1000000000000],[1000000000000000,1]]")];
    lines.extend([sim("short", 1, 1, 1e-6), sim("long", 1 << 50, 1, 1.0)]);
    for power in -6..=6 {
        let (name, value) = (format!("e{power}"), 10f64.powi(power));
        lines.extend([
            run(&name, "seq", value),
            run("mmap", &format!("stride:{power}"), value),
            ratio(&name, [value / 3.0, value, value * 3.0]),
            validate(&name, value),
            sweep("ramp", Some(1 << (power + 6)), Some(64), value),
            sweep(&name, None, None, value),
        ]);
    }
    assert!(drawn(&lines).len() >= 8);
}

#[test]
fn zeros() {
    let lines = [memory("paged", "[[0,0,0],[0,0,0]]"), sim("off", 1, 1, 0.0), map("mmap", "[]")];
    assert_eq!(drawn(&lines), ["memory", "policies", "breakdown"]);
}
