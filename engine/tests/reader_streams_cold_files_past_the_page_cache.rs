//! A long cold file is lent in frames of direct reads, and leaves next to nothing in the page cache;
//! what is cached comes from there, and short, warm and scattered reads start nothing.
//!
//! It fails when a frame is lent at a wrong offset, when a tail is cut, or when direct reads begin
//! where they do not pay.

mod common;

use std::fs::File;
use std::io::{BufRead, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use common::{KIB, MIB, Place, make_cold, read_ahead_kb, skip};
use mmap_ahead::{ReadPath, Reader, ReaderStats, lab};

/// How often a busy machine may get between the disk and its reader.
const TRIES: usize = 4;
/// Not a multiple of anything.
const LEN: usize = 64 * MIB + 12_345;

/// A cold file that was not changed lately.
fn cold(len: usize) -> Option<File> {
    let file = Place::Disk.numbered(len)?;
    make_cold(&file).map_err(|why| println!("SKIPPED: {why}")).ok()?;
    std::thread::sleep(Duration::from_millis(30));
    Some(file)
}

fn reader(file: &File) -> Reader {
    let mut own = file.try_clone().unwrap();
    own.rewind().unwrap();
    Reader::from_file(own)
}

fn expected(file: &File, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, offset).unwrap();
    bytes
}

/// Reads from `offset` to the end by what is lent, checks it, and says what it cost and how much was
/// cached when it was done.
///
/// What is lent goes into memory that was touched before: a reader that waits for fresh memory is
/// slower than the disk, and then the kernel's own read-ahead is never waited for.
fn scan(file: &File, offset: u64) -> (ReaderStats, u64) {
    let len = (file.metadata().unwrap().len() - offset) as usize;
    let mut all = vec![1; len];
    let mut reader = reader(file);
    reader.seek(SeekFrom::Start(offset)).unwrap();
    let mut at = 0;
    loop {
        let lent = reader.fill_buf().unwrap();
        if lent.is_empty() {
            break;
        }
        all[at..at + lent.len()].copy_from_slice(lent);
        at += lent.len();
        let len = lent.len();
        reader.consume(len);
    }
    let cached = lab::cached(file).unwrap().cached_pages * common::page() as u64;
    assert_eq!(at, len);
    assert!(all == expected(file, offset, len), "wrong bytes from {offset}");
    let stats = reader.stats();
    assert_eq!(stats.pread_bytes + stats.direct_bytes, len as u64, "{stats:?}");
    (stats, cached)
}

#[test]
fn a_cold_file_is_lent_in_frames_from_any_offset() {
    for offset in [0, 1, 4095, 4097, (3 * MIB + 77) as u64] {
        let mut seen = Vec::new();
        // A reader that is not let run for a while finds that the kernel has read ahead of it, and goes
        // on there: then it is tried once more.
        let is_lent = (0..TRIES).any(|_| {
            let Some(file) = cold(LEN) else { return true };
            let reach = read_ahead_kb(&file).unwrap_or(8192) * 1024;
            let (stats, cached) = scan(&file, offset);
            seen.push((cached, stats));
            // What pread(2) made the kernel read ahead before, a few times over.
            let most = MIB as u64 + 5 * reach;
            stats.direct_bytes > 0 && stats.pread_bytes <= most && cached <= most
        });
        if !seen.is_empty() && seen.iter().all(|(_, stats)| stats.direct_bytes == 0) {
            skip!("no direct reads here: {seen:?}");
        }
        assert!(is_lent, "from {offset}: {seen:?}");
    }
}

#[test]
fn short_files_and_warm_files_start_nothing() {
    let Some(file) = cold(15 * MIB) else { return };
    assert_eq!(scan(&file, 0).0.direct_bytes, 0, "a short file");
    let file = Place::Disk.numbered(LEN).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    let (stats, _) = scan(&file, 0);
    assert_eq!((stats.path, stats.direct_bytes, stats.waits), (ReadPath::Pread, 0, 0));
}

#[test]
fn a_header_and_jumps_start_nothing() {
    let Some(file) = cold(LEN) else { return };
    let mut reader = reader(&file);
    let mut piece = vec![0; 100 * KIB];
    for step in 0..40 {
        let offset = (step * 37 % 60 * MIB) as u64;
        reader.seek(SeekFrom::Start(offset)).unwrap();
        reader.read_exact(&mut piece).unwrap();
        assert!(piece == expected(&file, offset, piece.len()));
    }
    assert_eq!(reader.stats().direct_bytes, 0);
}

/// A third is cached, in pieces from 1 to 12 MiB: those come from the cache, the others do not.
#[test]
fn what_is_cached_comes_from_the_cache() {
    let Some(file) = cold(LEN) else { return };
    let quiet = File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)));
    let quiet = quiet.unwrap();
    rustix::fs::fadvise(&quiet, 0, None, rustix::fs::Advice::Random).unwrap();
    for (start, len) in [(9, 1), (20, 12), (40, 4), (50, 6)] {
        expected(&quiet, (start * MIB) as u64, len * MIB);
    }
    let reach = read_ahead_kb(&file).unwrap_or(8192) * 1024;
    let (stats, _) = scan(&file, 0);
    if stats.direct_bytes == 0 {
        skip!("no direct reads here: {stats:?}");
    }
    let cached = 22 * MIB as u64;
    assert!(stats.pread_bytes >= cached - 2 * MIB as u64, "{stats:?}");
    assert!(stats.pread_bytes <= cached + MIB as u64 + 5 * reach, "{stats:?}");
}

#[test]
fn a_run_that_stops_has_read_no_more_than_its_frames() {
    if common::role().is_none() {
        return common::in_child("stops");
    }
    let Some(file) = cold(128 * MIB) else { return };
    let before = read_bytes();
    let mut reader = reader(&file);
    let mut buf = vec![0; 8 * MIB];
    reader.read_exact(&mut buf).unwrap();
    drop(reader);
    let reach = 1024 * read_ahead_kb(&file).unwrap_or(8192);
    let read = read_bytes() - before;
    assert!(read <= 40 * MIB as u64 + 3 * reach, "{read}");
}

/// What this process had read from disks.
fn read_bytes() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("read_bytes: "));
    line.unwrap().parse().unwrap()
}
