//! Maps a file, adds up its bytes, and says what was read ahead.
//!
//! `cargo run --release -p mmap-ahead --example first -- FILE`

use std::{env, fs::File};

use mmap_ahead::Mmap;

fn main() -> std::io::Result<()> {
    let path = env::args_os().nth(1).unwrap_or_else(|| file!().into());
    let file = File::open(path).or_else(|_| File::open("/proc/self/exe"))?;
    // SAFETY: nobody changes the file while it is mapped.
    let map = unsafe { Mmap::map(&file)? };
    let sum: u64 = map.iter().map(|&byte| u64::from(byte)).sum();
    println!("{} bytes, their sum is {sum}", map.len());
    println!("{:#?}", map.stats());
    Ok(())
}
