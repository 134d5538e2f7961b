//! Adds up the bytes of a file (this one, if none is named) of any size in 64 MiB of memory.
//!
//! `cargo run --release -p mmap-ahead --example paged -- FILE`

use std::{env, ffi::OsString};

use mmap_ahead::{Error, PagedOptions};

const THIS_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/paged.rs");

fn main() -> Result<(), Error> {
    let path: OsString = env::args_os().nth(1).unwrap_or(THIS_FILE.into());
    let paged = PagedOptions::new().memory_limit(64 << 20).open(path)?;
    let sum: u64 = paged.iter().map(|&byte| u64::from(byte)).sum();
    println!("{} bytes, their sum is {sum}", paged.len());
    println!("{:?}\n{:#?}", paged.mode(), paged.stats());
    Ok(())
}
