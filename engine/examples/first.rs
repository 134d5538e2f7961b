//! Maps a file (this one, if none is named), adds up its bytes, and says what was read ahead.
//!
//! `cargo run --release -p mmap-ahead --example first -- FILE`

use std::{env, fs::File, io};

use mmap_ahead::Mmap;

const THIS_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/first.rs");

fn main() -> io::Result<()> {
    let file = File::open(env::args_os().nth(1).unwrap_or(THIS_FILE.into()))?;
    // SAFETY: nobody changes the file while it is mapped.
    let map = unsafe { Mmap::map(&file)? };
    let sum: u64 = map.iter().map(|&byte| u64::from(byte)).sum();
    println!("{} bytes, their sum is {sum}", map.len());
    println!("{}", map.stats());
    Ok(())
}
