//! The engines by the names of the command line.

use std::fmt;
use std::str::FromStr;

use mmap_ahead::lab::Peer;

use crate::Error;

/// A way to read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// read(2) into a buffer of 256 KiB.
    Read,
    /// memmap2, the baseline, as it comes or with advice.
    Memmap2(Peer),
    /// Ours as it comes.
    Mmap,
    /// Ours with guarded windows.
    MmapGuard,
    /// Ours, beginning with a replay of what an earlier run of the same steps touched.
    MmapReplay,
    /// Our bounded-memory mapping.
    Paged,
    /// Our `Reader`.
    Reader,
    /// io_uring with O_DIRECT at depth: the limit.
    Direct,
}

/// What every ratio is relative to.
pub const BASELINE: Engine = Engine::Memmap2(Peer::Plain);

impl Engine {
    /// Every engine, in the order of the documentation.
    pub const ALL: [Engine; 12] = [
        Engine::Read,
        Engine::Memmap2(Peer::Plain),
        Engine::Memmap2(Peer::Sequential),
        Engine::Memmap2(Peer::WillNeed),
        Engine::Memmap2(Peer::Populate),
        Engine::Memmap2(Peer::Random),
        Engine::Mmap,
        Engine::MmapGuard,
        Engine::MmapReplay,
        Engine::Paged,
        Engine::Reader,
        Engine::Direct,
    ];

    /// The name that [`Engine::from_str`] takes back.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Engine::Read => "read",
            Engine::Memmap2(Peer::Plain) => "memmap2",
            Engine::Memmap2(Peer::Sequential) => "memmap2+sequential",
            Engine::Memmap2(Peer::WillNeed) => "memmap2+willneed",
            Engine::Memmap2(Peer::Populate) => "memmap2+populate",
            Engine::Memmap2(Peer::Random) => "memmap2+random",
            Engine::Mmap => "mmap",
            Engine::MmapGuard => "mmap+guard",
            Engine::MmapReplay => "mmap+replay",
            Engine::Paged => "paged",
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
        let design = "read memmap2 memmap2+sequential memmap2+willneed memmap2+populate \
                      memmap2+random mmap mmap+guard mmap+replay paged reader direct";
        assert_eq!(names.join(" "), design);
        for engine in Engine::ALL {
            assert_eq!(engine.name().parse::<Engine>().unwrap(), engine);
        }
        assert!(matches!("mmapp".parse::<Engine>(), Err(Error::Usage(_))));
    }
}
