//! One run: one engine reads one file once, in a process that does nothing else.

use std::path::PathBuf;
use std::time::Instant;

use mmap_ahead::PolicyKind;
use mmap_ahead::lab::{Usage, UsageOf, usage};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::access::{Access, Setup, Tally};
use crate::datafile::readable_len;
use crate::engine::Engine;
use crate::job::Job;
use crate::pattern::Pattern;
use crate::result::{Kind, RunResult, SCHEMA};
use crate::steps::Steps;

/// What a child process is told to do, as one JSON argument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    /// Which file.
    pub path: PathBuf,
    /// Through which engine, by name.
    pub engine: String,
    /// In which order, by name.
    pub pattern: String,
    /// The name of the state that the cache was brought into; only passed on.
    pub cache: String,
    /// Bytes a step; none for the pattern's natural length.
    pub touch: Option<u64>,
    /// The seed of the pattern.
    pub seed: u64,
    /// The policy of our own mappings, by name; none for the default.
    pub policy: Option<String>,
    /// The memory limit of `paged` in bytes; none for that of [`Setup`].
    pub memory_limit: Option<u64>,
    /// Only so many steps; none for all of the pattern's.
    pub steps: Option<u64>,
    /// How many threads share the steps; none for one.
    pub threads: Option<usize>,
    /// A job in place of the pattern, by name.
    #[serde(default)]
    pub job: Option<String>,
}

impl RunSpec {
    /// What is done, as results name it: the pattern, or `job:NAME`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.job {
            Some(job) => format!("job:{job}"),
            None => self.pattern.clone(),
        }
    }

    /// A plain scan of `path` through `engine`.
    #[must_use]
    pub fn scan(path: PathBuf, engine: Engine) -> RunSpec {
        RunSpec {
            path,
            engine: engine.name().to_owned(),
            pattern: Pattern::Seq.to_string(),
            cache: crate::cache::CacheState::AsIs.to_string(),
            touch: None,
            seed: 0,
            policy: None,
            memory_limit: None,
            steps: None,
            threads: None,
            job: None,
        }
    }
}

/// A policy by name.
///
/// # Errors
/// [`Error::Usage`] when there is none of that name.
pub fn policy(name: &str) -> Result<PolicyKind, Error> {
    name.parse().map_err(|error| Error::Usage(format!("{error}")))
}

/// Makes the run in this process. To be called once in a process: peak memory is cumulative.
///
/// # Errors
/// Wrong names, what is not built, and whatever the engine says.
pub fn run(spec: &RunSpec) -> Result<RunResult, Error> {
    let engine: Engine = spec.engine.parse()?;
    let policy = spec.policy.as_deref().map(policy).transpose()?.unwrap_or_default();
    let mut setup = Setup { policy, ..Setup::default() };
    setup.memory_limit = spec.memory_limit.unwrap_or(setup.memory_limit);
    let file_bytes = readable_len(&spec.path)?;
    let steps = Steps::new(&spec.pattern.parse()?, file_bytes, spec.touch, spec.seed)?;
    let steps = steps.first(spec.steps.unwrap_or(u64::MAX));
    let touch = steps.touch();
    let threads = spec.threads.unwrap_or(1);
    let job = spec.job.as_deref().map(str::parse::<Job>).transpose()?;

    let at = |error| Error::at(&spec.path)(error);
    let read_before = device_bytes_read();
    let before = Faults::now();
    let start = Instant::now();
    let mut access = Access::open(engine, &spec.path, setup).map_err(at)?;
    let tally = match job {
        Some(job) => access.work(job),
        None => access.sum_by(&steps, threads),
    };
    let tally = tally.map_err(at)?;
    let seconds = start.elapsed().as_secs_f64();
    let used = Faults::now().since(&before);
    let used_read_bytes = device_bytes_read().saturating_sub(read_before);

    let stats = access.stats();
    let end = Instant::now();
    drop(access);
    Ok(RunResult {
        unmap_seconds: end.elapsed().as_secs_f64(),
        touch,
        policy: policy.name().to_owned(),
        file_bytes,
        threads,
        read_bytes: used_read_bytes,
        stats: stats.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        ..result(spec, &tally, seconds, &used)
    })
}

/// Bytes that this process has had read from devices; 0 where the kernel does not count them.
///
/// Source: proc_pid_io(5), read_bytes.
fn device_bytes_read() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let count = io.lines().find_map(|line| line.strip_prefix("read_bytes: "));
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// What a run says of itself; the rest is filled in by whoever knows.
fn result(spec: &RunSpec, tally: &Tally, seconds: f64, used: &Faults) -> RunResult {
    RunResult {
        kind: Kind::Run,
        schema: SCHEMA,
        engine: spec.engine.clone(),
        pattern: spec.name(),
        cache: spec.cache.clone(),
        bytes: tally.bytes,
        seconds,
        gb_per_s: tally.bytes as f64 / seconds / 1e9,
        minor_faults: used.process.minor_faults,
        major_faults: used.process.major_faults,
        cpu_user_s: used.process.user.as_secs_f64(),
        cpu_sys_s: used.process.system.as_secs_f64(),
        peak_rss_bytes: used.process.peak_rss_bytes,
        checksum: tally.checksum.hex(),
        reader_minor_faults: used.reader.minor_faults,
        reader_major_faults: used.reader.major_faults,
        unmap_seconds: 0.0,
        steps: tally.steps,
        touch: 0,
        threads: 1,
        cached_before: None,
        cached_after: None,
        read_bytes: 0,
        seed: spec.seed,
        policy: String::new(),
        round: 0,
        file: spec.path.display().to_string(),
        file_bytes: 0,
        stats: Default::default(),
        environment: None,
    }
}

/// The counters of the process and of its reading thread, side by side.
struct Faults {
    process: Usage,
    reader: Usage,
}

impl Faults {
    fn now() -> Faults {
        Faults { process: usage(UsageOf::Process), reader: usage(UsageOf::Thread) }
    }

    fn since(&self, before: &Faults) -> Faults {
        Faults {
            process: difference(&self.process, &before.process),
            reader: difference(&self.reader, &before.reader),
        }
    }
}

/// All that counts up is subtracted; the peak stays what it is.
fn difference(after: &Usage, before: &Usage) -> Usage {
    let Usage { user, system, minor_faults, major_faults, peak_rss_bytes } = *after;
    Usage {
        user: user.saturating_sub(before.user),
        system: system.saturating_sub(before.system),
        minor_faults: minor_faults.saturating_sub(before.minor_faults),
        major_faults: major_faults.saturating_sub(before.major_faults),
        peak_rss_bytes,
    }
}
