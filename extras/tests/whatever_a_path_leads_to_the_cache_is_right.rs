//! What a server meets in a folder that others write to: no file, a pipe, a folder, an empty file, one that may not
//! be read any more, a link that leads elsewhere now, one that is cut while it is mapped.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use mmap_ahead::lab::{ForkedChild, map_file};
use mmap_ahead::{Mmap, MmapOptions};
use mmap_ahead_extras::mapping_cache::MappingCache;

fn map(file: &File) -> io::Result<Mmap> {
    map_file(file, &MmapOptions::new())
}

/// What is no regular file is an error, and none is waited for.
#[test]
fn what_is_no_file_is_an_error_and_blocks_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: there is no mkfifo");
        return;
    }
    let dangling = dir.path().join("dangling");
    symlink("nowhere", &dangling).unwrap();
    let round = dir.path().join("round");
    symlink("round", &round).unwrap();
    let places = [dir.path(), &pipe, Path::new("/dev/zero"), &dangling, &round, Path::new("")];
    for place in places.map(Path::to_owned) {
        let (done, is_done) = mpsc::channel();
        let asked = place.clone();
        std::thread::spawn(move || {
            let cache = MappingCache::new(1 << 20, map);
            done.send((cache.get(asked).is_err(), cache.stats().mappings)).unwrap();
        });
        let answer = is_done.recv_timeout(Duration::from_secs(10));
        assert_eq!(answer, Ok((true, 0)), "{}", place.display());
    }
}

/// Which many servers do with a release: the same path, another folder.
#[test]
fn a_link_that_leads_elsewhere_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    for release in ["one", "two"] {
        fs::create_dir(dir.path().join(release)).unwrap();
        fs::write(dir.path().join(release).join("index"), release).unwrap();
    }
    let (current, next) = (dir.path().join("current"), dir.path().join("next"));
    let cache = MappingCache::new(1 << 20, map);
    for release in ["one", "two", "one", "one"] {
        symlink(release, &next).unwrap();
        fs::rename(&next, &current).unwrap();
        assert_eq!(&cache.get(current.join("index")).unwrap()[..], release.as_bytes());
    }
    let stats = cache.stats();
    // What a path led to before is given up: nobody may ask for it any more.
    assert_eq!((stats.misses, stats.hits, stats.stale, stats.mappings), (3, 1, 2, 1));
}

/// Each would keep its disk space, and nobody could ask for it again.
#[test]
fn files_that_were_replaced_or_removed_are_not_held() {
    let dir = tempfile::tempdir().unwrap();
    let (path, new) = (dir.path().join("file"), dir.path().join("new"));
    let cache = MappingCache::new(u64::MAX, map);
    for version in 0..100_u8 {
        fs::write(&new, vec![version; 5_000]).unwrap();
        fs::rename(&new, &path).unwrap();
        assert_eq!(cache.get(&path).unwrap()[..], vec![version; 5_000]);
        assert_eq!((cache.stats().mappings, cache.stats().stale), (1, u64::from(version)));
    }
    fs::remove_file(&path).unwrap();
    assert!(cache.get(&path).is_err());
    assert_eq!((cache.stats().mappings, cache.stats().stale), (0, 100));
    let areas = fs::read_to_string("/proc/self/maps").unwrap();
    let dead = format!("{} (deleted)", path.display());
    assert_eq!(areas.lines().filter(|area| area.ends_with(&dead)).count(), 0);
}

/// In a child, as somebody else than root, who may read everything.
#[test]
fn a_file_that_may_not_be_read_any_more_is_not_served() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "secret").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let cache = MappingCache::new(1 << 20, map);
    let barred = || {
        fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
    };
    assert_eq!(&cache.get(&path).unwrap()[..], b"secret");
    // File systems tell times in steps.
    std::thread::sleep(Duration::from_millis(20));
    barred();
    let child = ForkedChild::start(|| {
        let uid = rustix::thread::Uid::from_raw(65_534);
        if rustix::thread::set_thread_res_uid(uid, uid, uid).is_err() {
            return 2;
        }
        let refused = cache.get(&path).err().map(|error| error.kind());
        let (mappings, stale) = (cache.stats().mappings, cache.stats().stale);
        let is_right = (refused, mappings, stale) == (Some(io::ErrorKind::PermissionDenied), 0, 1);
        u8::from(!is_right)
    });
    match child.unwrap().wait().unwrap().code() {
        Some(2) => eprintln!("SKIPPED: this user may not become another one"),
        code => assert_eq!(code, Some(0)),
    }
}

#[test]
fn an_empty_file_is_served_as_the_function_maps_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    File::create(&path).unwrap();
    let cache = MappingCache::new(1 << 20, map);
    match (map(&File::open(&path).unwrap()), cache.get(&path)) {
        (Ok(plain), Ok(held)) => assert_eq!((plain.len(), held.len()), (0, 0)),
        (Err(plain), Err(held)) => assert_eq!(plain.kind(), held.kind()),
        both => panic!("{both:?}"),
    }
    fs::write(&path, "now it has some").unwrap();
    assert_eq!(cache.get(&path).unwrap().len(), 15);
    assert_eq!((cache.stats().mappings, cache.stats().bytes), (1, 15));
}

/// Whoever still holds the mapping reads it through `read_at`, and whoever asks again gets the new length.
#[test]
fn a_file_that_is_cut_while_it_is_mapped_is_an_error_and_then_a_shorter_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, vec![7; 50_000]).unwrap();
    let cache = MappingCache::new(1 << 20, map);
    let before = cache.get(&path).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(5_000).unwrap();
    assert!(before.read_at(&mut [0; 100], 20_000).is_err());
    let after = cache.get(&path).unwrap();
    assert_eq!((after.len(), after[4_999]), (5_000, 7));
    assert_eq!((cache.stats().stale, cache.stats().bytes), (1, 5_000));
}

/// 2,000 files, of which three fit: never more mappings than that, and none is left when they are given up.
#[test]
fn many_files_leave_no_more_mappings_than_fit() {
    static MAPPED: AtomicUsize = AtomicUsize::new(0);
    struct Counted(Mmap);
    impl Drop for Counted {
        fn drop(&mut self) {
            MAPPED.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let cache = MappingCache::new(30_000, |file| {
        let mapped = map(file).map(Counted)?;
        MAPPED.fetch_add(1, Ordering::SeqCst);
        Ok(mapped)
    });
    for file in 0..2_000_u32 {
        let path = dir.path().join(file.to_string());
        fs::write(&path, file.to_ne_bytes().repeat(2_500)).unwrap();
        assert_eq!(cache.get(&path).unwrap().0[9_996..], file.to_ne_bytes());
        assert!(MAPPED.load(Ordering::SeqCst) <= 3);
    }
    assert_eq!((cache.stats().mappings, cache.stats().evicted), (3, 1_997));
    cache.clear();
    assert_eq!(MAPPED.load(Ordering::SeqCst), 0);
}

/// What is asked for by 16 threads at once is mapped by each at most once, and held once.
#[test]
fn sixteen_threads_ask_for_the_same_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let cache = MappingCache::new(1 << 20, map);
    let barrier = Barrier::new(16);
    for round in 0..100_u8 {
        let path = dir.path().join(round.to_string());
        fs::write(&path, vec![round; 10_000]).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    barrier.wait();
                    assert!(cache.get(&path).unwrap().iter().all(|&byte| byte == round));
                });
            }
        });
    }
    let stats = cache.stats();
    assert_eq!((stats.mappings, stats.bytes, stats.evicted), (100, 1_000_000, 0), "{stats:?}");
    assert_eq!(stats.hits + stats.misses, 1_600, "{stats:?}");
}

/// A function that maps through the same cache (an index that names another file), and one that panics.
#[test]
fn the_function_that_maps_may_ask_the_cache_and_may_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "x").unwrap();
    let inner = Arc::new(MappingCache::new(1 << 20, map));
    let asked = Arc::clone(&inner);
    let inside = path.clone();
    let outer = MappingCache::new(1 << 20, move |_: &File| asked.get(&inside));
    assert_eq!(&outer.get(&path).unwrap()[..], b"x");
    let times = AtomicUsize::new(0);
    let cache = MappingCache::new(1 << 20, |file: &File| {
        assert!(times.fetch_add(1, Ordering::SeqCst) > 0, "the first time");
        map(file)
    });
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| cache.get(&path)));
    assert!(caught.is_err());
    assert_eq!(&cache.get(&path).unwrap()[..], b"x");
    assert_eq!((cache.stats().mappings, cache.stats().misses), (1, 1));
}
