//! The receiving half of a pipe through shared memory: makes a channel, waits for `shm_send`, and
//! writes what arrives to standard output.
//!
//! `cargo run -p mmap-ahead-extras --example shm_receive -- [CHANNEL] > OUT`, and in another terminal
//! `cargo run -p mmap-ahead-extras --example shm_send -- [CHANNEL] < IN`.

#![forbid(unsafe_code)]

mod common;

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use common::Example;
use mmap_ahead_bench::cleanup;
use mmap_ahead_extras::shm::Channel;

const EXAMPLE: Example = Example {
    name: "shm_receive",
    usage: "[CHANNEL] > OUT
  CHANNEL  a file to be made for the time (default: /dev/shm/mmap-ahead-channel)",
};

const CAPACITY: usize = 1 << 20;

fn main() -> ExitCode {
    let path = EXAMPLE.words(1).into_iter().next();
    let path = path.map_or_else(|| PathBuf::from("/dev/shm/mmap-ahead-channel"), PathBuf::from);
    EXAMPLE.end(receive(&path))
}

fn receive(path: &Path) -> Result<(), Box<dyn Error>> {
    let channel = Channel::create(path, CAPACITY).map_err(|error| {
        let hint = if path.exists() { " (remove it if it is left over)" } else { "" };
        format!("{}: {error}{hint}", path.display())
    })?;
    // Also when it is interrupted while nothing comes.
    let left = path.to_owned();
    let _removed = cleanup::on_exit(move || drop(std::fs::remove_file(left)));
    let mut receiver = channel.receiver()?;
    eprintln!("waiting for: shm_send {}", path.display());

    let mut out = io::stdout().lock();
    let mut buffer = vec![0; 64 << 10];
    let mut begun = None;
    let ended = loop {
        match receiver.receive(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(len) => {
                // From here on both have the file open, and nobody else needs its name.
                begun.get_or_insert_with(|| {
                    let _ = std::fs::remove_file(path);
                    Instant::now()
                });
                out.write_all(&buffer[..len])?;
            }
            Err(error) => break Err(error),
        }
    };
    out.flush()?;
    let seconds = begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
    let rate = if seconds > 0.0 { receiver.received() as f64 / seconds / 1e9 } else { 0.0 };
    eprintln!("{} bytes in {seconds:.3} s, {rate:.2} GB/s", receiver.received());
    Ok(ended?)
}
