//! When the kernel itself says that memory is short, less is read ahead.
//!
//! Makes real pressure, and little of it: a child in a cgroup of 32 MiB goes round a file of 64 MiB. The
//! kernel counts that as pressure of the whole machine where cgroups have no account of their own (v1), so
//! that for a second or two every program that watches it holds back: it is ignored by default.
//!
//! It fails when the account is not read, or not told to policies.

#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{MIB, Place, in_child, make_cold, mapped_bytes, role, skip, touch_all};
use mmap_ahead::{Mmap, MmapOptions, Mode};

const LIMIT: usize = 32 * MIB;
const HOGS: usize = 2;

/// A cgroup of our own, removed in the end.
struct Cgroup(PathBuf);

impl Cgroup {
    /// `None` without root, or without a controller of memory.
    fn new() -> Option<Cgroup> {
        let name = format!("mmap-ahead-test-{}", std::process::id());
        let kinds =
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        kinds.into_iter().find_map(|(mount, limit)| {
            fs::metadata(format!("{mount}/cgroup.procs")).ok()?;
            let cgroup = Cgroup(PathBuf::from(mount).join(&name));
            fs::create_dir(&cgroup.0).ok()?;
            fs::write(cgroup.0.join(limit), LIMIT.to_string()).ok()?;
            Some(cgroup)
        })
    }

    fn procs(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let gone = Instant::now() + Duration::from_secs(2);
        while fs::remove_dir(&self.0).is_err() && Instant::now() < gone {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn map(file: &File, mode: Mode) -> Mmap {
    // SAFETY: the file has no name, and nobody writes it.
    unsafe { MmapOptions::new().mode(mode).map(file) }.unwrap()
}

/// Goes round more than the cgroup may keep.
fn hog(file: &File, is_over: &AtomicBool) {
    let map = map(file, Mode::Off);
    while !is_over.load(Ordering::Relaxed) {
        map.chunks(MIB).take_while(|_| !is_over.load(Ordering::Relaxed)).for_each(touch_all);
    }
}

/// Reads the next MiB, at 250 MB/s: a GiB takes 4 s.
fn read(map: &Mmap, at: &mut usize) {
    touch_all(&map[*at..*at + MIB]);
    *at += MIB;
    thread::sleep(Duration::from_millis(4));
}

/// Reads on until the policy was told of pressure `times` times.
fn read_until(map: &Mmap, at: &mut usize, times: u64) -> bool {
    while map.stats().pressures < times && *at + MIB < map.len() {
        read(map, at);
    }
    map.stats().pressures >= times
}

#[test]
#[ignore = "makes memory pressure that the whole machine is told of, for seconds"]
fn the_kernels_own_account_makes_it_hold_back() {
    let Some(role) = role() else {
        let Some(cgroup) = Cgroup::new() else { skip!("no cgroup of memory can be made here") };
        return in_child(cgroup.procs().to_str().unwrap());
    };
    if fs::read_to_string("/proc/pressure/memory").is_err() {
        skip!("this kernel does not tell of pressure");
    }
    // What is in memory before belongs to the cgroup that this process leaves.
    let Some(file) = Place::Tmpfs.numbered(1024 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let files: Option<Vec<_>> = (0..HOGS).map(|_| Place::Disk.numbered(2 * LIMIT)).collect();
    let Some(files) = files else { skip!("/var/tmp is no disk") };
    if let Err(reason) = files.iter().try_for_each(make_cold) {
        skip!("{reason}");
    }
    let (map, mut at) = (map(&file, Mode::Auto), 0);
    (0..64).for_each(|_| read(&map, &mut at));
    let before = mapped_bytes(&map[at..]);
    let was_calm = map.stats().pressures == 0;
    fs::write(role, std::process::id().to_string()).unwrap();
    let is_over = AtomicBool::new(false);
    let was_told = thread::scope(|scope| {
        files.iter().for_each(|file| {
            scope.spawn(|| hog(file, &is_over));
        });
        let was_told = read_until(&map, &mut at, 3);
        is_over.store(true, Ordering::Relaxed);
        was_told
    });
    let after = mapped_bytes(&map[at..]);
    let account = fs::read_to_string("/proc/pressure/memory").unwrap();
    println!("seen: {before} bytes ahead, then {after}: {:?}; {account}", map.stats());
    assert!(was_calm, "this machine was short of memory before");
    assert!(was_told && after < before / 2, "{after} after {before}: {:?}", map.stats());
}
