//! The engines by the names of the command line.

use std::fmt;
use std::str::FromStr;

use mmap_ahead::lab::Peer;

use crate::Error;

/// A way to read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// read(2) into a buffer of so many bytes: 256 KiB unless the name says otherwise.
    Read(u32),
    /// std's `BufReader` with its own buffer of 8 KiB.
    BufReader,
    /// memmap2, the baseline, as it comes or with advice.
    Memmap2(Peer),
    /// memmap2, its steps shared out in chunks by rayon.
    Rayon,
    /// Ours as it comes.
    Mmap,
    /// Ours with guarded windows.
    MmapGuard,
    /// Ours, beginning with a replay of what an earlier run of the same steps touched.
    MmapReplay,
    /// Our bounded-memory mapping.
    Paged,
    /// The same, lone touches served on the thread that touches.
    PagedFaulting,
    /// Our `Reader`.
    Reader,
    /// io_uring with O_DIRECT at depth: the limit.
    Direct,
}

/// The buffer of `read`: 256 KiB.
const READ_LEN: u32 = 256 << 10;

/// What every ratio is relative to.
pub const BASELINE: Engine = Engine::Memmap2(Peer::Plain);

impl Engine {
    /// read(2) into the buffer that it is fastest with.
    pub const READ: Engine = Engine::Read(READ_LEN);

    /// Every engine, in the order of the documentation.
    pub const ALL: [Engine; 18] = [
        Engine::READ,
        Engine::Read(4 << 10),
        Engine::Read(128 << 10),
        Engine::Read(1 << 20),
        Engine::BufReader,
        Engine::Memmap2(Peer::Plain),
        Engine::Memmap2(Peer::Sequential),
        Engine::Memmap2(Peer::WillNeed),
        Engine::Memmap2(Peer::Populate),
        Engine::Memmap2(Peer::Random),
        Engine::Rayon,
        Engine::Mmap,
        Engine::MmapGuard,
        Engine::MmapReplay,
        Engine::Paged,
        Engine::PagedFaulting,
        Engine::Reader,
        Engine::Direct,
    ];

    /// Whether its steps happen one after the other, so that each can be watched.
    #[must_use]
    pub fn steps_can_be_watched(&self) -> bool {
        !matches!(self, Engine::Rayon | Engine::Direct)
    }

    /// The name that [`Engine::from_str`] takes back.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Engine::Read(4096) => "read+4KiB",
            Engine::Read(131_072) => "read+128KiB",
            Engine::Read(1_048_576) => "read+1MiB",
            Engine::Read(_) => "read",
            Engine::BufReader => "bufreader",
            Engine::Memmap2(Peer::Plain) => "memmap2",
            Engine::Memmap2(Peer::Sequential) => "memmap2+sequential",
            Engine::Memmap2(Peer::WillNeed) => "memmap2+willneed",
            Engine::Memmap2(Peer::Populate) => "memmap2+populate",
            Engine::Memmap2(Peer::Random) => "memmap2+random",
            Engine::Rayon => "memmap2+rayon",
            Engine::Mmap => "mmap",
            Engine::MmapGuard => "mmap+guard",
            Engine::MmapReplay => "mmap+replay",
            Engine::Paged => "paged",
            Engine::PagedFaulting => "paged+faulting",
            Engine::Reader => "reader",
            Engine::Direct => "direct",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Engine {
    type Err = Error;

    fn from_str(name: &str) -> Result<Engine, Error> {
        Engine::ALL.into_iter().find(|engine| engine.name() == name).ok_or_else(|| {
            let known: Vec<_> = Engine::ALL.iter().map(|engine| engine.name()).collect();
            Error::Usage(format!("unknown engine `{name}`; known: {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_design() {
        let names: Vec<_> = Engine::ALL.iter().map(|engine| engine.name()).collect();
        let design = "read read+4KiB read+128KiB read+1MiB bufreader memmap2 \
                      memmap2+sequential memmap2+willneed memmap2+populate memmap2+random \
                      memmap2+rayon mmap mmap+guard mmap+replay paged paged+faulting reader direct";
        assert_eq!(names.join(" "), design);
        for engine in Engine::ALL {
            assert_eq!(engine.name().parse::<Engine>().unwrap(), engine);
        }
        assert!(matches!("mmapp".parse::<Engine>(), Err(Error::Usage(_))));
    }
}
