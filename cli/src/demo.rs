//! `demo`: the whole story on a real file.

use std::fs;
use std::mem;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mmap_ahead::lab::{self, Peer};
use mmap_ahead_bench::access::{Access, Setup};
use mmap_ahead_bench::cache::CacheState;
use mmap_ahead_bench::compare::{self as harness, Comparison, Plan};
use mmap_ahead_bench::datafile::{Afterwards, DataFile};
use mmap_ahead_bench::device::{self, Disk};
use mmap_ahead_bench::engine::{BASELINE, Engine};
use mmap_ahead_bench::environment::Environment;
use mmap_ahead_bench::free_memory::FreeMemory;
use mmap_ahead_bench::read_ahead::ReadAhead;
use mmap_ahead_bench::run::RunSpec;
use mmap_ahead_bench::spawn::Children;
use mmap_ahead_bench::watch::Watch;
use mmap_ahead_bench::{Error, size};
use mmap_ahead_plots::report::Told;

use crate::output::{self, Bar};
use crate::report::{self, Lines};
use crate::{again, place, simulated, story, watched};

/// The engines of the story: what people use, what they would use instead, and the plain way.
pub(crate) const ENGINES: [Engine; 3] = [Engine::Memmap2(Peer::Plain), Engine::Mmap, Engine::READ];

/// Whose single touches are watched.
const TOUCHED: [Engine; 2] = [Engine::Memmap2(Peer::Plain), Engine::Mmap];

/// Whose memory is watched.
const REMEMBERED: [Engine; 3] = [Engine::Memmap2(Peer::Plain), Engine::READ, Engine::Paged];

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
/// simulates the same, and writes results, figures, and a page that tells of them. Takes under three minutes; everything is put back at the end.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Length of the file that is made
    #[arg(long, default_value = "1GiB", value_parser = size::parse)]
    size: u64,
    /// Where it is made [default: /var/tmp, or here when that is in memory]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Where the page (index.html), results.jsonl and the figures go
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

/// All that was seen.
#[derive(Default)]
struct Story {
    scenarios: Vec<Scenario>,
    /// Of watched runs.
    watched: Lines,
    simulated: Lines,
    left_out: Vec<String>,
}

pub(crate) fn demo(arguments: &Arguments) -> Result<(), Error> {
    let dir = arguments.dir.clone().unwrap_or_else(place::default_dir);
    let in_memory = place::is_in_memory(&dir)?;
    // Without root the environment's line does not say that it is kept.
    let _free_memory = FreeMemory::keep().ok().flatten();
    let environment = Environment::of(&dir);
    fs::create_dir_all(&arguments.out).map_err(Error::at(&arguments.out))?;
    output::line(&format!("seed {}\n{}", arguments.seed, environment.line()))?;
    let mut story = Story::default();
    if !in_memory {
        story.on_disk(arguments, &dir)?;
    }
    story.in_tmpfs(arguments)?;
    if story.scenarios.is_empty() {
        return Err(Error::failed(format!("{}: is in memory; choose a --dir", dir.display())));
    }
    output::line(&story::tell(&story.scenarios))?;
    simulated::add(&mut story.simulated, arguments.size)?;
    let page = story.write(&environment, &arguments.out)?;
    output::line(&format!(
        "\nWritten: {}\nOpen it in a browser; the results and every figure are beside it.",
        page.display()
    ))
}

impl Story {
    /// Cold with the disk's own read-ahead, cold with the usual one where that may be set, and warm.
    fn on_disk(&mut self, arguments: &Arguments, dir: &Path) -> Result<(), Error> {
        let file = make_file(arguments, dir)?;
        let name = device::file_system(file.path())?;
        let own = Disk::under(file.path()).map(|disk| disk.read_ahead()).transpose()?;
        let cold = |kib: Option<u64>| match kib {
            Some(kib) => format!("cold {name}, read-ahead {kib} KiB"),
            None => format!("cold {name}"),
        };
        self.scenarios.push(scenario(arguments, &file, cold(own), CacheState::Cold)?);
        let usual = own.is_some_and(|own| own != USUAL_READ_AHEAD_KB);
        match usual.then(|| ReadAhead::set(file.path(), USUAL_READ_AHEAD_KB)) {
            Some(Ok(_put_back)) => {
                let label = cold(Some(USUAL_READ_AHEAD_KB));
                self.scenarios.push(scenario(arguments, &file, label, CacheState::Cold)?);
                self.watch(arguments, &file)?;
            }
            Some(Err(error)) => {
                self.leave_out(format!("cold at 128 KiB: {error}"))?;
                self.watch(arguments, &file)?;
            }
            None => self.watch(arguments, &file)?,
        }
        CacheState::Cold.prepare(file.path())?;
        self.scenarios.push(scenario(arguments, &file, format!("warm {name}"), CacheState::Warm)?);
        Ok(())
    }

    /// Warm on tmpfs, where the kernel maps the fewest pages a fault; not where it cannot be had.
    fn in_tmpfs(&mut self, arguments: &Arguments) -> Result<(), Error> {
        let dir = match place::memory_dir(arguments.size) {
            Ok(dir) => dir,
            Err(why) => return self.leave_out(format!("warm tmpfs: {why}")),
        };
        let file = make_file(arguments, &dir)?;
        let label = "warm tmpfs".to_owned();
        self.scenarios.push(scenario(arguments, &file, label, CacheState::Warm)?);
        Ok(())
    }

    /// The file once more, cold, with somebody looking on.
    fn watch(&mut self, arguments: &Arguments, file: &DataFile) -> Result<(), Error> {
        let first = RunSpec::scan(file.path().to_owned(), ENGINES[0]);
        let cache = CacheState::Cold;
        let run = RunSpec { cache: cache.to_string(), seed: arguments.seed, ..first };
        let children = Children::of_this_program(cache)?;
        let environment = Environment::of(file.path());
        for (engines, watch) in [(&TOUCHED[..], Watch::Touches), (&REMEMBERED[..], Watch::Memory)] {
            let lines = &mut self.watched;
            let failed = watched::add(lines, &children, &run, engines, watch, &environment)?;
            failed.into_iter().try_for_each(|words| self.leave_out(words))?;
        }
        Ok(())
    }

    fn leave_out(&mut self, words: String) -> Result<(), Error> {
        output::line(&format!("Left out, {words}."))?;
        self.left_out.push(words);
        Ok(())
    }

    fn write(&mut self, environment: &Environment, out: &Path) -> Result<PathBuf, Error> {
        let mut lines = Lines::default();
        for scenario in &self.scenarios {
            lines.add_all(&scenario.comparison.runs)?;
            lines.add_all(&scenario.comparison.ratios)?;
        }
        lines.append(mem::take(&mut self.watched));
        lines.append(mem::take(&mut self.simulated));
        let left_out = mem::take(&mut self.left_out);
        let commands = again::commands(environment, out);
        report::write(&lines, Told { commands, left_out, ..Told::default() }, out)
    }
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
    let mut engines = ENGINES.to_vec();
    if cache == CacheState::Cold && limit_is_known(file.path()) {
        engines.push(Engine::Direct);
    }
    let plan = Plan {
        spec: RunSpec { cache: cache.to_string(), seed: arguments.seed, ..first },
        engines,
        baseline: BASELINE,
        rounds,
        time_limit: Some(SCENARIO_TIME),
        environment: Environment::of(file.path()),
        file_extents: device::extents(file.path()),
    };
    let bar = Bar::new(u64::from(rounds) * plan.engines.len() as u64, &label);
    let mut children = Children::of_this_program(cache)?;
    let comparison = harness::compare(&plan, &mut children, &mut |step| bar.follow(step))?;
    Ok(Scenario { label, comparison })
}

/// Whether `direct` can read `path`: io_uring is often forbidden in containers.
pub(crate) fn limit_is_known(path: &Path) -> bool {
    let opens = || Access::open(Engine::Direct, path, Setup::default()).is_ok();
    lab::try_io_uring().is_ok() && opens()
}
