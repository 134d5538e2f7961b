//! A flush that failed is an error, and what it was to write counts as stored to until one succeeds. The
//! disk is a loop device whose image lies on a full tmpfs: it fails until there is room again.
//!
//! It fails when a flush that failed is taken for one, and when the next one thinks that there is nothing
//! to do. It needs root and loop devices.

#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use common::disk::{Disk, path, run};
use common::{MIB, in_child, page, role, skip};

const FILE_LEN: usize = 2 * MIB;

/// A tmpfs of 48 MiB; unmounted when it is dropped.
struct Small(tempfile::TempDir);

impl Small {
    fn new() -> Result<Small, String> {
        let dir = tempfile::tempdir_in("/var/tmp").map_err(|error| error.to_string())?;
        run("mount", &["-t", "tmpfs", "-o", "size=48m", "tmpfs", path(dir.path())])?;
        Ok(Small(dir))
    }

    /// Takes all the room that is left, until the file is removed.
    fn fill(&self) -> PathBuf {
        let ballast = self.0.path().join("ballast");
        let mut file = File::create(&ballast).unwrap();
        let mut len = MIB;
        while len > 0 {
            if file.write_all(&vec![1; len]).is_err() {
                len = if len > page() { page() } else { 0 };
            }
        }
        ballast
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        run("umount", &[path(self.0.path())]).unwrap();
    }
}

#[test]
fn what_a_failed_flush_was_to_write_is_still_to_be_written() {
    if role().is_none() {
        // In a process of its own, as `what_was_flushed_is_on_the_disk`.
        return in_child("failing");
    }
    let mut looked = 0;
    for is_kept in [true, false] {
        let small = match Small::new() {
            Ok(small) => small,
            Err(why) => skip!("no tmpfs of its own here: {why}"),
        };
        let disk = match Disk::in_folder(small.0.path(), 256 << 20) {
            Ok(disk) => disk,
            Err(why) => skip!("no loop device with an ext4 here: {why}"),
        };
        let mut map = disk.map(FILE_LEN, is_kept);
        // It takes its time, so that looking is worth it the next time.
        map[..MIB].fill(7);
        map.flush_dirty().unwrap();
        let ballast = small.fill();
        let stored = MIB..FILE_LEN;
        map[stored.clone()].fill(7);
        let Err(error) = map.flush_dirty() else {
            skip!("the disk has room that it should not have")
        };
        println!("seen: kept: {is_kept}: {error}");
        fs::remove_file(ballast).unwrap();
        let again = map.flush_dirty();
        println!("seen: then {again:?}");
        // The file system may have given up for good.
        if let Ok(flushed) = again {
            assert!(flushed.is_synced, "{flushed:?}");
            if let Some(told) = &flushed.stored {
                looked += 1;
                assert_eq!(told.ranges(), [stored], "what was not written is forgotten");
            }
        }
    }
    println!("seen: {looked} looked for what was stored");
}
