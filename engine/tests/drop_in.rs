//! What a program that mapped with memmap2 may rely on stays true: descriptors, locks, lifetimes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mmap_ahead::{Advice, Fetcher, Mmap, MmapOptions, Mode};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::process::{Resource, Rlimit, setrlimit};
use tempfile::TempDir;

/// What a child process of this test binary is to do; unset in the test run itself.
const CHILD: &str = "MMAP_AHEAD_TEST_CHILD";

/// Runs the test `name` of this binary in a process of its own, with [`CHILD`] set to `argument`.
fn in_a_child(name: &str, argument: &str) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, argument)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "{}\n{out}\n{err}", child.status);
    assert!(out.contains("1 passed"), "no test is called {name}: {out}");
}

/// A sparse file, long enough to be followed.
fn long_file(dir: &TempDir) -> PathBuf {
    let path = dir.path().join("long");
    let file = File::create(&path).unwrap();
    file.set_len(4 << 20).unwrap();
    path
}

fn entries(dir: &str) -> usize {
    fs::read_dir(dir).unwrap().count()
}

/// Descriptors on `path` that this process holds.
fn descriptors_on(path: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap();
    links
        .filter(|link| fs::read_link(link.as_ref().unwrap().path()).is_ok_and(|p| p == path))
        .count()
}

/// What a process could leak: descriptors, threads, lines of its memory map.
fn belongings() -> [usize; 3] {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    [entries("/proc/self/fd"), entries("/proc/self/task"), maps.lines().count()]
}

fn map_and_drop_many(file: &File, count: usize) {
    // SAFETY: nobody writes the file.
    let map = |_| unsafe { Mmap::map(file) };
    let maps: io::Result<Vec<Mmap>> = (0..count).map(map).collect();
    let sum: u64 = maps.unwrap().iter().map(|map| u64::from(map[map.len() / 2])).sum();
    assert_eq!(sum, 0);
}

#[test]
fn five_thousand_mappings_need_no_descriptors_and_leave_nothing() {
    let name = "five_thousand_mappings_need_no_descriptors_and_leave_nothing";
    if std::env::var_os(CHILD).is_none() {
        return in_a_child(name, "map");
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), maximum: Some(256) }).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = File::open(long_file(&dir)).unwrap();
    map_and_drop_many(&file, 100);
    let before = belongings();
    map_and_drop_many(&file, 5_000);
    let after = belongings();
    // The allocator may keep a few areas of its own; a leak would be thousands.
    let slack = [0, 2, 32];
    for i in 0..3 {
        assert!(after[i] <= before[i] + slack[i], "before {before:?}, after {after:?}");
    }
}

#[test]
fn an_open_mapping_holds_no_descriptor() {
    let dir = tempfile::tempdir().unwrap();
    let path = long_file(&dir);
    let file = File::open(&path).unwrap();
    // SAFETY: nobody writes the file.
    let map = unsafe { Mmap::map(&file) }.unwrap();
    map.prefetch(..);
    assert_eq!(descriptors_on(&path), 1, "the caller's");
    drop(file);
    assert_eq!(descriptors_on(&path), 0);
    assert_eq!(map[map.len() - 1], 0);
}

/// A worker that holds a mapping's share at this moment closes the descriptor a little later.
fn becomes(mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(1);
    while !is_so() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

#[test]
fn keep_file_holds_exactly_one_descriptor_until_the_mapping_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = long_file(&dir);
    let file = File::open(&path).unwrap();
    // SAFETY: nobody writes the file.
    let map = unsafe { MmapOptions::new().keep_file().fetcher(Fetcher::Remap).map(&file) }.unwrap();
    drop(file);
    assert_eq!(descriptors_on(&path), 1, "the mapping's own");
    drop(map);
    // A writable one, of which more parts want the file, has one too.
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    // SAFETY: nobody else writes the file.
    let map = unsafe { MmapOptions::new().keep_file().write_ahead().map_mut(&file) }.unwrap();
    drop(file);
    assert!(becomes(|| descriptors_on(&path) == 1), "the mapping's own");
    drop(map);
    assert!(becomes(|| descriptors_on(&path) == 0));
}

/// In the child: fails unless somebody else holds a lock on the file named in [`CHILD`].
#[test]
fn check_that_the_file_is_locked() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)
        .expect_err("the lock of the parent process is gone");
}

#[test]
fn the_callers_lock_survives_map_prefetch_and_drop() {
    let dir = tempfile::tempdir().unwrap();
    let path = long_file(&dir);
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let still_locked = || in_a_child("check_that_the_file_is_locked", path.to_str().unwrap());
    fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
    still_locked();
    for mode in [Mode::Auto, Mode::Marker, Mode::Guard] {
        // SAFETY: nobody writes the file.
        let map = unsafe { MmapOptions::new().mode(mode).map(&file) }.unwrap();
        let prefetch = map.prefetch(..);
        assert_eq!(map.iter().step_by(4096).map(|&b| u64::from(b)).sum::<u64>(), 0);
        still_locked();
        prefetch.cancel();
        drop(map);
        still_locked();
    }
    fcntl_lock(&file, FlockOperation::Unlock).unwrap();
    let freed = std::panic::catch_unwind(still_locked);
    assert!(freed.is_err(), "the check sees an unlocked file");
}

#[test]
fn a_mapping_outlives_its_file_and_follows_every_change() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    fs::write(&path, vec![5; 3 << 20]).unwrap();
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    // SAFETY: nobody but this test writes the file.
    let map = unsafe { MmapOptions::new().offset(4096).map(&file) }.unwrap();
    drop(file);
    fs::remove_file(&path).unwrap();
    map.pause();
    map.resume();
    map.advise(Advice::Random).unwrap();
    map.advise(Advice::Normal).unwrap();
    map.prefetch_many(&[0..1, 4096..9000, 1 << 40..1 << 41]);
    let mut map = map.make_mut().unwrap();
    map[0] = 6;
    let mut map = map.make_read_only().unwrap();
    map.prefetch(1..);
    // SAFETY: shorter than the file.
    unsafe { map.remap(1 << 20, mmap_ahead::RemapOptions::new().may_move(true)) }.unwrap();
    assert_eq!((map.len(), map[0], map[1], map[(1 << 20) - 1]), (1 << 20, 6, 5, 5));
    // SAFETY: nothing is touched after a refusal.
    unsafe { map.remap(1 << 46, mmap_ahead::RemapOptions::new()) }.unwrap_err();
    assert_eq!((map.len(), map[(1 << 20) - 1]), (1 << 20, 5));
    let residency = map.residency(..);
    println!("{residency:?}, {:?}", map.stats());
}
