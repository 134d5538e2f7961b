//! `compare`: engines in turn over one file, medians, and paired ratios.

use std::path::{Path, PathBuf};

use mmap_ahead_bench::busy::Busy;
use mmap_ahead_bench::cache::CacheState;
use mmap_ahead_bench::compare::{self as harness, Comparison, Plan, Progress};
use mmap_ahead_bench::datafile::{Afterwards, DataFile};
use mmap_ahead_bench::engine::{BASELINE, Engine};
use mmap_ahead_bench::environment::Environment;
use mmap_ahead_bench::free_memory::FreeMemory;
use mmap_ahead_bench::job::Job;
use mmap_ahead_bench::pattern::Pattern;
use mmap_ahead_bench::read_ahead::ReadAhead;
use mmap_ahead_bench::run::{self, RunSpec};
use mmap_ahead_bench::spawn::Children;
use mmap_ahead_bench::watch::Watch;
use mmap_ahead_bench::{Error, device, size};
use mmap_ahead_plots::report::Told;

use crate::demo::limit_is_known;
use crate::matrix::{Wanted, matrix};
use crate::output::{self, Bar};
use crate::report::{self, Lines};
use crate::{again, place, watched};

/// Compare engines over one file: A B C A B C, each run in a fresh process
///
/// One round more than asked for is made first and thrown away. All engines must see the same
/// checksum. Every ratio is that of a pair in the same round: above 1 is faster than memmap2.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The file; without it one is made in --dir, and removed at the end
    file: Option<PathBuf>,
    /// seq, reverse, stride:BYTES, streams:K, random, zipf:THETA, blocks:BYTES,
    /// blocks:BYTES/STRIDE, trace:FILE
    #[arg(long, default_value_t = Pattern::Seq)]
    pattern: Pattern,
    /// cold (dropped before every run, and verified) or warm
    #[arg(long, default_value_t = CacheState::Warm)]
    cache: CacheState,
    /// Which engines, in which order
    #[arg(long, value_delimiter = ',', default_value = "memmap2,mmap,mmap+guard,reader,read")]
    engines: Vec<Engine>,
    /// Which engine the others are held against
    #[arg(long, default_value_t = BASELINE)]
    baseline: Engine,
    /// How many rounds; bars near 1.0 need 21
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Length of the file that is made
    #[arg(long, default_value = "1GiB", value_parser = size::parse, conflicts_with = "file")]
    size: u64,
    /// Where the file is made [default: /var/tmp, or here when that is in memory]
    #[arg(long, conflicts_with = "file")]
    dir: Option<PathBuf>,
    /// Leave the file that was made, for the next comparison
    #[arg(long, conflicts_with = "file")]
    keep: bool,
    /// Bytes that each step reads [default: the pattern's natural length]
    #[arg(long, value_parser = size::parse)]
    touch: Option<u64>,
    /// Decides the steps of random patterns, and the content of the file that is made
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Policy of mmap and mmap+guard: off, fixed, ramp, map-ahead
    #[arg(long)]
    policy: Option<String>,
    /// Only the first so many steps of the pattern
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// How many threads share the steps
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// Memory limit of `paged` [default: 32MiB]
    #[arg(long, value_parser = size::parse)]
    memory_limit: Option<u64>,
    /// Set the disk's read_ahead_kb first, and put it back on every exit (root)
    #[arg(long)]
    read_ahead_kb: Option<u64>,
    /// Have the host of this virtual machine take no free memory back meanwhile, where the kernel can
    /// ask for that, and put it back on every exit (root): without it, which cold run pays is chance
    #[arg(long)]
    keep_free_memory: bool,
    /// Keep this many processors busy with background readers meanwhile
    #[arg(long, default_value_t = 0)]
    busy: u32,
    /// A real program's job in place of a pattern: lines, blake3, csv, arrow, tensors (a build with
    /// --features jobs); engines that lend the whole file as one slice
    #[arg(long, conflicts_with_all = ["pattern", "touch", "steps", "threads"])]
    job: Option<Job>,
    /// All patterns, cold and warm, on this disk (at read_ahead_kb 128 and its own), tmpfs, xfs and
    /// btrfs (root): prints the page that benches/RESULTS.md is. Takes --size, --runs, --dir, --seed
    #[arg(long, conflicts_with_all = ["file", "report", "job"])]
    matrix: bool,
    /// Write results, figures and a page that tells of them there; cold, `direct` joins the engines
    /// as the disk's limit, and each engine runs twice more while it is looked at
    #[arg(long)]
    report: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(crate) fn compare(arguments: &Arguments) -> Result<(), Error> {
    check(arguments)?;
    if arguments.matrix {
        return matrix(&Wanted {
            dir: arguments.dir.clone().unwrap_or_else(place::default_dir),
            size: arguments.size,
            seed: arguments.seed,
            rounds: arguments.runs,
            json: arguments.json,
        });
    }
    let file = data_file(arguments)?;
    let read_ahead = arguments.read_ahead_kb.map(|kib| ReadAhead::set(file.path(), kib));
    let _read_ahead = read_ahead.transpose()?;
    let _free_memory = if arguments.keep_free_memory { FreeMemory::keep()? } else { None };
    arguments.cache.prepare(file.path())?;
    let busy = Busy::start(arguments.busy)?;
    let plan = plan(arguments, file.path());
    if !arguments.json {
        output::line(&header(&plan, file.size()))?;
    }
    let mut children = Children::of_this_program(arguments.cache)?;
    let comparison = run_all(arguments, &plan, &mut children)?;
    drop(busy);
    if arguments.json {
        comparison.ratios.iter().try_for_each(output::json_line)?;
    } else {
        output::line(&table(&plan, &comparison))?;
    }
    match &arguments.report {
        Some(dir) => write_report(&plan, &comparison, &children, dir),
        None => Ok(()),
    }
}

/// Watches every engine once more, and writes the report. Its path goes to standard error, where it
/// disturbs no JSON.
fn write_report(
    plan: &Plan,
    comparison: &Comparison,
    children: &Children,
    dir: &Path,
) -> Result<(), Error> {
    let mut lines = Lines::default();
    lines.add_all(&comparison.runs)?;
    lines.add_all(&comparison.ratios)?;
    // A job is no row of steps that could be watched.
    let watchable = |engine: &Engine| plan.spec.job.is_none() && engine.steps_can_be_watched();
    let engines: Vec<_> = plan.engines.iter().copied().filter(watchable).collect();
    let mut left_out = Vec::new();
    for watch in [Watch::Touches, Watch::Memory] {
        let (run, machine) = (&plan.spec, &plan.environment);
        left_out.extend(watched::add(&mut lines, children, run, &engines, watch, machine)?);
    }
    let commands = again::commands(&plan.environment, dir);
    let told = Told { commands, left_out, ..Told::default() };
    let page = report::write(&lines, told, dir)?;
    eprintln!("Written: {}", page.display());
    Ok(())
}

/// Makes all runs; with --json each is printed as soon as it ends.
fn run_all(
    arguments: &Arguments,
    plan: &Plan,
    children: &mut Children,
) -> Result<Comparison, Error> {
    let bar = Bar::new(u64::from(plan.rounds) * plan.engines.len() as u64, "compare");
    let mut printed = Ok(());
    let comparison = harness::compare(plan, children, &mut |progress| {
        bar.follow(progress);
        if let (Progress::Ended(result), true, true) = (progress, arguments.json, printed.is_ok()) {
            printed = output::json_line(result);
        }
    })?;
    printed.map(|()| comparison)
}

/// Everything that can be refused before a file is made.
fn check(arguments: &Arguments) -> Result<(), Error> {
    for (index, engine) in arguments.engines.iter().enumerate() {
        if arguments.engines[..index].contains(engine) {
            return Err(Error::Usage(format!("--engines names {engine} twice")));
        }
    }
    arguments.policy.as_deref().map(run::policy).transpose().map(drop)
}

/// The file given, or one that is made. A made one is dropped from the cache once, so that warm
/// means "brought in by read(2)", not "left by write(2)", which makes other folios.
fn data_file(arguments: &Arguments) -> Result<DataFile, Error> {
    if let Some(path) = &arguments.file {
        return DataFile::given(path);
    }
    let dir = arguments.dir.clone().unwrap_or_else(place::default_dir);
    let in_memory = device::is_memory(&device::file_system(&dir)?);
    let afterwards = if arguments.keep { Afterwards::Keep } else { Afterwards::Remove };
    let file = match arguments.job {
        Some(job) => job.file(&dir, arguments.size, arguments.seed, afterwards)?,
        None => DataFile::make(&dir, arguments.size, arguments.seed, afterwards)?,
    };
    if !in_memory {
        CacheState::Cold.prepare(file.path())?;
    }
    Ok(file)
}

fn plan(arguments: &Arguments, path: &Path) -> Plan {
    let mut engines = arguments.engines.clone();
    let cold_report = arguments.report.is_some() && arguments.cache == CacheState::Cold;
    if cold_report
        && arguments.job.is_none()
        && !engines.contains(&Engine::Direct)
        && limit_is_known(path)
    {
        engines.push(Engine::Direct);
    }
    Plan {
        spec: RunSpec {
            path: path.to_owned(),
            engine: String::new(),
            pattern: arguments.pattern.to_string(),
            cache: arguments.cache.to_string(),
            touch: arguments.touch,
            seed: arguments.seed,
            policy: arguments.policy.clone(),
            memory_limit: arguments.memory_limit,
            steps: arguments.steps,
            threads: Some(usize::from(arguments.threads)),
            job: arguments.job.map(|job| job.to_string()),
            set: None,
        },
        engines,
        baseline: arguments.baseline,
        rounds: arguments.runs,
        time_limit: None,
        environment: Environment { busy: arguments.busy, ..Environment::of(path) },
        file_extents: device::extents(path),
    }
}

fn header(plan: &Plan, file_bytes: u64) -> String {
    let spec = &plan.spec;
    let busy = match plan.environment.busy {
        0 => String::new(),
        busy => format!(", {busy} busy readers beside"),
    };
    let extents = match plan.file_extents {
        Some(count) => format!(" in {count} extents"),
        None => String::new(),
    };
    format!(
        "seed {}\n{}\n{} ({}{extents}), {}, {}, {} rounds{busy}",
        spec.seed,
        plan.environment.line(),
        spec.path.display(),
        size::rounded(file_bytes),
        spec.name(),
        spec.cache,
        plan.rounds
    )
}

/// An interval this wide around 1 decides nothing.
const WIDE: f64 = 0.1;

const HEAD: [&str; 9] = [
    "engine",
    "GB/s",
    "seconds",
    "speed-up",
    "95% interval",
    "minor",
    "major",
    "CPU s",
    "peak RSS",
];

/// Medians of every engine, one a row.
fn table(plan: &Plan, comparison: &Comparison) -> String {
    let rows: Vec<_> = plan.engines.iter().map(|&engine| row(engine, comparison)).collect();
    let mut text = output::table(&HEAD, &rows);
    text += &format!("\nSpeed-ups are over {}.", plan.baseline);
    let baseline = plan.baseline;
    if !plan.engines.contains(&baseline) {
        text += &format!("\nNo ratios: {baseline} is not among --engines.");
    } else if let Some(ratio) = comparison.ratios.iter().find(|ratio| ratio.ci_coverage < 0.95) {
        let percent = ratio.ci_coverage * 100.0;
        text += &format!("\nWith so few rounds the interval covers {percent:.0}%, not 95%.");
    }
    for ratio in &comparison.ratios {
        let [low, high] = ratio.speedup_ci95;
        if low < 1.0 && high > 1.0 && high - low > WIDE {
            let engine = &ratio.engine;
            text += &format!("\n{engine}: too noisy to decide; more --runs, or an idle machine.");
        }
    }
    text
}

fn row(engine: Engine, comparison: &Comparison) -> Vec<String> {
    let median = |of: fn(&mmap_ahead_bench::result::RunResult) -> f64| {
        comparison.median(engine, of).map_or(f64::NAN, |median| median.value)
    };
    let ratio = comparison.ratio_of(engine);
    let interval = |[low, high]: [f64; 2]| format!("{low:.3} to {high:.3}");
    vec![
        engine.to_string(),
        format!("{:.2}", median(|run| run.gb_per_s)),
        format!("{:.4}", median(|run| run.seconds)),
        ratio.map_or_else(|| "-".into(), |ratio| format!("{:.3}", ratio.speedup_median)),
        ratio.map_or_else(|| "-".into(), |ratio| interval(ratio.speedup_ci95)),
        format!("{:.0}", median(|run| run.minor_faults as f64)),
        format!("{:.0}", median(|run| run.major_faults as f64)),
        format!("{:.3}", median(|run| run.cpu_user_s + run.cpu_sys_s)),
        size::rounded(median(|run| run.peak_rss_bytes as f64) as u64),
    ]
}
