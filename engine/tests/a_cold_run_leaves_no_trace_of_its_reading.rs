//! A cold run is read through a second mapping of the engine's own. Little of that is seen by the program:
//! nothing in its descriptors, nothing in its record locks, nothing in its children, and the file is let go with
//! the mapping.
//!
//! It needs root, for a disk that the kernel reads 128 KiB ahead of by itself.

#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use common::disk::Disk;
use common::{MIB, Numbered, make_cold, page, skip, touch_all, write_numbered};
use mmap_ahead::{Mmap, MmapOptions, lab};
use rustix::fs::{FlockOperation, fcntl_lock};

const LEN: usize = 96 * MIB;

/// A file on a disk of its own, whose first byte this process has locked.
struct Locked {
    // Closed before the disk is unmounted.
    file: File,
    disk: Disk,
}

impl Locked {
    fn new() -> Result<Locked, String> {
        let disk = Disk::new(256 << 20)?;
        read_little_ahead(&disk).map_err(|error| error.to_string())?;
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true).open(disk.file());
        let file = file.map_err(|error| error.to_string())?;
        write_numbered(&file, LEN);
        make_cold(&file)?;
        fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        Ok(Locked { file, disk })
    }

    fn is_locked(&self) -> bool {
        lab::is_locked_by_others(&self.file, 0).unwrap()
    }
}

/// What most kernels do by themselves. Whoever had the loop device before may have left it otherwise.
fn read_little_ahead(disk: &Disk) -> io::Result<()> {
    let device = fs::metadata(disk.file().parent().unwrap())?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    fs::write(format!("/sys/dev/block/{major}:{minor}/queue/read_ahead_kb"), "128")
}

/// The descriptors of this process for files on `disk`; other tests run in it too.
fn open_on(disk: &Disk) -> usize {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let links = entries.map(|entry| fs::read_link(entry.unwrap().path()));
    links.flatten().filter(|link| link.starts_with(disk.file().parent().unwrap())).count()
}

/// Reads slowly: on a busy machine too somebody comes before the reader.
fn stroll(bytes: &[u8]) {
    for part in bytes.chunks(MIB) {
        touch_all(part);
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn read_cold(locked: &Locked) -> Mmap {
    // SAFETY: nobody changes the file.
    let map = unsafe { Mmap::map(&locked.file) }.unwrap();
    stroll(&map);
    let numbered = Numbered::new();
    (0..LEN / page()).for_each(|index| numbered.check(&map, index));
    map
}

#[test]
fn descriptors_and_record_locks_stay_as_they_are_and_the_disk_can_be_unmounted() {
    let locked = match Locked::new() {
        Ok(locked) => locked,
        Err(why) => skip!("no loop device with an ext4 here: {why}"),
    };
    if lab::cached(&locked.file).is_err() {
        skip!("cachestat(2) says nothing here");
    }
    assert_eq!(open_on(&locked.disk), 1);
    assert!(locked.is_locked());
    let map = read_cold(&locked);
    let stats = map.stats();
    assert!(stats.pages_in_blocks > 0, "the run was not read in blocks: {stats:?}");
    assert_eq!(open_on(&locked.disk), 1);
    drop(map);
    assert!(locked.is_locked(), "a record lock of the program is gone");
    let Locked { file, disk } = locked;
    drop(file);
    // Fails when anybody holds a file there.
    drop(disk);
}

/// How often this process maps the file on `disk`, by a list of its mappings.
fn mapped(maps: &str, disk: &Disk) -> usize {
    let folder = disk.file().parent().unwrap().to_owned();
    maps.lines().filter(|line| line.contains(folder.to_str().unwrap())).count()
}

#[test]
fn there_is_one_more_mapping_while_it_lasts_and_none_in_a_child() {
    let locked = match Locked::new() {
        Ok(locked) => locked,
        Err(why) => skip!("no loop device with an ext4 here: {why}"),
    };
    let ours = || mapped(&fs::read_to_string("/proc/self/maps").unwrap(), &locked.disk);
    let map = read_cold(&locked);
    assert!(map.stats().pages_in_blocks > 0, "{:?}", map.stats());
    assert_eq!(ours(), 2);
    let sleep = || {
        std::thread::sleep(Duration::from_secs(60));
        0
    };
    let child = lab::ForkedChild::start(sleep).unwrap();
    let of_child = fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
    assert_eq!(mapped(&of_child, &locked.disk), 1);
    drop(child);
    drop(map);
    assert_eq!(ours(), 0);
}

#[test]
fn a_file_without_a_name_is_read_in_blocks_too() {
    let locked = match Locked::new() {
        Ok(locked) => locked,
        Err(why) => skip!("no loop device with an ext4 here: {why}"),
    };
    fs::remove_file(locked.disk.file()).unwrap();
    let stats = read_cold(&locked).stats();
    assert!(stats.pages_in_blocks > 0, "{stats:?}");
}

#[test]
fn a_private_mapping_is_read_page_by_page() {
    let locked = match Locked::new() {
        Ok(locked) => locked,
        Err(why) => skip!("no loop device with an ext4 here: {why}"),
    };
    // SAFETY: nobody changes the file.
    let map = unsafe { MmapOptions::new().map_copy_read_only(&locked.file) }.unwrap();
    stroll(&map);
    let stats = map.stats();
    assert_eq!(stats.pages_in_blocks, 0, "{stats:?}");
}

#[test]
fn a_run_that_stops_leaves_no_more_than_the_budget_behind() {
    const BUDGET: usize = 8 * MIB;
    let locked = match Locked::new() {
        Ok(locked) => locked,
        Err(why) => skip!("no loop device with an ext4 here: {why}"),
    };
    if lab::cached(&locked.file).is_err() {
        skip!("cachestat(2) says nothing here");
    }
    // SAFETY: nobody changes the file.
    let map = unsafe { MmapOptions::new().budget(BUDGET as u64).map(&locked.file) }.unwrap();
    let read = LEN / 2;
    stroll(&map[..read]);
    std::thread::sleep(Duration::from_secs(1));
    let cached = lab::cached(&locked.file).unwrap().cached_pages as usize * page();
    assert!(map.stats().pages_in_blocks > 0, "{:?}", map.stats());
    assert!(cached <= read + BUDGET, "{} KiB beyond the reader", (cached - read) >> 10);
}
