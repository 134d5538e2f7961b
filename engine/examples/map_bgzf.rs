//! Maps a block-gzip file (as bgzip writes) as if it were plain, in bounded memory, and counts lines.
//!
//! `cargo run --release -p mmap-ahead --features bgzf --example map_bgzf -- FILE.gz`

use std::env;
use std::io;
use std::process::ExitCode;

use mmap_ahead::{Bgzf, Immutable, PagedOptions, Source};

/// A file that nobody changes while this program runs: it is ours to say so.
struct Ours(Bgzf);

impl Source for Ours {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }
}

// SAFETY: the file is not written to while it is mapped, and inflating it gives the same bytes.
unsafe impl Immutable for Ours {}

fn main() -> ExitCode {
    let Some(path) = env::args_os().nth(1) else {
        eprintln!("usage: map_bgzf FILE.gz");
        return ExitCode::from(2);
    };
    let counted = Bgzf::open(path).and_then(|file| {
        let paged = PagedOptions::new().memory_limit(64 << 20).immutable_source(Ours(file))?;
        Ok((paged.len(), paged.iter().filter(|&&byte| byte == b'\n').count()))
    });
    match counted {
        Ok((len, lines)) => {
            println!("{lines} lines in {len} bytes");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
