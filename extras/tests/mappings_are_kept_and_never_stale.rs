//! A file that is asked for again is not mapped again, unless it changed; what was used longest ago
//! goes first; users in many threads get right bytes while files change and are evicted.

use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use mmap_ahead::lab::map_file;
use mmap_ahead::{Mmap, MmapOptions};
use mmap_ahead_bench::random::Rng;
use mmap_ahead_extras::mapping_cache::MappingCache;

fn map(file: &File) -> io::Result<Mmap> {
    map_file(file, &MmapOptions::new())
}

/// A file whose every byte is `value`.
fn put(path: &Path, value: u8, len: usize) {
    fs::write(path, vec![value; len]).unwrap();
}

#[test]
fn the_second_request_finds_the_first_ones_mapping() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    put(&path, 1, 10_000);
    let cache = MappingCache::new(1 << 20, map);
    let first = cache.get(&path).unwrap();
    let second = cache.get(&path).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    // By another name it is the same file.
    let link = dir.path().join("link");
    fs::hard_link(&path, &link).unwrap();
    // Which changed its ctime, so it is mapped anew: once.
    let third = cache.get(&link).unwrap();
    assert!(Arc::ptr_eq(&third, &cache.get(&path).unwrap()));
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.stale, stats.evicted), (2, 2, 1, 0));
    assert_eq!((stats.bytes, stats.mappings), (10_000, 1));
    cache.clear();
    assert_eq!((cache.stats().bytes, cache.stats().mappings), (0, 0));
    assert_eq!(first[9_999], 1, "what a user holds stays");
}

#[test]
fn a_file_that_changed_is_mapped_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let other = dir.path().join("other");
    let changes: [(&str, &dyn Fn()); 5] = [
        ("another file under its name", &|| {
            put(&other, 2, 5000);
            fs::rename(&other, &path).unwrap();
        }),
        ("a larger size", &|| {
            File::options().write(true).open(&path).unwrap().set_len(6000).unwrap()
        }),
        ("a smaller size", &|| {
            File::options().write(true).open(&path).unwrap().set_len(50).unwrap()
        }),
        ("another mtime", &|| {
            let times = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
            File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
        }),
        ("new bytes, and its mtime put back", &|| {
            let file = File::options().write(true).open(&path).unwrap();
            let before = file.metadata().unwrap();
            put(&path, 3, before.len() as usize);
            let times = FileTimes::new().set_modified(before.modified().unwrap());
            file.set_times(times).unwrap();
        }),
    ];
    put(&path, 1, 5000);
    let cache = MappingCache::new(1 << 20, map);
    for (what, change) in changes {
        let before = cache.get(&path).unwrap();
        assert!(Arc::ptr_eq(&before, &cache.get(&path).unwrap()), "before {what}");
        // File systems tell times in steps.
        std::thread::sleep(Duration::from_millis(20));
        change();
        let after = cache.get(&path).unwrap();
        assert!(!Arc::ptr_eq(&before, &after), "{what}");
        assert_eq!(after[..], fs::read(&path).unwrap(), "{what}");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(cache.get(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn what_was_used_longest_ago_goes_first() {
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = (0..4).map(|file| dir.path().join(file.to_string())).collect();
    paths.iter().for_each(|path| put(path, 7, 1000));
    let cache = MappingCache::new(3000, map);
    let order = [0, 1, 2, 0, 3, 0, 2, 3, 1];
    let hits: Vec<bool> = order
        .iter()
        .map(|&file: &usize| {
            let before = cache.stats().hits;
            cache.get(&paths[file]).unwrap();
            assert!(cache.stats().bytes <= 3000);
            cache.stats().hits > before
        })
        .collect();
    // 3 drives out 1, and 1 then 0.
    assert_eq!(hits, [false, false, false, true, false, true, true, true, false]);
    assert_eq!(cache.stats().evicted, 2);
    put(&paths[0], 7, 3001);
    cache.get(&paths[0]).unwrap();
    assert_eq!(cache.stats().mappings, 3, "what is larger than the limit drives nobody out");
    let none = MappingCache::new(0, map);
    none.get(&paths[1]).unwrap();
    assert_eq!(none.stats().mappings, 0);
}

/// Files are replaced by others whose every byte says which version it is. A reader that begins after
/// a version was in place never sees an older one, and never a mixture.
#[test]
fn many_threads_read_while_files_are_replaced_and_evicted() {
    const FILES: usize = 16;
    let dir = tempfile::tempdir().unwrap();
    let path = |file: usize| dir.path().join(file.to_string());
    let versions: Vec<AtomicU64> = (0..FILES).map(|_| AtomicU64::new(1)).collect();
    let len = |file: usize| 1000 * (file + 1);
    (0..FILES).for_each(|file| put(&path(file), 1, len(file)));
    // Half of them fit.
    let cache = MappingCache::new((1..=FILES as u64).sum::<u64>() * 500, map);
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (cache, versions) = (&cache, &versions);
            scope.spawn(move || {
                let mut rng = Rng::new(seed);
                for _ in 0..3000 {
                    let file = rng.below(FILES as u64) as usize;
                    let least = versions[file].load(Ordering::SeqCst);
                    let map = cache.get(path(file)).unwrap();
                    assert_eq!(map.len(), len(file));
                    let version = map[0];
                    assert!(map.iter().all(|&byte| byte == version));
                    assert!(u64::from(version) >= least, "{version} after {least} was in place");
                }
            });
        }
        let mut rng = Rng::new(99);
        for version in 2..200_u8 {
            let file = rng.below(FILES as u64) as usize;
            let new = dir.path().join("new");
            put(&new, version, len(file));
            fs::rename(&new, path(file)).unwrap();
            versions[file].store(u64::from(version), Ordering::SeqCst);
        }
    });
    let stats = cache.stats();
    assert!(stats.hits > 0 && stats.evicted > 0, "{stats:?}");
    assert_eq!(stats.hits + stats.misses, 4 * 3000, "{stats:?}");
}
