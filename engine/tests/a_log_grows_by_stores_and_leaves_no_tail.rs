//! `AppendMap`: what is appended is in the file, in order and nothing else, whatever the file was before;
//! closing and dropping leave no allocated tail, and a full disk is an error, not a signal (TRAPS 9).
//!
//! It fails when the file is not cut back, when a forked child cuts it, when an append that failed left
//! something behind, and when a byte is stored before its page is there.

mod common;

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use common::{KIB, MIB, Place, Random, page, role, skip};
use mmap_ahead::{AppendMap, MmapOptions, Mode};
use rustix::fs::{FallocateFlags, Mode as FileMode, OFlags};
use rustix::mount::{self, FsMountFlags, FsOpenFlags, MountAttrFlags};

fn log(file: &File, options: &MmapOptions) -> AppendMap {
    // SAFETY: the file has no name, and nobody else changes its length.
    unsafe { options.for_append(file.try_clone().unwrap()) }.unwrap()
}

/// Byte `at` of every file here.
fn byte(at: u64) -> u8 {
    (at % 251) as u8
}

fn bytes(at: u64, len: usize) -> Vec<u8> {
    let turn: Vec<u8> = (at..at + 251).map(byte).collect();
    let mut bytes = turn.repeat(len.div_ceil(251));
    bytes.truncate(len);
    bytes
}

/// Fails unless `file` holds `len` bytes, the right ones.
fn check(file: &File, len: u64) {
    assert_eq!(file.metadata().unwrap().len(), len);
    let mut read = vec![0; MIB];
    for at in (0..len).step_by(MIB) {
        let count = MIB.min((len - at) as usize);
        file.read_exact_at(&mut read[..count], at).unwrap();
        assert!(read[..count] == bytes(at, count), "somewhere behind {at}");
    }
}

/// Bytes of `file` that are allocated.
fn allocated(file: &File) -> u64 {
    file.metadata().unwrap().blocks() * 512
}

fn whole_pages(len: u64) -> u64 {
    len.next_multiple_of(page() as u64)
}

#[test]
fn what_is_appended_is_in_the_file_whatever_it_was_before() {
    for place in Place::ALL {
        for mode in [Mode::Auto, Mode::Off] {
            for before in [0, page() as u64, 5 * page() as u64 + 77] {
                let Some(file) = place.file() else { skip!("no file on {place:?}") };
                file.write_all_at(&bytes(0, before as usize), 0).unwrap();
                let mut log = log(&file, MmapOptions::new().mode(mode));
                assert_eq!(log.len(), before);
                let mut random = Random::new(before + 1);
                let mut len = before;
                while len < 70 * MIB as u64 {
                    let count = random.below(300 * KIB);
                    assert_eq!(log.append(&bytes(len, count)).unwrap(), len);
                    len += count as u64;
                    assert_eq!(log.len(), len);
                    if random.below(60) == 0 {
                        log.flush().unwrap();
                    }
                }
                log.flush().unwrap();
                log.close().unwrap();
                check(&file, len);
                if place == Place::Tmpfs {
                    assert_eq!(allocated(&file), whole_pages(len), "{mode:?}");
                }
            }
        }
    }
}

#[test]
fn one_append_may_be_longer_than_what_is_mapped_at_once() {
    let Some(file) = Place::Tmpfs.file() else { skip!("/dev/shm is no tmpfs") };
    let mut log = log(&file, &MmapOptions::new());
    log.append(&bytes(0, 150 * MIB)).unwrap();
    assert_eq!(log.append(&[]).unwrap(), 150 * MIB as u64);
    log.flush().unwrap();
    log.close().unwrap();
    check(&file, 150 * MIB as u64);
}

#[test]
fn nothing_is_left_behind_by_a_drop_or_a_panic() {
    let Some(file) = Place::Tmpfs.file() else { skip!("/dev/shm is no tmpfs") };
    let mut one = log(&file, &MmapOptions::new());
    one.append(&bytes(0, 9 * MIB + 5)).unwrap();
    assert!(file.metadata().unwrap().len() >= 64 * MIB as u64);
    drop(one);
    check(&file, 9 * MIB as u64 + 5);
    assert_eq!(allocated(&file), whole_pages(9 * MIB as u64 + 5));
    let mut other = log(&file, &MmapOptions::new());
    let panicking = AssertUnwindSafe(move || {
        other.append(&bytes(9 * MIB as u64 + 5, 3)).unwrap();
        panic!("on purpose");
    });
    assert!(catch_unwind(panicking).is_err());
    check(&file, 9 * MIB as u64 + 8);
    assert_eq!(allocated(&file), whole_pages(9 * MIB as u64 + 8));
}

#[test]
fn nothing_is_changed_before_the_first_append_or_by_one_that_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    std::fs::write(&path, bytes(0, 1000)).unwrap();
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    let cases = [
        OpenOptions::new().read(true).open(&path).unwrap(),
        OpenOptions::new().write(true).open(&path).unwrap(),
    ];
    for file in cases {
        drop(log(&file, &MmapOptions::new()));
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), before);
        let mut log = log(&file, &MmapOptions::new());
        assert!(log.append(b"x").is_err());
        assert_eq!(log.len(), 1000);
        log.close().unwrap();
        check(&File::open(&path).unwrap(), 1000);
    }
}

/// A file on a file system of its own that has room for `bytes`, or why there is none.
fn file_with_room_for(bytes: usize) -> Result<File, String> {
    let make = || -> rustix::io::Result<std::os::fd::OwnedFd> {
        let made = mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        mount::fsconfig_set_string(made.as_fd(), "size", bytes.to_string())?;
        mount::fsconfig_create(made.as_fd())?;
        let attributes = MountAttrFlags::empty();
        let root = mount::fsmount(made.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        rustix::fs::openat(root, "file", flags, FileMode::RUSR | FileMode::WUSR)
    };
    make().map(File::from).map_err(|error| format!("no file system of our own: {error}"))
}

#[test]
fn a_full_disk_is_an_error_that_appends_nothing() {
    if role().is_none() {
        // A signal would be the end of the other tests.
        return common::in_child("full");
    }
    const ROOM: usize = 24 * MIB;
    for mode in [Mode::Auto, Mode::Off] {
        let file = match file_with_room_for(ROOM) {
            Ok(file) => file,
            Err(reason) => skip!("{reason}"),
        };
        let mut log = log(&file, MmapOptions::new().mode(mode));
        let mut len = 0;
        let error = loop {
            match log.append(&bytes(len, 10_000)) {
                Ok(_) => len += 10_000,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        assert_eq!(log.len(), len);
        assert_eq!(len, (ROOM / 10_000 * 10_000) as u64, "all of the room is used");
        // What does not fit leaves nothing; what fits is appended.
        assert!(log.append(&bytes(len, 40 * MIB)).is_err());
        let left = ROOM - len as usize;
        assert_eq!(log.append(&bytes(len, left)).unwrap(), len);
        // Room is made.
        let whole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&file, whole, 0, MIB as u64).unwrap();
        log.append(&bytes(ROOM as u64, 10_000)).unwrap();
        log.close().unwrap();
        file.write_all_at(&bytes(0, MIB - 20 * page()), 0).unwrap();
        file.set_len(ROOM as u64).unwrap();
        let mut end = vec![0; MIB];
        file.read_exact_at(&mut end, (ROOM - MIB) as u64).unwrap();
        assert!(end == bytes((ROOM - MIB) as u64, MIB), "{mode:?}");
    }
}

#[test]
fn a_forked_child_does_not_cut_what_its_parent_appends() {
    let Some(file) = Place::Tmpfs.file() else { skip!("/dev/shm is no tmpfs") };
    let mut log = log(&file, &MmapOptions::new());
    log.append(&bytes(0, MIB)).unwrap();
    // SAFETY: the child drops the log and ends at once.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        // SAFETY: no precondition. A child that hangs dies.
        unsafe { libc::alarm(10) };
        drop(log);
        // SAFETY: ends the child at once and has no precondition.
        unsafe { libc::_exit(0) };
    }
    let mut status = -1;
    // SAFETY: `status` is writable, and `pid` is a child of this process.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, 0);
    assert!(file.metadata().unwrap().len() > MIB as u64);
    log.append(&bytes(MIB as u64, MIB)).unwrap();
    log.close().unwrap();
    check(&file, 2 * MIB as u64);
}

/// Prints how fast 1 GiB is appended in records of 64 KiB: `--ignored --nocapture`, built with --release.
#[test]
#[ignore = "a measurement"]
fn how_fast_a_gibibyte_is_appended() {
    const LEN: usize = 1 << 30;
    let record = vec![7; 64 * KIB];
    let plain = || {
        let file = Place::Tmpfs.sparse(LEN).unwrap();
        let begun = Instant::now();
        // SAFETY: the file has no name, and nobody else changes it.
        let mut map = unsafe { memmap2::MmapMut::map_mut(&file) }.unwrap();
        map.chunks_exact_mut(record.len()).for_each(|chunk| chunk.copy_from_slice(&record));
        LEN as f64 / begun.elapsed().as_secs_f64() / 1e9
    };
    let ours = |mode| {
        let file = Place::Tmpfs.file().unwrap();
        let begun = Instant::now();
        let mut log = log(&file, MmapOptions::new().mode(mode));
        for _ in 0..LEN / record.len() {
            log.append(&record).unwrap();
        }
        LEN as f64 / begun.elapsed().as_secs_f64() / 1e9
    };
    for _ in 0..3 {
        let (plain, auto, off) = (plain(), ours(Mode::Auto), ours(Mode::Off));
        println!("plain {plain:.2} GB/s, AppendMap {auto:.2}, AppendMap with Mode::Off {off:.2}");
    }
}
