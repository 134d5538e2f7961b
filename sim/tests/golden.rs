//! The engine's policies on a committed trace, with exactly these results.
//!
//! A change of a policy or of the model shows here as a diff. When it is meant:
//! `MMAP_AHEAD_GOLDEN=write cargo test -p mmap-ahead-sim --test golden`, then read the diff.

use std::path::{Path, PathBuf};

use mmap_ahead::PolicyKind;
use mmap_ahead_sim::{CacheState, Knobs, Report, Setup, Strategy, Trace, Workload, run};

const REWRITE: &str = "MMAP_AHEAD_GOLDEN=write cargo test -p mmap-ahead-sim --test golden";

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn reports(cache: CacheState) -> Vec<Report> {
    let text = std::fs::read_to_string(golden("mixed.trace")).unwrap();
    let trace = Workload::of_trace(Trace::parse("mixed", &text).unwrap());
    let setup = Setup { cache, ..Setup::default() };
    let one = |kind: PolicyKind| {
        let name = format!("engine:{}", kind.name());
        let strategy = Strategy::named(&name, &Knobs::default()).unwrap();
        run(&trace, &strategy, &setup).unwrap()
    };
    PolicyKind::ALL.into_iter().map(one).collect()
}

#[test]
fn every_policy_does_on_the_committed_trace_what_it_did_before() {
    let (cold, warm) = (reports(CacheState::Cold), reports(CacheState::Warm));
    let write = std::env::var_os("MMAP_AHEAD_GOLDEN").is_some_and(|value| value == "write");
    let mut changed = Vec::new();
    for (cold, warm) in cold.iter().zip(&warm) {
        let both = serde_json::json!({ "cold": cold, "warm": warm });
        let now = serde_json::to_string_pretty(&both).unwrap() + "\n";
        let path = golden(&format!("{}.json", cold.strategy.trim_start_matches("engine:")));
        if write {
            std::fs::write(&path, &now).unwrap();
        }
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        if before != now {
            println!("{} is now:\n{now}", path.display());
            changed.push(cold.strategy.clone());
        }
    }
    assert!(changed.is_empty(), "results changed for {changed:?}; if that is meant: {REWRITE}");
}

#[test]
fn no_policy_is_slower_than_none_on_the_committed_trace() {
    for cache in [CacheState::Cold, CacheState::Warm] {
        let reports = reports(cache);
        let off = reports.iter().find(|report| report.strategy == "engine:off").unwrap();
        for report in &reports {
            let (time, limit) = (report.virtual_seconds, off.virtual_seconds * 1.01);
            println!("{} {cache:?}: {time} s", report.strategy);
            assert!(time <= limit, "{} {cache:?}: {time} s, off {limit} s", report.strategy);
        }
    }
}
