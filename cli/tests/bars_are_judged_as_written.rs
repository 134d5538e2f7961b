//! `.ci/judge` decides whether a bar holds: on results made up for it, it says so by its exit status and in one line.

#![forbid(unsafe_code)]

use std::io::Write;
use std::process::{Command, Stdio};

const JUDGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/judge");

/// What `compare --json` says of an engine's speed-up.
fn ratio(engine: &str, median: f64, low: f64, high: f64) -> String {
    format!(
        r#"{{"kind":"ratio","engine":"{engine}","baseline":"memmap2","speedup_median":{median},"speedup_ci95":[{low},{high}],"runs":21}}"#
    )
}

/// And of one run.
fn run(engine: &str, round: u32, seconds: f64) -> String {
    format!(r#"{{"kind":"run","engine":"{engine}","round":{round},"seconds":{seconds}}}"#)
}

/// Whether it says that the bar holds, and all that it says; none, aloud, where there is no python3.
fn judge(words: &[&str], results: &[String]) -> Option<(bool, String)> {
    let mut command = Command::new("python3");
    command.arg(JUDGE).args(words).stdin(Stdio::piped());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        println!("SKIPPED: there is no python3");
        return None;
    };
    child.stdin.take().unwrap().write_all(results.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    match output.status.code() {
        Some(0) => assert!(said.starts_with("holds"), "{said}"),
        Some(1) => assert!(said.starts_with("FAILS"), "{said}"),
        other => panic!("{other:?}: {said}"),
    }
    Some((output.status.success(), said))
}

#[test]
fn a_bar_holds_by_its_median_and_below_two_by_its_interval_as_well() {
    let cases = [
        // Bar, median, interval; whether it holds.
        (1.5, 1.6, 1.55, 1.7, true),
        (1.5, 1.5, 1.48, 1.7, true),
        (1.5, 1.6, 1.47, 1.7, false),
        (1.5, 1.49, 1.49, 1.7, false),
        (0.97, 0.98, 0.96, 1.0, true),
        (0.97, 0.98, 0.94, 1.0, false),
        (2.0, 2.1, 1.2, 3.0, true),
        (2.0, 1.99, 1.98, 3.0, false),
    ];
    for (least, median, low, high, is_kept) in cases {
        let results = [ratio("memmap2", 1.0, 1.0, 1.0), ratio("mmap", median, low, high)];
        let Some((holds, said)) = judge(&["warm", "mmap", &least.to_string()], &results) else {
            return;
        };
        assert_eq!(holds, is_kept, "{said}");
        assert!(said.contains("warm: ") && said.contains("21 pairs"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn without_results_of_the_engine_it_fails() {
    for results in [vec![], vec![ratio("paged", 9.0, 9.0, 9.0)], vec![run("mmap", 0, 1.0)]] {
        let Some((holds, said)) = judge(&["warm", "mmap", "1.5"], &results) else { return };
        assert!(!holds && said.contains("no results"), "{said}");
    }
}

/// In the same rounds only: the engine has one that `direct` has not.
#[test]
fn a_share_of_what_the_disk_gives_will_do_as_well() {
    for (share, is_kept) in [("0.9", true), ("0.96", false)] {
        let mut results = vec![ratio("mmap", 1.6, 1.5, 1.7), run("mmap", 3, 0.001)];
        for (round, slow) in [(0, 1.0), (1, 2.0), (2, 3.0)] {
            results.push(run("memmap2", round, 4.0 * slow));
            results.push(run("direct", round, 0.95 * slow));
            results.push(run("mmap", round, slow));
        }
        let Some((holds, said)) = judge(&["cold", "mmap", "3", share], &results) else { return };
        assert_eq!(holds, is_kept, "{said}");
        assert!(said.contains("0.95 of `direct`, which is 4.21 times memmap2"), "{said}");
    }
}
