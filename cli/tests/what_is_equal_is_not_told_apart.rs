//! `compare` claims no difference where there is none, and decides the same way twice. Measurements, so not part of
//! a plain run, and of use in a release build on an idle machine only:
//!
//! `cargo test --release -p mmap-ahead-cli --test what_is_equal_is_not_told_apart -- --ignored --nocapture
//! --test-threads 1`

#![forbid(unsafe_code)]

mod support;

use std::path::Path;

use mmap_ahead_bench::cache::CacheState;
use mmap_ahead_bench::compare::{Comparison, Plan, compare};
use mmap_ahead_bench::datafile::{Afterwards, DataFile};
use mmap_ahead_bench::engine::{BASELINE, Engine};
use mmap_ahead_bench::environment::Environment;
use mmap_ahead_bench::result::{RatioResult, RunResult};
use mmap_ahead_bench::run::RunSpec;
use mmap_ahead_bench::spawn::{Children, Spawner};
use mmap_ahead_bench::{Error, device};

/// Of 20 repeats, and of two.
const SHORT: u64 = 256 << 20;
const LONG: u64 = 1 << 30;
/// As many as bars near 1.0 want (TRAPS 29).
const ROUNDS: u32 = 21;
const REPEATS: u64 = 20;
/// One of 20 is what 95% allows on average; five or more come by chance once in 400 series.
const CLAIMS_MAX: usize = 4;

/// One engine under the names of two.
struct Twins {
    engine: Engine,
    children: Children,
}

impl Spawner for Twins {
    fn run(&mut self, spec: &RunSpec) -> Result<RunResult, Error> {
        let real = RunSpec { engine: self.engine.name().to_owned(), ..spec.clone() };
        Ok(RunResult { engine: spec.engine.clone(), ..self.children.run(&real)? })
    }
}

fn children() -> Children {
    Children { program: support::PROGRAM.into(), cache: CacheState::Warm, recorded: None }
}

fn plan(path: &Path, engines: &[Engine], seed: u64) -> Plan {
    Plan {
        spec: RunSpec {
            cache: CacheState::Warm.to_string(),
            seed,
            ..RunSpec::scan(path.to_owned(), BASELINE)
        },
        engines: engines.to_vec(),
        baseline: BASELINE,
        rounds: ROUNDS,
        time_limit: None,
        environment: Environment::of(path),
        file_extents: device::extents(path),
    }
}

/// A file in memory, and one on a disk; that one as `compare` makes it, brought in by read(2).
fn files(len: u64) -> [DataFile; 2] {
    let make = |dir| DataFile::make(Path::new(dir), len, 1, Afterwards::Remove).unwrap();
    let [memory, disk] = ["/dev/shm", "/var/tmp"].map(make);
    CacheState::Cold.prepare(disk.path()).unwrap();
    [memory, disk]
}

fn intervals_overlap([one, other]: [&RatioResult; 2]) -> bool {
    let ([low, high], [other_low, other_high]) = (one.speedup_ci95, other.speedup_ci95);
    low <= other_high && other_low <= high
}

/// By the interval, or by the test.
fn is_a_difference_claimed(ratio: &RatioResult) -> bool {
    let [low, high] = ratio.speedup_ci95;
    low > 1.0 || high < 1.0 || ratio.wilcoxon_p.is_some_and(|chance| chance < 0.05)
}

/// Returns in how many of the repeats a difference is claimed.
fn claims(path: &Path, engine: Engine) -> usize {
    let mut twins = Twins { engine, children: children() };
    let ratios: Vec<RatioResult> = (1..=REPEATS)
        .map(|seed| {
            let plan = plan(path, &[BASELINE, Engine::Mmap], seed);
            let comparison = compare(&plan, &mut twins, &mut |_| {}).unwrap();
            let [ratio] = comparison.ratios.try_into().unwrap();
            ratio
        })
        .collect();
    let claimed: Vec<_> = ratios.iter().filter(|ratio| is_a_difference_claimed(ratio)).collect();
    println!(
        "{engine} twice, {}: {} of {REPEATS} repeats of {ROUNDS} pairs claim a difference, at most {CLAIMS_MAX} may",
        path.display(),
        claimed.len()
    );
    for RatioResult { speedup_median, speedup_ci95: [low, high], wilcoxon_p, .. } in &claimed {
        println!("    {speedup_median:.3} ({low:.3} to {high:.3}), Wilcoxon {wilcoxon_p:.3?}");
    }
    claimed.len()
}

#[test]
#[ignore = "a measurement: a minute and a half"]
fn the_same_engine_twice_is_rarely_told_apart() {
    let claimed: Vec<usize> = files(SHORT)
        .iter()
        .flat_map(|file| [BASELINE, Engine::Mmap].map(|engine| claims(file.path(), engine)))
        .collect();
    assert!(claimed.iter().all(|&count| count <= CLAIMS_MAX), "{claimed:?}");
}

#[test]
#[ignore = "a measurement: a minute and a half"]
fn two_comparisons_decide_the_same_way() {
    let mut all_overlap = true;
    for file in files(LONG) {
        let engines = [BASELINE, Engine::Mmap, Engine::MmapGuard, Engine::Reader, Engine::READ];
        let [one, other]: [Comparison; 2] = [1, 2].map(|seed| {
            compare(&plan(file.path(), &engines, seed), &mut children(), &mut |_| {}).unwrap()
        });
        for pair in one.ratios.iter().zip(&other.ratios) {
            let [a, b] = [pair.0, pair.1];
            let is_same = intervals_overlap([a, b]);
            let verdict = if is_same { "holds" } else { "FAILS" };
            let shown = |ratio: &RatioResult| {
                let [low, high] = ratio.speedup_ci95;
                format!("{:.3} ({low:.3} to {high:.3})", ratio.speedup_median)
            };
            println!(
                "{verdict}  {}, {}: {} and {}",
                a.engine,
                file.path().display(),
                shown(a),
                shown(b)
            );
            all_overlap &= is_same;
        }
    }
    assert!(all_overlap);
}
