//! The sending half of a pipe through shared memory: opens the channel that `shm_receive` made and
//! sends standard input through it.
//!
//! `cargo run -p mmap-ahead-extras --example shm_send -- [CHANNEL] < IN`

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mmap_ahead_extras::shm::Channel;

/// How long to wait for the receiver to make the channel.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let default = || PathBuf::from("/dev/shm/mmap-ahead-channel");
    let path = std::env::args_os().nth(1).map_or_else(default, PathBuf::from);
    let mut sender = opened(&path)?.sender()?;

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
fn opened(path: &PathBuf) -> Result<Channel, Box<dyn Error>> {
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
