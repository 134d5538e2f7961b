//! `demo`: the whole story on a real file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mmap_ahead::lab::Peer;
use mmap_ahead_bench::cache::CacheState;
use mmap_ahead_bench::compare::{self as harness, Comparison, Plan};
use mmap_ahead_bench::datafile::{Afterwards, DataFile};
use mmap_ahead_bench::device::{self, Disk};
use mmap_ahead_bench::engine::{BASELINE, Engine};
use mmap_ahead_bench::environment::Environment;
use mmap_ahead_bench::read_ahead::ReadAhead;
use mmap_ahead_bench::run::RunSpec;
use mmap_ahead_bench::spawn::Children;
use mmap_ahead_bench::{Error, size};

use crate::output::{self, Bar};
use crate::{figure, place, story};

/// The engines of the story: what people use, what they would use instead, and the plain way.
pub(crate) const ENGINES: [Engine; 3] = [Engine::Memmap2(Peer::Plain), Engine::Mmap, Engine::READ];

/// Rounds of a warm scenario: what bars near 1.0 need (TRAPS 29).
const WARM_ROUNDS: u32 = 21;

/// Rounds of a cold one: 6 is the least that gives a 95% interval, and one may be unlucky.
const COLD_ROUNDS: u32 = 7;

/// No scenario begins another round after this long, so that slow disks end in time too.
const SCENARIO_TIME: Duration = Duration::from_secs(30);

/// The kernel's usual `read_ahead_kb`, at which disks are compared beside their own value.
const USUAL_READ_AHEAD_KB: u64 = 128;

/// Show on a real file what reading ahead gains, and what it does not
///
/// Makes a file, reads it cold and warm through memmap2, mmap and read(2), prints one table, and
/// writes results and figures. Takes under three minutes; everything is put back at the end.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Length of the file that is made
    #[arg(long, default_value = "1GiB", value_parser = size::parse)]
    size: u64,
    /// Where it is made [default: /var/tmp, or here when that is in memory]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Where results.jsonl, demo.png and demo.svg go
    #[arg(long, default_value = "report")]
    out: PathBuf,
    /// Leave the files that were made
    #[arg(long)]
    keep: bool,
    /// Decides the content of the file
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// One state of the world in which the engines are compared.
pub(crate) struct Scenario {
    /// As the table and the figure call it.
    pub(crate) label: String,
    /// What was measured.
    pub(crate) comparison: Comparison,
}

pub(crate) fn demo(arguments: &Arguments) -> Result<(), Error> {
    let dir = arguments.dir.clone().unwrap_or_else(place::default_dir);
    let in_memory = place::is_in_memory(&dir)?;
    let environment = Environment::of(&dir);
    fs::create_dir_all(&arguments.out).map_err(Error::at(&arguments.out))?;
    output::line(&format!("seed {}\n{}", arguments.seed, environment.line()))?;
    let mut scenarios = Vec::new();
    if !in_memory {
        scenarios.extend(on_disk(arguments, &dir)?);
    }
    scenarios.extend(in_tmpfs(arguments)?);
    if scenarios.is_empty() {
        return Err(Error::failed(format!("{}: is in memory; choose a --dir", dir.display())));
    }
    output::line(&story::tell(&scenarios))?;
    let results = arguments.out.join("results.jsonl");
    fs::write(&results, story::json_lines(&scenarios)?).map_err(Error::at(&results))?;
    figure::draw(&scenarios, &caption(&environment), &arguments.out)?;
    let out = arguments.out.display();
    output::line(&format!("\nWritten: {out}/demo.png, {out}/demo.svg, {out}/results.jsonl"))
}

/// Cold with the disk's own read-ahead, cold with the usual one where that may be set, and warm.
fn on_disk(arguments: &Arguments, dir: &Path) -> Result<Vec<Scenario>, Error> {
    let file = make_file(arguments, dir)?;
    let name = device::file_system(file.path())?;
    let own = Disk::under(file.path()).map(|disk| disk.read_ahead()).transpose()?;
    let cold = |kib: Option<u64>| match kib {
        Some(kib) => format!("cold {name}, read-ahead {kib} KiB"),
        None => format!("cold {name}"),
    };
    let mut scenarios = vec![scenario(arguments, &file, cold(own), CacheState::Cold)?];
    if own.is_some_and(|own| own != USUAL_READ_AHEAD_KB) {
        match ReadAhead::set(file.path(), USUAL_READ_AHEAD_KB) {
            Ok(_put_back) => {
                let label = cold(Some(USUAL_READ_AHEAD_KB));
                scenarios.push(scenario(arguments, &file, label, CacheState::Cold)?);
            }
            Err(error) => output::line(&format!("Left out, cold at 128 KiB: {error}"))?,
        }
    }
    CacheState::Cold.prepare(file.path())?;
    scenarios.push(scenario(arguments, &file, format!("warm {name}"), CacheState::Warm)?);
    Ok(scenarios)
}

/// Warm on tmpfs, where the kernel maps the fewest pages a fault; none where it cannot be had.
fn in_tmpfs(arguments: &Arguments) -> Result<Option<Scenario>, Error> {
    let dir = match place::memory_dir(arguments.size) {
        Ok(dir) => dir,
        Err(why) => {
            output::line(&format!("Left out, warm tmpfs: {why}."))?;
            return Ok(None);
        }
    };
    let file = make_file(arguments, &dir)?;
    scenario(arguments, &file, "warm tmpfs".to_owned(), CacheState::Warm).map(Some)
}

fn make_file(arguments: &Arguments, dir: &Path) -> Result<DataFile, Error> {
    let afterwards = if arguments.keep { Afterwards::Keep } else { Afterwards::Remove };
    DataFile::make(dir, arguments.size, arguments.seed, afterwards)
}

fn scenario(
    arguments: &Arguments,
    file: &DataFile,
    label: String,
    cache: CacheState,
) -> Result<Scenario, Error> {
    let rounds = if cache == CacheState::Cold { COLD_ROUNDS } else { WARM_ROUNDS };
    let first = RunSpec::scan(file.path().to_owned(), ENGINES[0]);
    let plan = Plan {
        spec: RunSpec { cache: cache.to_string(), seed: arguments.seed, ..first },
        engines: ENGINES.to_vec(),
        baseline: BASELINE,
        rounds,
        time_limit: Some(SCENARIO_TIME),
        environment: Environment::of(file.path()),
        file_extents: device::extents(file.path()),
    };
    let bar = Bar::new(u64::from(rounds) * ENGINES.len() as u64, &label);
    let mut children = Children::of_this_program(cache)?;
    let comparison = harness::compare(&plan, &mut children, &mut |step| bar.follow(step))?;
    Ok(Scenario { label, comparison })
}

/// Where the figures come from, for the line below them.
fn caption(environment: &Environment) -> String {
    let commit = environment.commit.as_deref().unwrap_or("unknown");
    format!("{}; commit {commit}; `mmap-ahead demo`", environment.line())
}
