//! A web server without the web: thousands of small files, asked for in Zipf order, each opened, read
//! and closed; by read(2), by plain mmap, and through a mapping cache. Prints one table a directory.
//!
//! `cargo run --release -p mmap-ahead-extras --example serve_files -- [--files N] [--requests N]
//! [--rounds N] [--seed N] [--answer sum|send] [--bars] [DIR..]`: 10,000 files of 64 KiB to 1 MiB on /dev/shm and
//! /var/tmp. Everything is removed at the end.

#![forbid(unsafe_code)]

mod bars;
mod body;
mod plan;
mod ways;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mmap_ahead::lab::{UsageOf, usage};
use mmap_ahead_bench::interval::Median;
use mmap_ahead_bench::random::{Rng, Scatter, Zipf};
use mmap_ahead_bench::{cleanup, device, environment, size};

use bars::Bar;
use body::Body;
use plan::{Answer, Plan};
use ways::{Cache, Way, cache, ways};

const LEN_MIN: u64 = 64 << 10;
const LEN_MAX: u64 = 1 << 20;
/// How unequal the requests are; web servers are near it (Breslau and others, INFOCOM 1999: 0.64 to
/// 0.83).
const THETA: f64 = 0.8;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let plan = Plan::of(std::env::args().skip(1));
    let mut all_hold = true;
    for place in &plan.places {
        all_hold &= serve(place, &plan)?;
    }
    match all_hold || !plan.is_judged {
        true => Ok(()),
        false => Err("the cache is not as fast as is said of it".into()),
    }
}

/// Whether the bars hold.
fn serve(place: &Path, plan: &Plan) -> Outcome<bool> {
    let dir = tempfile::tempdir_in(place)?;
    let path = dir.path().to_owned();
    let _removed = cleanup::on_exit(move || drop(fs::remove_dir_all(path)));
    let (paths, bytes) = make_files(dir.path(), plan)?;
    let (count, file_system) = (paths.len(), device::file_system(place)?);
    println!(
        "{count} files of 64 KiB to 1 MiB, {} in all, on {file_system} ({}); Linux {}; all were asked for \
         before; {} rounds of {} requests, Zipf {THETA}, seed {}",
        size::rounded(bytes),
        place.display(),
        environment::kernel(),
        plan.rounds,
        plan.requests,
        plan.seed
    );
    let mut all_hold = true;
    for &answer in &plan.answers {
        let (all, part) = (cache(u64::MAX), cache(bytes / 4));
        let took = measure(&mut ways(&all, &part), &paths, answer, plan)?;
        print_table(answer, &ways(&all, &part), &took, plan);
        print_hits(&[("all", &all), ("a quarter", &part)]);
        for bar in Bar::of(answer) {
            all_hold &= bar.holds(&file_system, |way, baseline| ratio(&took[way], &took[baseline]));
        }
    }
    println!();
    Ok(all_hold)
}

/// Files of every length between the bounds, short ones as likely as long ones on a logarithmic scale;
/// as many as leave half of the room free.
fn make_files(dir: &Path, plan: &Plan) -> Outcome<(Vec<PathBuf>, u64)> {
    let free = device::free_bytes(dir)?.min(environment::meminfo("MemAvailable").unwrap_or(0));
    let (mut rng, mut paths, mut bytes) = (Rng::new(plan.seed), Vec::new(), 0);
    let mut contents = vec![0; LEN_MAX as usize];
    for number in 0..plan.files {
        let doublings = rng.unit() * ((LEN_MAX / LEN_MIN) as f64).log2();
        let len = (LEN_MIN as f64 * doublings.exp2()) as u64;
        bytes += len;
        if bytes > free / 2 {
            return Err(format!("there is room for {number} files only: --files {number}").into());
        }
        contents[..8].copy_from_slice(&rng.next_u64().to_ne_bytes());
        let path = dir.join(number.to_string());
        fs::write(&path, &contents[..len as usize])?;
        paths.push(path);
    }
    Ok((paths, bytes))
}

/// What one way took for one round.
#[derive(Clone, Copy, Default)]
struct Took {
    seconds: f64,
    cpu_seconds: f64,
}

/// By way and round. In each round every way answers the same requests, each way first in its turn; before
/// that every file is asked for once, and a round is thrown away.
fn measure(
    ways: &mut [Way<'_>],
    paths: &[PathBuf],
    answer: Answer,
    plan: &Plan,
) -> Outcome<Vec<Vec<Took>>> {
    let popular = Scatter::new(paths.len() as u64, plan.seed);
    let (law, mut rng) = (Zipf::new(paths.len() as u64, THETA), Rng::new(plan.seed + 1));
    let mut body = Body::of(answer)?;
    let every: Vec<usize> = (0..paths.len()).collect();
    answer_all(ways, 0, paths, &every, &mut body)?;
    let mut took: Vec<Vec<Took>> = ways.iter().map(|_| Vec::new()).collect();
    for round in 0..=plan.rounds {
        let rank = || popular.at(law.sample(&mut rng)) as usize;
        let requests: Vec<usize> =
            std::iter::repeat_with(rank).take(plan.requests as usize).collect();
        let first = round as usize % ways.len();
        let round_took = answer_all(ways, first, paths, &requests, &mut body)?;
        if round > 0 {
            took.iter_mut().zip(round_took).for_each(|(took, once)| took.push(once));
        }
    }
    Ok(took)
}

/// Has every way answer the same requests, beginning with the way `first`: by way, what it took.
fn answer_all(
    ways: &mut [Way<'_>],
    first: usize,
    paths: &[PathBuf],
    requests: &[usize],
    body: &mut Body,
) -> Outcome<Vec<Took>> {
    let count = ways.len();
    let (mut took, mut came) = (vec![Took::default(); count], Vec::new());
    for turn in (first..count).chain(0..first) {
        let (begun, cpu_begun) = (Instant::now(), cpu_seconds());
        requests.iter().try_for_each(|&request| (ways[turn].answer)(&paths[request], body))?;
        came.push(body.finish()?);
        let seconds = begun.elapsed().as_secs_f64();
        took[turn] = Took { seconds, cpu_seconds: cpu_seconds() - cpu_begun };
    }
    match came.iter().all(|one| *one == came[0]) {
        true => Ok(took),
        false => Err("the ways do not agree about the bytes".into()),
    }
}

fn cpu_seconds() -> f64 {
    let used = usage(UsageOf::Thread);
    (used.user + used.system).as_secs_f64()
}

fn print_table(answer: Answer, ways: &[Way<'_>], took: &[Vec<Took>], plan: &Plan) {
    let title = match answer {
        Answer::Sum => "added up",
        Answer::Send => "sent over TCP",
    };
    println!(
        "\n{title:<20}{:>12}{:>16}{:>22}{:>22}",
        "requests/s", "CPU us/request", "to plain mmap", "to read(2)"
    );
    for (way, own) in ways.iter().zip(took) {
        let requests = plan.requests as f64;
        let rate = requests / median(own.iter().map(|took| took.seconds)).value;
        let cpu = median(own.iter().map(|took| took.cpu_seconds)).value / requests * 1e6;
        let to = |baseline: usize| {
            let Median { value, low, high, .. } = ratio(own, &took[baseline]);
            format!("{value:.2} [{low:.2}, {high:.2}]")
        };
        let (to_mmap, to_read) = (to(ways::MMAP), to(ways::READ));
        println!("{:<20}{rate:>12.0}{cpu:>16.1}{to_mmap:>22}{to_read:>22}", way.name);
    }
}

/// How many times as fast as `baseline`, round by round.
fn ratio(own: &[Took], baseline: &[Took]) -> Median {
    median(baseline.iter().zip(own).map(|(base, own)| base.seconds / own.seconds))
}

/// Of all requests, also the first of each file.
fn print_hits(caches: &[(&str, &Cache)]) {
    for (name, cache) in caches {
        let stats = cache.stats();
        let asked = (stats.hits + stats.misses) as f64;
        println!("cache of {name}: {:.1}% hits", 100.0 * stats.hits as f64 / asked);
    }
}

fn median(samples: impl Iterator<Item = f64>) -> Median {
    Median::of(&samples.collect::<Vec<_>>()).expect("there is a round at least")
}
