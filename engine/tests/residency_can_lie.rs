//! mincore(2) says "all resident" of files that one neither owns nor may write, as model weights
//! usually are. Residency is Unknown there, and Unknown is prefetched; for others it is right
//! (TRAPS 3).
//!
//! It fails when mincore is believed without asking whether it may be.

mod common;

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::thread;
use std::time::Duration;

use common::{
    MIB, Place, cached_bytes, in_child_with, make_cold, page, role, skip, write_numbered,
};
use mmap_ahead::{Mmap, MmapOptions, Mode, Residency, lab};
use rustix::process::geteuid;

const FILE_LEN: usize = 64 * MIB;
/// Who is meant by "others" in the permissions of a file.
const NOBODY: u32 = 65_534;

fn map(file: &File) -> Mmap {
    // SAFETY: nobody writes the file while it is mapped.
    unsafe { MmapOptions::new().mode(Mode::Marker).map(file) }.unwrap()
}

#[test]
fn the_owner_is_told_the_truth() {
    let Some(file) = Place::Disk.numbered(FILE_LEN) else { skip!("/var/tmp is no disk") };
    if let Err(reason) = make_cold(&file) {
        skip!("{reason}");
    }
    let map = map(&file);
    assert_eq!(map.residency(..), Residency::Absent);
    assert_eq!(map.residency(FILE_LEN - 1..), Residency::Absent);
    common::touch_all(&map[..MIB]);
    assert_eq!(map.residency(..MIB), Residency::Resident);
    assert_eq!(map.residency(1..page() + 1), Residency::Resident);
    assert_eq!(map.residency(..), Residency::Absent, "the end was not read");
    common::touch_all(&map);
    assert_eq!(map.residency(..), Residency::Resident);
    assert_eq!(map.residency(FILE_LEN - 1..FILE_LEN + 1), Residency::Resident);
}

/// In the child, as somebody else: `path` belongs to root and is cold.
fn read_as_somebody_else(path: &str) {
    assert_eq!(geteuid().as_raw(), NOBODY);
    let file = File::open(path).unwrap();
    let told = lab::cached(&file).map_err(|error| error.raw_os_error());
    assert_eq!(told, Err(Some(libc::EPERM)), "the cache should be hidden");
    let map = map(&file);
    assert_eq!(cached_bytes(&map), FILE_LEN, "mincore does not lie here");
    assert_eq!(map.residency(..), Residency::Unknown);
    assert_eq!(map.residency(..page()), Residency::Unknown);
    for at in (0..FILE_LEN / 2).step_by(page()) {
        std::hint::black_box(map[at]);
        if at % MIB == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    let stats = map.stats();
    println!("seen: as another user: {stats:?}");
    assert!(stats.pages_read_ahead > 0, "cold pages were not read ahead: {stats:?}");
}

#[test]
fn somebody_else_is_told_nothing_and_reads_ahead_all_the_same() {
    if let Some(path) = role() {
        return read_as_somebody_else(&path);
    }
    if !geteuid().is_root() {
        skip!("only root can become somebody else");
    }
    if Place::Disk.file().is_none() {
        skip!("/var/tmp is no disk");
    }
    let exe = std::env::current_exe().unwrap();
    let others_may = |path: &std::path::Path| {
        path.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0)
    };
    if let Some(closed) = exe.ancestors().find(|path| !others_may(path)) {
        skip!("others may not get through {}", closed.display());
    }
    let mut file = tempfile::NamedTempFile::new_in(Place::Disk.dir()).unwrap();
    write_numbered(file.as_file(), FILE_LEN);
    file.flush().unwrap();
    file.as_file().set_permissions(PermissionsExt::from_mode(0o644)).unwrap();
    if let Err(reason) = make_cold(file.as_file()) {
        skip!("{reason}");
    }
    in_child_with(file.path().to_str().unwrap(), |command| {
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
    });
    // It was cold, and half of it was read.
    let cached = lab::cached(file.as_file()).unwrap().cached_pages as usize;
    assert!(cached >= FILE_LEN / 2 / page(), "{cached} pages");
}
