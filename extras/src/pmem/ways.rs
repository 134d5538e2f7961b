//! The four ways of making a small store durable, timed.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Instant;

use mmap_ahead::lab::{LineFlush, SharedMemory};

/// The bytes of one small store: a cache line on most processors.
pub const STORE_LEN: usize = 64;
/// The bytes of one direct write, which cannot be smaller on a disk of such sectors. Each store goes to
/// another piece of this size.
pub const BLOCK_LEN: usize = 4096;
/// No more of a file than this is stored to.
const SPAN_MAX: u64 = 1 << 20;

/// A way of making a small store durable, or of not doing so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreWay {
    /// Stored into a shared mapping, and left there.
    NoSync,
    /// Stored, then msync(2) with MS_SYNC.
    Msync,
    /// Stored, its cache lines written back, and a fence. Durable on persistent memory only.
    FlushFence,
    /// pwrite(2) of a whole block with O_DIRECT and O_SYNC.
    DirectWrite,
}

impl StoreWay {
    /// All four, the fastest first where there is persistent memory.
    pub const ALL: [StoreWay; 4] =
        [StoreWay::NoSync, StoreWay::FlushFence, StoreWay::Msync, StoreWay::DirectWrite];

    /// A short name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            StoreWay::NoSync => "no sync",
            StoreWay::Msync => "msync",
            StoreWay::FlushFence => "flush + fence",
            StoreWay::DirectWrite => "pwrite O_DIRECT|O_SYNC",
        }
    }

    /// How many stores are timed together, since a clock takes as long as a store.
    fn batch(self) -> usize {
        match self {
            StoreWay::NoSync | StoreWay::FlushFence => 100,
            StoreWay::Msync | StoreWay::DirectWrite => 1,
        }
    }

    /// Makes `samples` measurements on the file at `path`, each in nanoseconds a store. Stored are the
    /// bytes that are there already, so the file holds the same afterwards, unless somebody else stores
    /// to it meanwhile.
    ///
    /// # Errors
    /// `InvalidInput` for a file of less than [`BLOCK_LEN`] bytes; `Unsupported` where this processor
    /// cannot write lines back; those of open(2), mmap(2), msync(2), pwrite(2): EINVAL where the file
    /// system knows no O_DIRECT.
    pub fn time(self, path: &Path, samples: usize) -> io::Result<Vec<f64>> {
        let span = Span::read(path)?;
        let store = self.open(path, &span)?;
        let batch = self.batch();
        // The first touch of a page costs what the later ones do not.
        (0..span.blocks().min(samples * batch)).try_for_each(&store)?;
        let time = |sample: usize| {
            let begun = Instant::now();
            (0..batch).try_for_each(|turn| store((sample * batch + turn) % span.blocks()))?;
            Ok(begun.elapsed().as_nanos() as f64 / batch as f64)
        };
        (0..samples).map(time).collect()
    }

    /// What makes one store into the block of that number.
    fn open<'a>(self, path: &Path, span: &'a Span) -> io::Result<StoreInto<'a>> {
        let mut options = File::options();
        options.read(true).write(true);
        if self == StoreWay::DirectWrite {
            let flags = rustix::fs::OFlags::DIRECT | rustix::fs::OFlags::SYNC;
            let file = options.custom_flags(flags.bits() as i32).open(path)?;
            let write = move |block: usize| {
                file.write_all_at(span.block(block), (block * BLOCK_LEN) as u64)
            };
            return Ok(Box::new(write));
        }
        let memory = SharedMemory::map_sync(&options.open(path)?, span.len)?;
        let flush = LineFlush::best();
        if self == StoreWay::FlushFence && flush.is_none() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Box::new(move |block: usize| {
            let at = block * BLOCK_LEN;
            memory.copy_in(at, &span.block(block)[..STORE_LEN]);
            match (self, flush) {
                (StoreWay::Msync, _) => memory.sync_pages(at, STORE_LEN)?,
                (StoreWay::FlushFence, Some(flush)) => {
                    memory.flush_lines(at, STORE_LEN, flush);
                    flush.fence();
                }
                _ => {}
            }
            Ok(())
        }))
    }
}

/// Stores into the block of a number.
type StoreInto<'a> = Box<dyn Fn(usize) -> io::Result<()> + 'a>;

/// What the first blocks of the file hold, aligned as O_DIRECT wants it.
struct Span {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Span {
    fn read(path: &Path) -> io::Result<Span> {
        let file = File::open(path)?;
        let len = file.metadata()?.len().min(SPAN_MAX) as usize / BLOCK_LEN * BLOCK_LEN;
        if len == 0 {
            let words = format!("it is shorter than {BLOCK_LEN} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
        }
        let mut bytes = vec![0; len + BLOCK_LEN];
        let start = bytes.as_ptr().align_offset(BLOCK_LEN);
        file.read_exact_at(&mut bytes[start..start + len], 0)?;
        Ok(Span { bytes, start, len })
    }

    fn blocks(&self) -> usize {
        self.len / BLOCK_LEN
    }

    fn block(&self, block: usize) -> &[u8] {
        &self.bytes[self.start + block * BLOCK_LEN..][..BLOCK_LEN]
    }
}
