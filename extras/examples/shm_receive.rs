//! The receiving half of a pipe through shared memory: makes a channel, waits for `shm_send`, and
//! writes what arrives to standard output.
//!
//! `cargo run -p mmap-ahead-extras --example shm_receive -- [CHANNEL] > OUT`, and in another terminal
//! `cargo run -p mmap-ahead-extras --example shm_send -- [CHANNEL] < IN`.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use mmap_ahead_extras::shm::Channel;

const CAPACITY: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let default = || PathBuf::from("/dev/shm/mmap-ahead-channel");
    let path = std::env::args_os().nth(1).map_or_else(default, PathBuf::from);
    let channel = Channel::create(&path, CAPACITY)
        .map_err(|error| format!("{}: {error} (remove it if it is left over)", path.display()))?;
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
                    let _ = std::fs::remove_file(&path);
                    Instant::now()
                });
                out.write_all(&buffer[..len])?;
            }
            Err(error) => break Err(error),
        }
    };
    out.flush()?;
    // Where nothing at all was sent.
    let _ = std::fs::remove_file(&path);
    let seconds = begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
    eprintln!("{} bytes in {seconds:.3} s", receiver.received());
    Ok(ended?)
}
