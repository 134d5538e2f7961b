//! A cache of mappings: a file that is opened, mapped, read and closed again and again is mapped once,
//! and its page table stays.
//!
//! Opening, mapping and unmapping cost some microseconds, and every page of a new mapping is faulted in
//! anew although it is in memory all the time. A server of many small files pays that for each request.
//! The idea is the mapping cache of Choi, Kim and Han, whose map-ahead (HotStorage 2017) this project
//! begins with. Nothing uses it unless it is made: it holds address space, and the mappings of
//! files that are removed meanwhile keep their disk space until their path is asked for again or they are evicted.
//!
//! # What a hit costs
//!
//! One stat(2), and a lock for a moment, which hits share. The file is neither opened nor mapped nor faulted
//! in. Whether it may be read is asked when it is mapped, and again when its permissions have changed.
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
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use identity::Identity;
use lru::Lru;
use rustix::fs::OFlags;

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
    held: RwLock<Held<M>>,
}

struct Held<M> {
    lru: Lru<M>,
    /// Counted by whoever only reads the rest.
    hits: AtomicU64,
    misses: u64,
    stale: u64,
    evicted: u64,
}

/// What a [`MappingCache`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Requests that were served by a mapping that was there.
    pub hits: u64,
    /// Requests for which a file was mapped, also those for [`stale`](CacheStats::stale) ones.
    pub misses: u64,
    /// Mappings given up because their file had changed, or their path led elsewhere.
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
        let hits = AtomicU64::new(0);
        let held = Held { lru: Lru::new(), hits, misses: 0, stale: 0, evicted: 0 };
        MappingCache { map, limit_bytes, held: RwLock::new(held) }
    }

    /// The mapping of the file at `path`, as it is now. It lives as long as any of its holders.
    ///
    /// # Errors
    /// Those of stat(2) and open(2), and those of the function that maps. `InvalidInput` for what is no regular
    /// file: a directory, a pipe (which is not waited for), a device.
    pub fn get(&self, path: impl AsRef<Path>) -> io::Result<Arc<M>> {
        let path = path.as_ref();
        let looked = std::fs::metadata(path).and_then(|facts| Identity::of(&facts));
        let identity = looked.inspect_err(|_| self.give_up_stale(path, None))?;
        if let Some(map) = self.hit(&identity) {
            return Ok(map);
        }
        self.give_up_stale(path, Some(&identity));
        // A pipe that came in its place meanwhile is not waited for.
        let flags = OFlags::NONBLOCK.bits() as i32;
        let file = File::options().read(true).custom_flags(flags).open(path)?;
        // Of what was opened, and before it is mapped: a change after this is seen at the next request.
        let identity = Identity::of(&file.metadata()?)?;
        let map = Arc::new((self.map)(&file)?);
        self.keep(path, identity, &map);
        Ok(map)
    }

    /// Gives up every mapping.
    pub fn clear(&self) {
        let given_up = std::mem::replace(&mut self.changed().lru, Lru::new());
        // Unmapped after the lock is gone.
        drop(given_up);
    }

    /// The counters, at one moment.
    pub fn stats(&self) -> CacheStats {
        let held = self.changed();
        CacheStats {
            hits: held.hits.load(Ordering::Relaxed),
            misses: held.misses,
            stale: held.stale,
            evicted: held.evicted,
            bytes: held.lru.bytes(),
            mappings: held.lru.len() as u64,
        }
    }

    fn hit(&self, identity: &Identity) -> Option<Arc<M>> {
        let held = self.read();
        let map = Arc::clone(held.lru.touch(identity)?);
        held.hits.fetch_add(1, Ordering::Relaxed);
        Some(map)
    }

    /// What `path` led to, when it leads to another file `now`, to another state of it, or nowhere.
    fn give_up_stale(&self, path: &Path, now: Option<&Identity>) {
        let mut held = self.changed();
        let stale = held.lru.remove_stale(path, now);
        held.stale += u64::from(stale.is_some());
        drop(held);
        // Unmapped after the lock is gone.
        drop(stale);
    }

    fn keep(&self, path: &Path, identity: Identity, map: &Arc<M>) {
        let mut given_up = Vec::new();
        let mut held = self.changed();
        held.misses += 1;
        if identity.len <= self.limit_bytes {
            // Another thread may have mapped the same file meanwhile: the later one stays.
            given_up.extend(held.lru.insert(path, identity, Arc::clone(map)));
        }
        while held.lru.bytes() > self.limit_bytes || held.lru.len() > MAPPINGS_MAX {
            given_up.extend(held.lru.remove_oldest());
            held.evicted += 1;
        }
        drop(held);
        // Unmapped after the lock is gone.
        drop(given_up);
    }

    /// A thread that panicked under the lock left nothing half done.
    fn read(&self) -> RwLockReadGuard<'_, Held<M>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be changed, by one thread at a time.
    fn changed(&self) -> RwLockWriteGuard<'_, Held<M>> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M, F> std::fmt::Debug for MappingCache<M, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MappingCache")
            .field("limit_bytes", &self.limit_bytes)
            .finish_non_exhaustive()
    }
}
