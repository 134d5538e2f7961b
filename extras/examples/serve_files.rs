//! A web server without the web: thousands of small files, asked for in Zipf order, each opened, read
//! and closed; by read(2), by plain mmap, and through a mapping cache. Prints one table a directory.
//!
//! `cargo run --release -p mmap-ahead-extras --example serve_files -- [--files N] [--requests N]
//! [--rounds N] [--seed N] [DIR..]`: 10,000 files of 64 KiB to 1 MiB (fewer where there is no room),
//! on /dev/shm and /var/tmp. Everything is removed at the end.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use mmap_ahead::lab::{Peer, map_peer};
use mmap_ahead_bench::checksum::Checksum;
use mmap_ahead_bench::interval::Median;
use mmap_ahead_bench::random::{Rng, Scatter, Zipf};
use mmap_ahead_bench::{cleanup, device, environment, size};
use mmap_ahead_extras::mapping_cache::MappingCache;

const LEN_MIN: u64 = 64 << 10;
const LEN_MAX: u64 = 1 << 20;
/// How unequal the requests are; web servers are near it (Breslau and others, INFOCOM 1999: 0.64 to
/// 0.83).
const THETA: f64 = 0.8;
/// read(2) reads this much at a time, into memory that it uses again: its fastest way.
const PIECE: usize = 256 << 10;

type Answer<T> = Result<T, Box<dyn Error>>;
type Cache = MappingCache<memmap2::Mmap, fn(&File) -> io::Result<memmap2::Mmap>>;

fn main() -> Answer<()> {
    let plan = Plan::parse(std::env::args().skip(1))?;
    for place in &plan.places {
        serve(place, &plan)?;
    }
    Ok(())
}

struct Plan {
    files: u64,
    requests: u64,
    rounds: usize,
    seed: u64,
    places: Vec<PathBuf>,
}

impl Plan {
    fn parse(mut words: impl Iterator<Item = String>) -> Answer<Plan> {
        let mut plan =
            Plan { files: 10_000, requests: 10_000, rounds: 21, seed: 1, places: Vec::new() };
        while let Some(word) = words.next() {
            let mut number = || -> Answer<u64> {
                let text = words.next().unwrap_or_default();
                text.parse().ok().filter(|&n| n > 0).ok_or(format!("{word}: {text:?}?").into())
            };
            match word.as_str() {
                "--files" => plan.files = number()?,
                "--requests" => plan.requests = number()?,
                "--rounds" => plan.rounds = number()? as usize,
                "--seed" => plan.seed = number()?,
                option if option.starts_with('-') => return Err(format!("{option}?").into()),
                place => plan.places.push(PathBuf::from(place)),
            }
        }
        if plan.places.is_empty() {
            plan.places = ["/dev/shm", "/var/tmp"].map(PathBuf::from).to_vec();
        }
        Ok(plan)
    }
}

/// The checksum and the length of a file.
type Answers<'a> = dyn FnMut(&Path) -> io::Result<(Checksum, u64)> + 'a;

/// One way to answer requests.
struct Way<'a> {
    name: &'static str,
    answer: Box<Answers<'a>>,
}

fn ways<'a>(all: &'a Cache, part: &'a Cache) -> [Way<'a>; 4] {
    let mut buffer = vec![0; PIECE];
    [
        Way { name: "read(2)", answer: Box::new(move |path| by_read(path, &mut buffer)) },
        Way { name: "plain mmap", answer: Box::new(|path| Ok(sum(&map(&File::open(path)?)?))) },
        Way { name: "cache of all", answer: Box::new(|path| Ok(sum(&all.get(path)?))) },
        Way { name: "cache of a quarter", answer: Box::new(|path| Ok(sum(&part.get(path)?))) },
    ]
}

fn map(file: &File) -> io::Result<memmap2::Mmap> {
    map_peer(file, Peer::Plain)
}

fn sum(bytes: &[u8]) -> (Checksum, u64) {
    let mut sum = Checksum::default();
    sum.add(0, bytes);
    (sum, bytes.len() as u64)
}

fn by_read(path: &Path, buffer: &mut [u8]) -> io::Result<(Checksum, u64)> {
    let (mut file, mut sum, mut at) = (File::open(path)?, Checksum::default(), 0);
    loop {
        let len = file.read(buffer)?;
        if len == 0 {
            return Ok((sum, at));
        }
        sum.add(at, &buffer[..len]);
        at += len as u64;
    }
}

fn serve(place: &Path, plan: &Plan) -> Answer<()> {
    let dir = tempfile::tempdir_in(place)?;
    let path = dir.path().to_owned();
    let _removed = cleanup::on_exit(move || drop(fs::remove_dir_all(path)));
    let (paths, bytes) = make_files(dir.path(), plan)?;
    let (count, file_system) = (paths.len(), device::file_system(place)?);
    println!(
        "{count} files of 64 KiB to 1 MiB, {} in all, on {file_system} ({}); Linux {}; {} rounds of \
         {} requests, Zipf {THETA}, seed {}",
        size::rounded(bytes),
        place.display(),
        environment::kernel(),
        plan.rounds,
        plan.requests,
        plan.seed
    );
    let (all, part) = (Cache::new(u64::MAX, map), Cache::new(bytes / 4, map));
    let mut ways = ways(&all, &part);
    let seconds = measure(&mut ways, &paths, plan)?;
    print_table(&ways, &seconds, plan);
    for (name, cache) in [("all", &all), ("a quarter", &part)] {
        let stats = cache.stats();
        let asked = (stats.hits + stats.misses) as f64;
        println!("cache of {name}: {:.1}% hits", 100.0 * stats.hits as f64 / asked);
    }
    println!();
    Ok(())
}

/// Files of every length between the bounds, short ones as likely as long ones on a logarithmic scale;
/// as many as leave half of the room free.
fn make_files(dir: &Path, plan: &Plan) -> Answer<(Vec<PathBuf>, u64)> {
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

/// Seconds by way and round. In each round every way answers the same requests; a round before the
/// first warms everything and is thrown away.
fn measure(ways: &mut [Way<'_>], paths: &[PathBuf], plan: &Plan) -> Answer<Vec<Vec<f64>>> {
    let popular = Scatter::new(paths.len() as u64, plan.seed);
    let (law, mut rng) = (Zipf::new(paths.len() as u64, THETA), Rng::new(plan.seed + 1));
    let mut seconds = vec![Vec::new(); ways.len()];
    for round in 0..=plan.rounds {
        let rank = || popular.at(law.sample(&mut rng)) as usize;
        let requests: Vec<usize> =
            std::iter::repeat_with(rank).take(plan.requests as usize).collect();
        let mut answers = Vec::new();
        for (way, seconds) in ways.iter_mut().zip(&mut seconds) {
            let begun = Instant::now();
            let mut total = (Checksum::default(), 0);
            for &request in &requests {
                let (sum, len) = (way.answer)(&paths[request])?;
                total = (total.0.and(sum), total.1 + len);
            }
            if round > 0 {
                seconds.push(begun.elapsed().as_secs_f64());
            }
            answers.push(total);
        }
        if answers.iter().any(|answer| *answer != answers[0]) {
            return Err("the ways do not agree about the bytes".into());
        }
    }
    Ok(seconds)
}

fn print_table(ways: &[Way<'_>], seconds: &[Vec<f64>], plan: &Plan) {
    println!("{:<20}{:>12}{:>24}{:>24}", "", "requests/s", "to plain mmap", "to read(2)");
    for (way, own) in ways.iter().zip(seconds) {
        let median = Median::of(own).expect("there is a round at least");
        let ratio = |baseline: &[f64]| {
            let ratios: Vec<f64> = baseline.iter().zip(own).map(|(base, own)| base / own).collect();
            let ratio = Median::of(&ratios).expect("there is a round at least");
            format!("{:.2} [{:.2}, {:.2}]", ratio.value, ratio.low, ratio.high)
        };
        let rate = plan.requests as f64 / median.value;
        let (to_mmap, to_read) = (ratio(&seconds[1]), ratio(&seconds[0]));
        println!("{:<20}{rate:>12.0}{to_mmap:>24}{to_read:>24}", way.name);
    }
}
