//! The sending half of a pipe through shared memory: opens the channel that `shm_receive` made and
//! sends standard input through it.
//!
//! `cargo run -p mmap-ahead-extras --example shm_send -- [CHANNEL] < IN`

#![forbid(unsafe_code)]

mod common;

use std::error::Error;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::Example;
use mmap_ahead_extras::shm::Channel;

const EXAMPLE: Example = Example {
    name: "shm_send",
    usage: "[CHANNEL] < IN
  CHANNEL  the file that shm_receive made (default: /dev/shm/mmap-ahead-channel)",
};

/// How long to wait for the receiver to make the channel.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let path = EXAMPLE.words(1).into_iter().next();
    let path = path.map_or_else(|| PathBuf::from("/dev/shm/mmap-ahead-channel"), PathBuf::from);
    EXAMPLE.end(send(&path))
}

fn send(path: &Path) -> Result<(), Box<dyn Error>> {
    let mut sender = opened(path)?.sender()?;

    let begun = Instant::now();
    let mut input = io::stdin().lock();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match input.read(&mut buffer)? {
            0 => break,
            len => sender.send(&buffer[..len])?,
        }
    }
    let (sent, seconds) = (sender.sent(), begun.elapsed().as_secs_f64());
    eprintln!("{sent} bytes in {seconds:.3} s, {:.2} GB/s", sent as f64 / seconds / 1e9);
    Ok(())
}

/// The channel, as soon as there is one.
fn opened(path: &Path) -> Result<Channel, Box<dyn Error>> {
    let begun = Instant::now();
    loop {
        match Channel::open(path) {
            Ok(channel) => return Ok(channel),
            Err(error) if begun.elapsed() >= PATIENCE => {
                return Err(format!("{}: {error} (is shm_receive running?)", path.display()).into());
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
