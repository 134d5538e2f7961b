//! What was stored before a flush returned is on the disk, after a crash too (TRAPS 30): a file system on
//! a loop device, whose backing file is copied right after the flush and mounted elsewhere.
//!
//! It fails when a flush writes too little, and when the same without the flush does not fail: then the
//! test itself sees nothing. It needs root and loop devices.

mod common;

use std::fs;

use common::disk::{Disk, Mounted, path, run};
use common::{MIB, Random, page, skip};
use mmap_ahead::{DirtyTracker, Mechanism, MmapMut};

const IMAGE_LEN: u64 = 64 << 20;
const FILE_LEN: usize = 4 * MIB;

/// What the file holds when the machine loses its memory now; `None` if there is no such file then.
fn after_a_crash(disk: &Disk) -> Option<Vec<u8>> {
    let copy = disk.dir.path().join("copy");
    run("cp", &["--sparse=always", path(&disk.dir.path().join("image")), path(&copy)]).unwrap();
    let mounted = Mounted::new(&copy, disk.dir.path().join("after")).unwrap();
    fs::read(mounted.file()).ok()
}

/// How what was stored gets to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flush {
    All,
    Range,
    /// `flush_dirty`, while stores are tracked, and while nobody tracks them.
    Dirty,
    DirtyUntracked,
    Not,
}

/// A file that is stored to at random, and what it must hold.
struct Writer {
    map: MmapMut,
    model: Vec<u8>,
    random: Random,
    /// How often a flush looked for what was stored to, because stores are tracked.
    looks: usize,
    _tracker: Option<DirtyTracker>,
}

impl Writer {
    fn new(disk: &Disk, how: Flush, is_kept: bool, seed: u64) -> Writer {
        let mut map = disk.map(FILE_LEN, is_kept);
        let is_tracked = how != Flush::DirtyUntracked;
        let _tracker = is_tracked.then(|| map.track_stores_by(Mechanism::Marked).ok()).flatten();
        Writer { model: vec![0; FILE_LEN], map, random: Random::new(seed), looks: 0, _tracker }
    }

    /// Stores anywhere, grows now and then. Returns the range that all of it lies in.
    fn store(&mut self, can_grow: bool) -> std::ops::Range<usize> {
        if can_grow && self.random.below(4) == 0 && self.map.len() < 8 * MIB {
            let len = self.map.len() + 1 + self.random.below(3 * page());
            self.map.grow(len).unwrap();
            self.model.resize(len, 0);
        }
        let count = 1 + self.random.below(50);
        let (mut first, mut end) = (usize::MAX, 0);
        for _ in 0..count {
            let at = self.random.below(self.map.len());
            let value = self.random.below(255) as u8 + 1;
            self.map[at] = value;
            self.model[at] = value;
            (first, end) = (first.min(at), end.max(at + 1));
        }
        first..end
    }

    fn flush(&mut self, how: Flush, stored: std::ops::Range<usize>) {
        match how {
            Flush::All => self.map.flush().unwrap(),
            Flush::Range => self.map.flush_range(stored.start, stored.len()).unwrap(),
            Flush::Dirty | Flush::DirtyUntracked => {
                self.looks += usize::from(self.map.flush_dirty().unwrap().stored.is_some());
            }
            Flush::Not => {}
        }
    }
}

/// How many of `points` crashes lose something of what was flushed `how`.
fn losses(points: usize, how: Flush, is_kept: bool) -> Result<usize, String> {
    let disk = Disk::new(IMAGE_LEN)?;
    let mut writer = Writer::new(&disk, how, is_kept, 11 + points as u64);
    let mut lost = 0;
    for _ in 0..points {
        // A few rounds between two crashes, so that a flush has an earlier one behind it.
        for _ in 0..1 + writer.random.below(3) {
            let stored = writer.store(is_kept);
            writer.flush(how, stored);
        }
        lost += usize::from(after_a_crash(&disk).as_ref() != Some(&writer.model));
    }
    let looks = writer.looks;
    println!(
        "seen: {how:?}, file kept: {is_kept}: {lost} of {points} crashes lost something, {looks} looks"
    );
    Ok(lost)
}

fn check(points: usize) {
    if common::role().is_none() {
        // In a process of its own: mounts that a failed test leaves behind are told apart by nobody else.
        return common::in_child(&points.to_string());
    }
    for (how, is_kept) in [
        (Flush::All, false),
        (Flush::Range, false),
        (Flush::Dirty, false),
        (Flush::Dirty, true),
        (Flush::DirtyUntracked, false),
        (Flush::DirtyUntracked, true),
    ] {
        match losses(points, how, is_kept) {
            Ok(lost) => assert_eq!(lost, 0, "{how:?}, file kept: {is_kept}"),
            Err(why) => skip!("no loop device with an ext4 here: {why}"),
        }
    }
    let lost = losses(points.min(10), Flush::Not, true).unwrap();
    assert!(lost > 0, "nothing is lost without a flush either: the test sees nothing");
}

#[test]
fn what_was_flushed_survives_a_crash() {
    check(3);
}

/// The whole of it.
#[test]
#[ignore = "about a minute"]
fn what_was_flushed_survives_a_hundred_crashes() {
    check(100);
}

/// A file that cannot grow is as it was, and so is its mapping: the disk is full.
#[test]
fn a_full_disk_is_an_error_of_grow() {
    let disk = match Disk::new(16 << 20) {
        Ok(disk) => disk,
        Err(why) => skip!("no loop device with an ext4 here: {why}"),
    };
    let mut writer = Writer::new(&disk, Flush::Not, true, 3);
    writer.store(false);
    let error = writer.map.grow(1 << 30).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
    assert_eq!(fs::metadata(disk.file()).unwrap().len(), FILE_LEN as u64);
    assert!(writer.map[..] == writer.model[..]);
    writer.map.grow(FILE_LEN + 1).unwrap();
    writer.map[FILE_LEN] = 1;
    assert_eq!(fs::metadata(disk.file()).unwrap().len(), FILE_LEN as u64 + 1);
}
