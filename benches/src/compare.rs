//! The paired comparison: each round runs every engine once, in an order drawn by the seed, and the
//! pairs of a round are compared. What one run leaves behind (free memory that the host has taken
//! back, a busy disk) then falls on all alike.

use std::time::{Duration, Instant};

use crate::Error;
use crate::cache::CacheState;
use crate::device::Disk;
use crate::engine::Engine;
use crate::environment::Environment;
use crate::interval::Median;
use crate::random::Rng;
use crate::result::{Kind, RatioResult, RunResult, SCHEMA};
use crate::run::RunSpec;
use crate::spawn::Spawner;
use crate::wilcoxon;

/// The least rounds that are made however little time is left.
const ROUNDS_MIN: u32 = 3;

/// What is compared.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The run; its engine is filled in for each.
    pub spec: RunSpec,
    /// The engines; each round draws its own order of them.
    pub engines: Vec<Engine>,
    /// Which of them the others are held against: [`BASELINE`](crate::engine::BASELINE) unless it is said.
    pub baseline: Engine,
    /// How many rounds count. One more is made first and thrown away.
    pub rounds: u32,
    /// No round is begun after this long, except the first three.
    pub time_limit: Option<Duration>,
    /// The machine, written into every result.
    pub environment: Environment,
    /// In how many pieces the file lies on its disk; none where the file system does not tell.
    pub file_extents: Option<u64>,
}

/// What is told while it runs.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// This engine starts its run of this round; round 0 is the one that does not count.
    Starts {
        /// The round.
        round: u32,
        /// The engine.
        engine: Engine,
    },
    /// A run that counts has ended.
    Ended(&'a RunResult),
}

/// All runs and what they say.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// The runs that count, in the order in which they were made.
    pub runs: Vec<RunResult>,
    /// The ratios to the baseline, one for every other engine; none without the baseline.
    pub ratios: Vec<RatioResult>,
}

impl Comparison {
    /// The runs of one engine, in order.
    pub fn runs_of(&self, engine: Engine) -> impl Iterator<Item = &RunResult> {
        self.runs.iter().filter(move |run| run.engine == engine.name())
    }

    /// The median of something about an engine's runs.
    #[must_use]
    pub fn median(&self, engine: Engine, of: impl Fn(&RunResult) -> f64) -> Option<Median> {
        Median::of(&self.runs_of(engine).map(of).collect::<Vec<_>>())
    }

    /// The ratio of one engine.
    #[must_use]
    pub fn ratio_of(&self, engine: Engine) -> Option<&RatioResult> {
        self.ratios.iter().find(|ratio| ratio.engine == engine.name())
    }
}

/// Makes the comparison.
///
/// # Errors
/// The first run that fails; a checksum that differs, naming the engine; a `read_ahead_kb` that
/// somebody changed meanwhile.
pub fn compare(
    plan: &Plan,
    spawner: &mut dyn Spawner,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Comparison, Error> {
    let start = Instant::now();
    let mut comparison = Comparison::default();
    let mut reference: Option<RunResult> = None;
    for round in 0..=plan.rounds {
        let late = plan.time_limit.is_some_and(|limit| start.elapsed() > limit);
        if late && round > ROUNDS_MIN {
            break;
        }
        for engine in drawn_order(plan, round) {
            progress(Progress::Starts { round, engine });
            let result = run_one(plan, engine, round, spawner)?;
            check_same(reference.get_or_insert_with(|| result.clone()), &result)?;
            if round > 0 {
                progress(Progress::Ended(&result));
                comparison.runs.push(result);
            }
        }
        check_read_ahead(plan)?;
    }
    comparison.ratios = ratios(plan, &comparison);
    Ok(comparison)
}

/// The same for the same seed and round.
fn drawn_order(plan: &Plan, round: u32) -> Vec<Engine> {
    let mut engines = plan.engines.clone();
    Rng::new(plan.spec.seed ^ (u64::from(round) << 32)).shuffle(&mut engines);
    engines
}

fn run_one(
    plan: &Plan,
    engine: Engine,
    round: u32,
    spawner: &mut dyn Spawner,
) -> Result<RunResult, Error> {
    let spec = RunSpec { engine: engine.name().to_owned(), ..plan.spec.clone() };
    let mut result = spawner.run(&spec)?;
    result.round = round;
    result.environment = Some(plan.environment.clone());
    Ok(result)
}

/// All engines read the same bytes in the same order, or one of them is wrong.
fn check_same(reference: &RunResult, result: &RunResult) -> Result<(), Error> {
    if (&reference.checksum, reference.bytes) == (&result.checksum, result.bytes) {
        return Ok(());
    }
    Err(Error::failed(format!(
        "engine {} read {} bytes with checksum {}, but {} read {} with {}",
        result.engine,
        result.bytes,
        result.checksum,
        reference.engine,
        reference.bytes,
        reference.checksum
    )))
}

/// A disk that reads ahead differently half way through makes pairs of unequals; warm runs do not
/// read from it.
fn check_read_ahead(plan: &Plan) -> Result<(), Error> {
    let before = match plan.environment.read_ahead_kb {
        Some(before) if plan.spec.cache == CacheState::Cold.name() => before,
        _ => return Ok(()),
    };
    let now = Disk::under(&plan.spec.path).and_then(|disk| disk.read_ahead().ok());
    match now {
        Some(now) if now != before => Err(Error::failed(format!(
            "read_ahead_kb went from {before} to {now} meanwhile: another program changes it"
        ))),
        _ => Ok(()),
    }
}

/// One ratio for every engine but the baseline, over the rounds in which both ran.
fn ratios(plan: &Plan, comparison: &Comparison) -> Vec<RatioResult> {
    let others = plan.engines.iter().filter(|&&engine| engine != plan.baseline);
    others.filter_map(|&engine| ratio(plan, comparison, engine)).collect()
}

fn ratio(plan: &Plan, comparison: &Comparison, engine: Engine) -> Option<RatioResult> {
    let pairs = comparison.runs_of(plan.baseline).zip(comparison.runs_of(engine));
    let speedups: Vec<f64> = pairs
        .inspect(|(base, run)| assert_eq!(base.round, run.round, "a pair is of one round"))
        .map(|(base, run)| base.seconds / run.seconds)
        .collect();
    let median = Median::of(&speedups)?;
    let logarithms: Vec<f64> = speedups.iter().map(|ratio| ratio.ln()).collect();
    Some(RatioResult {
        schema: SCHEMA,
        wilcoxon_p: Some(wilcoxon::signed_rank(&logarithms)),
        file_extents: plan.file_extents,
        kind: Kind::Ratio,
        engine: engine.name().to_owned(),
        baseline: plan.baseline.name().to_owned(),
        speedup_median: median.value,
        speedup_ci95: [median.low, median.high],
        runs: u32::try_from(speedups.len()).unwrap_or(u32::MAX),
        ci_coverage: median.coverage,
        pattern: plan.spec.name(),
        cache: plan.spec.cache.clone(),
        file: plan.spec.path.display().to_string(),
        environment: Some(plan.environment.clone()),
    })
}
