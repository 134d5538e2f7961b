//! A diary that survives a loss of power: each run adds its words as one record and prints them all.
//!
//! `cargo run -p mmap-ahead-extras --example pmem_log -- [FILE [WORDS..]]`; without a file, one in the
//! temporary directory.

#![forbid(unsafe_code)]

mod common;

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use common::Example;
use mmap_ahead_extras::pmem::{AppendLog, Pmem};

const EXAMPLE: Example = Example {
    name: "pmem_log",
    usage: "[FILE [WORDS..]]
  FILE   the diary, made where there is none (default: mmap-ahead-diary in the temporary directory)
  WORDS  what to note down (default: another run)",
};

const LEN: u64 = 1 << 20;

fn main() -> ExitCode {
    let mut words = EXAMPLE.words(usize::MAX).into_iter();
    let default = || std::env::temp_dir().join("mmap-ahead-diary");
    let path = words.next().map_or_else(default, PathBuf::from);
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let noted = note(&path, &words);
    EXAMPLE.end(noted.map_err(|error| format!("{}: {error}", path.display()).into()))
}

fn note(path: &Path, words: &[String]) -> Result<(), Box<dyn Error>> {
    let mut log = AppendLog::open(Pmem::map(&sized(path)?)?)?;
    let begun = std::time::Instant::now();
    let record = if words.is_empty() { "another run".to_owned() } else { words.join(" ") };
    log.append(record.as_bytes())?;
    let took = begun.elapsed();

    for (number, record) in log.records().enumerate() {
        println!("{:>4}  {}", number + 1, String::from_utf8_lossy(&record));
    }
    println!("{}: a record is made durable by {}", path.display(), log.medium().way());
    match log.medium().why_not() {
        None => println!("it lies on persistent memory"),
        Some(why) => println!("it lies on no persistent memory: {why}"),
    }
    println!("the last one took {took:.1?}, and {} bytes are left", log.left());
    Ok(())
}

/// The file, at its full size from the beginning: a log does not grow.
fn sized(path: &Path) -> Result<File, Box<dyn Error>> {
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
    if file.metadata()?.len() == 0 {
        file.set_len(LEN)?;
        file.sync_all()?;
    }
    Ok(file)
}
