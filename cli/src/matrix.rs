//! `compare --matrix`: every pattern on every file system that can be had, as one Markdown page.

use std::path::{Path, PathBuf};

use mmap_ahead_bench::access::{Access, Setup};
use mmap_ahead_bench::cache::CacheState;
use mmap_ahead_bench::compare::{self as harness, Comparison, Plan};
use mmap_ahead_bench::datafile::{Afterwards, DataFile};
use mmap_ahead_bench::engine::{BASELINE, Engine};
use mmap_ahead_bench::environment::Environment;
use mmap_ahead_bench::free_memory::FreeMemory;
use mmap_ahead_bench::loop_fs::LoopFs;
use mmap_ahead_bench::matrix::{self, About, Cell, ENGINES, SHAPES, Shape};
use mmap_ahead_bench::read_ahead::ReadAhead;
use mmap_ahead_bench::run::RunSpec;
use mmap_ahead_bench::spawn::Children;
use mmap_ahead_bench::{Error, device};

use crate::demo::limit_is_known;
use crate::output::{self, Bar};
use crate::place;

/// What the matrix is told.
pub(crate) struct Wanted {
    pub(crate) dir: PathBuf,
    pub(crate) size: u64,
    pub(crate) seed: u64,
    pub(crate) rounds: u32,
    pub(crate) json: bool,
}

/// A file system of the matrix: where a file on it lies, or why there is none.
struct Place {
    name: String,
    read_ahead_kb: Option<u64>,
    dir: Result<PathBuf, String>,
    // Unmounted at the end of its rows.
    _mounted: Option<LoopFs>,
}

/// Prints the page, or with `json` every run and ratio.
pub(crate) fn matrix(wanted: &Wanted) -> Result<(), Error> {
    // Without root the page's first line does not say that it is kept.
    let _free_memory = FreeMemory::keep().ok().flatten();
    let mut cells = Vec::new();
    let makers: [fn(&Wanted) -> Place; 5] = [
        |wanted| on_disk(wanted, Some(128)),
        |wanted| on_disk(wanted, None),
        in_memory,
        |wanted| looped(wanted, "xfs"),
        |wanted| looped(wanted, "btrfs"),
    ];
    for make in makers {
        rows(wanted, &make(wanted), &mut cells);
    }
    if wanted.json {
        return Ok(());
    }
    let about = About {
        environment: Environment::of(&wanted.dir),
        command: command(wanted),
        file_bytes: wanted.size,
    };
    output::line(matrix::markdown(&cells, &about).trim_end())
}

fn command(wanted: &Wanted) -> String {
    let mut command = format!(
        "mmap-ahead compare --matrix --size {} --runs {}",
        mmap_ahead_bench::size::exact(wanted.size),
        wanted.rounds
    );
    if wanted.dir != place::default_dir() {
        command += &format!(" --dir {}", wanted.dir.display());
    }
    if wanted.seed != 1 {
        command += &format!(" --seed {}", wanted.seed);
    }
    command + " > benches/RESULTS.md"
}

fn on_disk(wanted: &Wanted, read_ahead_kb: Option<u64>) -> Place {
    let kind = device::file_system(&wanted.dir).unwrap_or_else(|error| error.to_string());
    let name = match read_ahead_kb {
        Some(kib) => format!("{kind}, read_ahead_kb {kib}"),
        None => format!("{kind}, the disk's own read_ahead_kb"),
    };
    Place { name, read_ahead_kb, dir: Ok(wanted.dir.clone()), _mounted: None }
}

fn in_memory(wanted: &Wanted) -> Place {
    let dir = place::memory_dir(wanted.size);
    Place { name: "tmpfs".to_owned(), read_ahead_kb: None, dir, _mounted: None }
}

fn looped(wanted: &Wanted, kind: &str) -> Place {
    let name = format!("{kind} on a loop device");
    match LoopFs::make(kind, wanted.size, &wanted.dir) {
        Ok(mounted) => {
            let dir = Ok(mounted.path().to_owned());
            Place { name, read_ahead_kb: Some(128), dir, _mounted: Some(mounted) }
        }
        Err(error) => {
            Place { name, read_ahead_kb: None, dir: Err(error.to_string()), _mounted: None }
        }
    }
}

/// All cells of one place. What cannot be had there is said in a cell, and the other places are measured.
fn rows(wanted: &Wanted, place: &Place, cells: &mut Vec<Cell>) {
    let mut add = |shape: &Shape, cache, outcome: Result<Comparison, String>| {
        let pattern = shape.pattern().to_string();
        cells.push(Cell { place: place.name.clone(), pattern, cache, outcome });
    };
    let ready = match prepared(wanted, place) {
        Ok(ready) => ready,
        Err(why) => return add(&SHAPES[0], CacheState::Cold, Err(why)),
    };
    let engines: Vec<_> = ENGINES.into_iter().filter(|&at| opens(at, &ready)).collect();
    let caches = [CacheState::Cold, CacheState::Warm];
    for cache in caches.into_iter().skip(usize::from(ready.in_memory)) {
        for shape in &SHAPES {
            let outcome = cell(wanted, ready.file.path(), shape, cache, &engines);
            add(shape, cache, outcome.map_err(|error| error.to_string()));
        }
    }
}

/// A place with its file in it; put back and removed when this is dropped, in this order.
struct Ready {
    // Without root 128 is refused: then the rows are not measured, rather than at another value.
    _read_ahead: Option<ReadAhead>,
    file: DataFile,
    in_memory: bool,
}

/// Makes the file, and sets the disk's read-ahead where the place has a value of its own.
fn prepared(wanted: &Wanted, place: &Place) -> Result<Ready, String> {
    let dir = place.dir.as_ref().map_err(Clone::clone)?;
    let words = |error: Error| error.to_string();
    let file = DataFile::make(dir, wanted.size, wanted.seed, Afterwards::Remove).map_err(words)?;
    let set = place.read_ahead_kb.map(|kib| ReadAhead::set(file.path(), kib));
    let _read_ahead = set.transpose().map_err(words)?;
    let in_memory = device::is_memory(&device::file_system(dir).map_err(words)?);
    Ok(Ready { _read_ahead, file, in_memory })
}

/// Whether an engine can read there: `paged` and `direct` need what containers and users often lack. In
/// memory there is no disk that has a limit.
fn opens(engine: Engine, ready: &Ready) -> bool {
    match engine {
        Engine::Direct => !ready.in_memory && limit_is_known(ready.file.path()),
        Engine::Paged => Access::open(engine, ready.file.path(), Setup::default()).is_ok(),
        _ => true,
    }
}

fn cell(
    wanted: &Wanted,
    path: &Path,
    shape: &Shape,
    cache: CacheState,
    engines: &[Engine],
) -> Result<Comparison, Error> {
    let plan = Plan {
        spec: RunSpec {
            pattern: shape.pattern().to_string(),
            cache: cache.to_string(),
            touch: shape.touch,
            steps: shape.steps,
            seed: wanted.seed,
            ..RunSpec::scan(path.to_owned(), BASELINE)
        },
        engines: engines.to_vec(),
        baseline: BASELINE,
        rounds: wanted.rounds,
        time_limit: None,
        environment: Environment::of(path),
        file_extents: device::extents(path),
    };
    let label = format!("{cache} {}", shape.pattern());
    let bar = Bar::new(u64::from(plan.rounds) * plan.engines.len() as u64, &label);
    let mut children = Children::of_this_program(cache)?;
    let comparison = harness::compare(&plan, &mut children, &mut |step| bar.follow(step))?;
    if wanted.json {
        comparison.runs.iter().try_for_each(output::json_line)?;
        comparison.ratios.iter().try_for_each(output::json_line)?;
    }
    Ok(comparison)
}
