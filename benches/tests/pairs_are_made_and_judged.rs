//! The harness with fake engines: who is paired with whom, in which direction, and what is refused.

#![forbid(unsafe_code)]

use std::time::Duration;

use mmap_ahead_bench::Error;
use mmap_ahead_bench::compare::{Comparison, Plan, Progress, compare};
use mmap_ahead_bench::engine::{BASELINE, Engine};
use mmap_ahead_bench::environment::Environment;
use mmap_ahead_bench::result::RunResult;
use mmap_ahead_bench::run::{self, RunSpec};
use mmap_ahead_bench::spawn::Spawner;

/// Answers with whatever `says` makes of a true run of a tiny file; `runs` is the order of calls.
struct Fake<F> {
    runs: Vec<String>,
    says: F,
}

impl<F: FnMut(usize, &mut RunResult) -> Result<(), Error>> Spawner for Fake<F> {
    fn run(&mut self, spec: &RunSpec) -> Result<RunResult, Error> {
        let call = self.runs.len();
        self.runs.push(spec.engine.clone());
        let real = RunSpec { engine: "read".into(), ..spec.clone() };
        let mut result = RunResult { engine: spec.engine.clone(), ..run::run(&real)? };
        (self.says)(call, &mut result).map(|()| result)
    }
}

fn plan(engines: &[&str], rounds: u32) -> Plan {
    Plan {
        spec: RunSpec::scan("Cargo.toml".into(), Engine::READ),
        engines: engines.iter().map(|name| name.parse().unwrap()).collect(),
        baseline: BASELINE,
        rounds,
        time_limit: None,
        environment: Environment::default(),
        file_extents: None,
    }
}

fn make<F>(plan: &Plan, says: F) -> (Result<Comparison, Error>, Vec<String>)
where
    F: FnMut(usize, &mut RunResult) -> Result<(), Error>,
{
    let mut fake = Fake { runs: Vec::new(), says };
    let comparison = compare(plan, &mut fake, &mut |_| {});
    (comparison, fake.runs)
}

#[test]
fn engines_take_turns_and_the_first_round_does_not_count() {
    let plan = plan(&["memmap2", "mmap", "read"], 2);
    let (comparison, order) = make(&plan, |call, result| {
        result.seconds = call as f64 + 1.0;
        Ok(())
    });
    for round in order.chunks(3) {
        let mut sorted = round.to_vec();
        sorted.sort();
        assert_eq!(sorted, ["memmap2", "mmap", "read"], "each once a round: {order:?}");
    }
    let runs = comparison.unwrap().runs;
    assert_eq!(runs.iter().map(|run| run.round).collect::<Vec<_>>(), [1, 1, 1, 2, 2, 2]);
    assert_eq!(runs[0].seconds, 4.0, "a run of the first round was kept");
}

#[test]
fn the_order_in_a_round_is_drawn_by_the_seed() {
    let order = |seed| {
        let mut plan = plan(&["memmap2", "mmap", "read"], 30);
        plan.spec.seed = seed;
        make(&plan, |_, _| Ok(())).1
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
    for engine in ["memmap2", "mmap", "read"] {
        let first = order(3).chunks(3).filter(|round| round[0] == engine).count();
        assert!((3..=20).contains(&first), "{engine} came first {first} times of 31");
    }
}

#[test]
fn a_faster_engine_has_a_ratio_above_one() {
    let plan = plan(&["mmap", "memmap2", "read"], 7);
    let (comparison, _) = make(&plan, |call, result| {
        // Every round is slower than the one before, for all alike: only pairs see through that.
        let round = (call / 3 + 1) as f64;
        let pace = match result.engine.as_str() {
            "mmap" => 1.0,
            "memmap2" => 2.0,
            _ => 8.0,
        };
        result.seconds = pace * round;
        Ok(())
    });
    let comparison = comparison.unwrap();
    let ratios: Vec<_> = comparison.ratios.iter().map(|r| (r.engine.as_str(), r)).collect();
    assert_eq!(ratios.len(), 2, "one for each engine but the baseline");
    let (name, mmap) = ratios[0];
    assert_eq!((name, mmap.baseline.as_str(), mmap.runs), ("mmap", "memmap2", 7));
    assert_eq!((mmap.speedup_median, mmap.speedup_ci95), (2.0, [2.0, 2.0]));
    assert_eq!(mmap.wilcoxon_p, Some(2.0 / 128.0), "seven of seven");
    assert_eq!((ratios[1].0, ratios[1].1.speedup_median), ("read", 0.25));
}

#[test]
fn a_wrong_checksum_is_an_error_that_names_the_engine() {
    let plan = plan(&["memmap2", "mmap", "read"], 3);
    // Wrong from the second round on: a check of the first alone would miss it.
    let (comparison, order) = make(&plan, |call, result| {
        if result.engine == "mmap" && call >= 3 {
            result.checksum = "0000000000000bad".into();
        }
        Ok(())
    });
    let error = comparison.unwrap_err();
    assert!(error.to_string().contains("engine mmap read"), "{error}");
    assert_eq!(error.exit_status(), 1);
    assert_eq!(order.last().map(String::as_str), Some("mmap"), "the round was gone on with");
    assert!((4..=6).contains(&order.len()), "{order:?}");
}

#[test]
fn reading_less_than_the_others_is_an_error_too() {
    let (comparison, _) = make(&plan(&["memmap2", "reader"], 1), |_, result| {
        result.bytes -= u64::from(result.engine == "reader");
        Ok(())
    });
    assert!(comparison.unwrap_err().to_string().contains("engine reader read"));
}

#[test]
fn a_failed_run_ends_the_comparison() {
    let (comparison, order) = make(&plan(&["memmap2", "mmap"], 3), |call, _| match call {
        2 => Err(Error::Failed("engine memmap2: broke".into())),
        _ => Ok(()),
    });
    assert_eq!(comparison.unwrap_err().to_string(), "engine memmap2: broke");
    assert_eq!(order.len(), 3);
}

#[test]
fn without_the_baseline_there_are_runs_and_no_ratios() {
    let (comparison, _) = make(&plan(&["mmap", "read"], 2), |_, _| Ok(()));
    let comparison = comparison.unwrap();
    assert_eq!((comparison.runs.len(), comparison.ratios.len()), (4, 0));
}

#[test]
fn a_time_limit_leaves_three_rounds() {
    let limited = Plan { time_limit: Some(Duration::ZERO), ..plan(&["memmap2", "mmap"], 50) };
    let (comparison, _) = make(&limited, |_, _| Ok(()));
    assert_eq!(comparison.unwrap().ratios[0].runs, 3);
}

#[test]
fn progress_tells_every_run_that_counts() {
    let mut fake = Fake { runs: Vec::new(), says: |_, _: &mut RunResult| Ok(()) };
    let (mut started, mut ended) = (Vec::new(), 0);
    compare(&plan(&["memmap2", "mmap"], 2), &mut fake, &mut |progress| match progress {
        Progress::Starts { round, .. } => started.push(round),
        Progress::Ended(_) => ended += 1,
    })
    .unwrap();
    assert_eq!((started, ended), (vec![0, 0, 1, 1, 2, 2], 4));
}
