//! The ways to get at the bytes of a file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use mmap_ahead::lab::{Peer, map_peer};
use mmap_ahead_extras::mapping_cache::MappingCache;

use crate::body::Body;

/// read(2) reads this much at a time, into memory that it uses again: its fastest way.
const PIECE: usize = 256 << 10;

pub(crate) type Cache = MappingCache<memmap2::Mmap, fn(&File) -> io::Result<memmap2::Mmap>>;

/// Opens, reads and closes one file.
type Answers<'a> = dyn FnMut(&Path, &mut Body) -> io::Result<()> + 'a;

/// One way to answer requests.
pub(crate) struct Way<'a> {
    pub(crate) name: &'static str,
    pub(crate) answer: Box<Answers<'a>>,
}

pub(crate) fn cache(limit_bytes: u64) -> Cache {
    Cache::new(limit_bytes, map)
}

/// The places of some ways among all of them.
pub(crate) const READ: usize = 0;
pub(crate) const MMAP: usize = 1;
pub(crate) const CACHE_OF_ALL: usize = 2;

pub(crate) fn ways<'a>(all: &'a Cache, part: &'a Cache) -> [Way<'a>; 5] {
    let mut buffer = vec![0; PIECE];
    let by_read = move |path: &Path, body: &mut Body| by_read(path, body, &mut buffer);
    let mut mapped: HashMap<PathBuf, memmap2::Mmap> = HashMap::new();
    let for_good = move |path: &Path, body: &mut Body| {
        if !mapped.contains_key(path) {
            mapped.insert(path.to_owned(), map(&File::open(path)?)?);
        }
        body.take(0, &mapped[path])
    };
    [
        Way { name: "read(2)", answer: Box::new(by_read) },
        Way {
            name: "plain mmap",
            answer: Box::new(|path, body| body.take(0, &map(&File::open(path)?)?)),
        },
        Way { name: "cache of all", answer: Box::new(|path, body| body.take(0, &all.get(path)?)) },
        Way {
            name: "cache of a quarter",
            answer: Box::new(|path, body| body.take(0, &part.get(path)?)),
        },
        // No cache can do with less: it looks at no file, and would never see one change.
        Way { name: "mapped for good", answer: Box::new(for_good) },
    ]
}

fn map(file: &File) -> io::Result<memmap2::Mmap> {
    map_peer(file, Peer::Plain)
}

fn by_read(path: &Path, body: &mut Body, buffer: &mut [u8]) -> io::Result<()> {
    let (mut file, mut at) = (File::open(path)?, 0);
    loop {
        let len = file.read(buffer)?;
        if len == 0 {
            return Ok(());
        }
        body.take(at, &buffer[..len])?;
        at += len as u64;
    }
}
