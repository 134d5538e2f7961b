//! A diary that survives a loss of power: each run adds its words as one record and prints them all.
//!
//! `cargo run -p mmap-ahead-extras --example pmem_log -- [FILE [WORDS..]]`; without a file, one in the
//! temporary directory.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs::File;
use std::path::PathBuf;

use mmap_ahead_extras::pmem::{AppendLog, Pmem};

const LEN: u64 = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let default = || std::env::temp_dir().join("mmap-ahead-diary");
    let path = arguments.next().map_or_else(default, PathBuf::from);
    let words: Vec<String> = arguments.collect();

    let mut log = AppendLog::open(Pmem::map(&sized(&path)?)?)?;
    let begun = std::time::Instant::now();
    let record = if words.is_empty() { "another run".to_owned() } else { words.join(" ") };
    log.append(record.as_bytes())?;
    let took = begun.elapsed();

    for (number, record) in log.records().enumerate() {
        println!("{:>4}  {}", number + 1, String::from_utf8_lossy(&record));
    }
    let kind = if log.medium().is_pmem() { "persistent memory" } else { "no persistent memory" };
    println!("{}: {kind}, so a record is made durable by {}", path.display(), log.medium().way());
    println!("the last one took {took:.1?}, and {} bytes are left", log.left());
    Ok(())
}

/// The file, at its full size from the beginning: a log does not grow.
fn sized(path: &PathBuf) -> Result<File, Box<dyn Error>> {
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
    if file.metadata()?.len() == 0 {
        file.set_len(LEN)?;
        file.sync_all()?;
    }
    Ok(file)
}
