//! Counts the lines of a file through a mapping, and says so if the file is cut while it counts: an
//! error with the file, the offset and the cause, where a plain mapping ends the program (SIGBUS).
//!
//! `cargo run --release -p mmap-ahead --example truncated_file -- FILE` counts once;
//! without a FILE it makes one of 256 MiB, counts it again and again, and has it cut meanwhile.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, thread};

use mmap_ahead::{Mmap, MmapOptions};

const DEMO_LINE: &str = "a line of thirty-two characters\n";
const DEMO_LINES: usize = 8 << 20;

fn main() -> ExitCode {
    let done = match env::args_os().nth(1) {
        Some(path) => count(path.as_ref()),
        None => demonstrate(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("truncated_file: {error}");
            ExitCode::FAILURE
        }
    }
}

fn count(path: &Path) -> Result<(), Box<dyn Error>> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    // SAFETY: the lines are counted and the bytes forgotten: whoever changes them meanwhile makes the
    // count another one, and whoever takes them away makes it an error.
    let map = unsafe { Mmap::map(&file)? };
    println!("{} lines in {} bytes", map.guarded(lines)?, map.len());
    Ok(())
}

fn lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte == b'\n').count()
}

fn demonstrate() -> Result<(), Box<dyn Error>> {
    let mut file = tempfile::NamedTempFile::new()?;
    (0..DEMO_LINES / 1024).try_for_each(|_| file.write_all(DEMO_LINE.repeat(1024).as_bytes()))?;
    // SAFETY: as in `count`.
    let map = unsafe { MmapOptions::new().guard_sigbus().map(file.as_file())? };
    println!("{} lines in {} bytes", map.guarded(lines)?, map.len());
    println!("it is counted again and again, and cut to 100,000,000 bytes meanwhile ..");
    let cut = file.reopen()?;
    let cutter = thread::spawn(move || {
        thread::sleep(Duration::from_millis(700));
        cut.set_len(100_000_000)
    });
    let error = loop {
        if let Err(error) = map.guarded(lines) {
            break error;
        }
    };
    cutter.join().expect("cutting does not panic")?;
    println!("guarded: {error}");
    let mut line = [0; DEMO_LINE.len()];
    map.read_at(&mut line, 32_000)?;
    print!("read_at, of what is left: {}", String::from_utf8_lossy(&line));
    let of_the_end = map.read_at(&mut line, 99_999_990).expect_err("it was cut");
    println!("read_at, over the new end: {of_the_end}");
    let beyond = map.try_slice(200_000_000..200_000_100).expect_err("it was cut");
    println!("try_slice, beyond it: {beyond}");
    println!("and this program has not died");
    Ok(())
}
