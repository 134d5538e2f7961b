//! A cache of mappings: a file that is opened, mapped, read and closed again and again is mapped once,
//! and its page table stays.
//!
//! Opening, mapping and unmapping cost some microseconds, and every page of a new mapping is faulted in
//! anew although it is in memory all the time. A server of many small files pays that for each request.
//! The idea is the mapping cache of Choi, Kim and Han, whose map-ahead (HotStorage 2017) this project
//! begins with. Nothing uses it unless it is made: it holds address space, and the mappings of
//! files that are removed meanwhile keep their disk space until they are found stale or evicted.
//!
//! # What a hit costs
//!
//! One stat(2), and a lock for a moment. The file is neither opened nor mapped nor faulted in.
//!
//! # When a mapping is not used again
//!
//! When the path leads to another device or inode, or size, mtime or ctime differ from those at the
//! time of mapping. File systems tell times in steps (up to 4 ms; finer since Linux 6.13 on ext4, xfs,
//! btrfs, tmpfs): of two changes within one step the second may go unnoticed. With a MAP_SHARED mapping
//! that is no harm, since it shows the file as it is; with a private one that was stored to, it is.
//!
//! Source: stat(2), mmap(2); fs/inode.c, `inode_set_ctime_current`.

mod identity;
mod lru;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use identity::Identity;
use lru::{Entry, Lru};

/// The most mappings that a cache holds, whatever their size: a process may have 65,530 areas
/// (vm.max_map_count), and others want some.
pub const MAPPINGS_MAX: usize = 16_384;

/// Mappings by file, least recently used first to go. Safe to share between threads; nothing is locked
/// while a file is opened or mapped.
///
/// `M` is whatever the caller maps with: `mmap_ahead::Mmap`, `memmap2::Mmap`. Whether the bytes may
/// change while they are mapped is the caller's to vouch for, in the function that maps.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("index.html");
/// # std::fs::write(&path, "<html>")?;
/// use mmap_ahead_extras::mapping_cache::MappingCache;
///
/// // SAFETY: what is served is never changed in place; new versions are renamed over old ones.
/// let cache = MappingCache::new(1 << 30, |file| unsafe { mmap_ahead::Mmap::map(file) });
/// for _ in 0..3 {
///     let page = cache.get(&path)?;
///     assert_eq!(&page[..], b"<html>");
/// }
/// assert_eq!((cache.stats().misses, cache.stats().hits), (1, 2));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct MappingCache<M, F> {
    map: F,
    limit_bytes: u64,
    held: Mutex<Held<M>>,
}

struct Held<M> {
    lru: Lru<M>,
    stats: CacheStats,
}

/// What a [`MappingCache`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Requests that were served by a mapping that was there.
    pub hits: u64,
    /// Requests for which a file was mapped, also those for [`stale`](CacheStats::stale) ones.
    pub misses: u64,
    /// Mappings given up because their file had changed.
    pub stale: u64,
    /// Mappings given up for want of room.
    pub evicted: u64,
    /// Bytes of files that are mapped now.
    pub bytes: u64,
    /// Mappings that are held now.
    pub mappings: u64,
}

impl<M, F: Fn(&File) -> io::Result<M>> MappingCache<M, F> {
    /// An empty cache for mappings of at most `limit_bytes` bytes of files together, and at most
    /// [`MAPPINGS_MAX`] of them. What a user still holds after it was evicted is not counted. With a
    /// limit of 0 every request maps anew.
    pub fn new(limit_bytes: u64, map: F) -> MappingCache<M, F> {
        let held = Held { lru: Lru::new(), stats: CacheStats::default() };
        MappingCache { map, limit_bytes, held: Mutex::new(held) }
    }

    /// The mapping of the file at `path`, as it is now. It lives as long as any of its holders.
    ///
    /// # Errors
    /// Those of stat(2) and open(2), and those of the function that maps (an empty file, with most).
    pub fn get(&self, path: impl AsRef<Path>) -> io::Result<Arc<M>> {
        let path = path.as_ref();
        let identity = Identity::of(&std::fs::metadata(path)?);
        if let Some(map) = self.hit(&identity) {
            return Ok(map);
        }
        let file = File::open(path)?;
        // Of what was opened, and before it is mapped: a change after this is seen at the next request.
        let identity = Identity::of(&file.metadata()?);
        let map = Arc::new((self.map)(&file)?);
        self.keep(identity, &map);
        Ok(map)
    }

    /// Gives up every mapping.
    pub fn clear(&self) {
        let given_up = std::mem::replace(&mut self.held().lru, Lru::new());
        // Unmapped after the lock is gone.
        drop(given_up);
    }

    /// The counters, at one moment.
    pub fn stats(&self) -> CacheStats {
        let held = self.held();
        let (bytes, mappings) = (held.lru.bytes(), held.lru.len() as u64);
        CacheStats { bytes, mappings, ..held.stats }
    }

    fn hit(&self, identity: &Identity) -> Option<Arc<M>> {
        let mut held = self.held();
        let entry = held.lru.touch(identity.file)?;
        if entry.identity == *identity {
            let map = Arc::clone(&entry.map);
            held.stats.hits += 1;
            return Some(map);
        }
        let stale = held.lru.remove(identity.file);
        held.stats.stale += 1;
        drop(held);
        // Unmapped after the lock is gone.
        drop(stale);
        None
    }

    fn keep(&self, identity: Identity, map: &Arc<M>) {
        let mut given_up = Vec::new();
        let mut held = self.held();
        held.stats.misses += 1;
        if identity.len <= self.limit_bytes {
            // Another thread may have mapped the same file meanwhile: the later one stays.
            given_up.extend(held.lru.remove(identity.file));
            held.lru.insert(Entry { identity, map: Arc::clone(map) });
        }
        while held.lru.bytes() > self.limit_bytes || held.lru.len() > MAPPINGS_MAX {
            given_up.extend(held.lru.remove_oldest());
            held.stats.evicted += 1;
        }
        drop(held);
        drop(given_up);
    }

    /// A thread that panicked under the lock left nothing half done.
    fn held(&self) -> MutexGuard<'_, Held<M>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M, F> std::fmt::Debug for MappingCache<M, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MappingCache")
            .field("limit_bytes", &self.limit_bytes)
            .finish_non_exhaustive()
    }
}
