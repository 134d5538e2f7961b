//! `Reader` on everything that can be opened: files cold and warm, pipes, devices, /proc, nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use mmap_ahead::{Mmap, ReadPath, Reader, ReaderStats, lab};
use rustix::fs::{Advice, fadvise, statfs};
use tempfile::TempDir;

/// "Illegal seek".
const ESPIPE: i32 = 29;

/// The most that a reader asks for ahead of its offset.
const DISTANCE_MAX: u64 = 8 << 20;

fn bytes(len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect()
}

fn file_with(dir: &TempDir, content: &[u8]) -> PathBuf {
    let path = dir.path().join("data");
    fs::write(&path, content).unwrap();
    path
}

fn reader_of(pipe: impl Into<OwnedFd>) -> Reader {
    Reader::from_file(File::from(pipe.into()))
}

#[test]
fn a_pipe_is_read_to_its_end_and_cannot_be_sought() {
    let (read, mut write) = io::pipe().unwrap();
    let content = bytes(700_000);
    let sent = content.clone();
    let writer = thread::spawn(move || write.write_all(&sent).unwrap());
    let mut reader = reader_of(read);
    assert_eq!(reader.seek(SeekFrom::Start(0)).unwrap_err().raw_os_error(), Some(ESPIPE));
    assert_eq!(reader.stream_position().unwrap_err().raw_os_error(), Some(ESPIPE));
    assert_eq!(reader.read_at(&mut [0; 10], 0).unwrap_err().raw_os_error(), Some(ESPIPE));
    assert_eq!((reader.len().unwrap(), reader.is_empty().unwrap()), (0, true));
    let mut received = vec![0; 10];
    reader.read_exact(&mut received).unwrap();
    reader.read_to_end(&mut received).unwrap();
    writer.join().unwrap();
    assert!(received == content);
    let stats = reader.stats();
    assert_eq!((stats.path, stats.ahead_bytes), (ReadPath::Stream, 0));
    assert!(stats.reads >= 700_000 / (64 << 10), "{stats:?}");
}

/// What is in the pipe is lent at once; nothing waits for the buffer to be full.
#[test]
fn a_pipe_lends_what_has_arrived() {
    let (read, mut write) = io::pipe().unwrap();
    let mut reader = reader_of(read);
    for message in ["first\n", "second\n"] {
        write.write_all(message.as_bytes()).unwrap();
        assert_eq!(reader.fill_buf().unwrap(), message.as_bytes());
        reader.consume(message.len());
    }
    drop(write);
    assert_eq!(reader.fill_buf().unwrap(), b"");
}

#[test]
fn files_in_proc_are_read_although_they_say_that_they_are_empty() {
    for path in ["/proc/filesystems", "/proc/self/limits", "/proc/version"] {
        let mut text = String::new();
        let mut reader = Reader::open(path).unwrap();
        assert_eq!(reader.read_to_string(&mut text).unwrap(), text.len());
        assert_eq!(text, fs::read_to_string(path).unwrap());
        assert_eq!(reader.stats().path, ReadPath::Stream);
        reader.rewind().unwrap();
        assert_eq!(reader.lines().next().unwrap().unwrap(), text.lines().next().unwrap());
    }
    let maps = Reader::open("/proc/self/maps").unwrap();
    assert!(maps.lines().any(|line| line.unwrap().ends_with("[stack]")));
}

#[test]
fn devices_are_read() {
    let mut zeros = Reader::open("/dev/zero").unwrap();
    let mut buf = vec![1; 1 << 20];
    zeros.read_exact(&mut buf).unwrap();
    assert!(buf.iter().all(|&byte| byte == 0));
    assert_eq!(zeros.read_at(&mut buf, 12).unwrap(), 1 << 20);
    let mut nothing = Reader::open("/dev/null").unwrap();
    assert_eq!(nothing.read(&mut buf).unwrap(), 0);
}

#[test]
fn a_directory_is_refused_in_the_systems_words() {
    let mut ours = Reader::open("/").unwrap();
    let mut plain = File::open("/").unwrap();
    let expected = plain.read(&mut [0; 8]).unwrap_err();
    assert_eq!(ours.read(&mut [0; 8]).unwrap_err().raw_os_error(), expected.raw_os_error());
    assert_eq!(ours.fill_buf().unwrap_err().raw_os_error(), expected.raw_os_error());
}

#[test]
fn an_empty_file_is_empty_until_it_grows() {
    let dir = tempfile::tempdir().unwrap();
    let path = file_with(&dir, b"");
    let mut reader = Reader::open(&path).unwrap();
    assert!(reader.is_empty().unwrap());
    assert_eq!(reader.fill_buf().unwrap(), b"");
    let mut text = String::new();
    assert_eq!(reader.read_to_string(&mut text).unwrap(), 0);
    fs::write(&path, "late").unwrap();
    assert_eq!(reader.read_to_string(&mut text).unwrap(), 4);
    assert_eq!((text.as_str(), reader.len().unwrap()), ("late", 4));
}

#[test]
fn a_log_is_followed_as_it_grows_and_a_cut_file_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = file_with(&dir, b"one\n");
    let mut reader = Reader::open(&path).unwrap();
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(reader.read_line(&mut line).unwrap(), 0);
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"two\n").unwrap();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "one\ntwo\n");
    OpenOptions::new().write(true).open(&path).unwrap().set_len(2).unwrap();
    assert_eq!(reader.read_line(&mut line).unwrap(), 0);
    assert_eq!(reader.seek(SeekFrom::End(0)).unwrap(), 2);
}

#[test]
fn an_open_file_is_read_from_where_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = File::open(file_with(&dir, b"0123456789")).unwrap();
    file.seek(SeekFrom::Start(4)).unwrap();
    let mut reader = Reader::from_file(file);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "456789");
}

#[test]
fn a_shared_mapping_is_lent_without_a_copy() {
    let dir = tempfile::tempdir().unwrap();
    let content = bytes(300_000);
    let file = File::open(file_with(&dir, &content)).unwrap();
    // SAFETY: nobody changes the file.
    let map = Arc::new(unsafe { Mmap::map(&file) }.unwrap());
    // SAFETY: as above.
    let mut reader = unsafe { Reader::from_mmap(Arc::clone(&map)) };
    reader.consume(1000);
    let lent = reader.fill_buf().unwrap();
    assert_eq!(lent.as_ptr(), map[1000..].as_ptr());
    assert!(lent == &content[1000..]);
    reader.consume(usize::MAX);
    assert_eq!(reader.stream_position().unwrap(), 300_000);
}

/// A file on a disk, written back, none of it in the page cache; `None` where that is impossible.
fn cold_file(dir: &TempDir, content: &[u8]) -> Option<PathBuf> {
    const TMPFS_MAGIC: u32 = 0x0102_1994;
    let path = file_with(dir, content);
    let file = File::open(&path).unwrap();
    if statfs(dir.path()).unwrap().f_type as u32 == TMPFS_MAGIC {
        println!("SKIPPED: {} is a tmpfs, nothing is ever cold there", dir.path().display());
        return None;
    }
    drop_from_cache(&file)?;
    Some(path)
}

fn drop_from_cache(file: &File) -> Option<()> {
    file.sync_all().unwrap();
    fadvise(file, 0, None, Advice::DontNeed).unwrap();
    let cached = lab::cached(file).map_or(u64::MAX, |view| view.cached_pages);
    if cached > 64 {
        println!("SKIPPED: {cached} pages of the file stay cached, or the kernel does not tell");
        return None;
    }
    Some(())
}

fn read_all(path: &Path, piece: usize, expected: &[u8]) -> Reader {
    let mut reader = Reader::open(path).unwrap();
    let mut buf = vec![0; piece];
    let mut offset = 0;
    loop {
        let len = reader.read(&mut buf).unwrap();
        if len == 0 {
            break;
        }
        assert!(buf[..len] == expected[offset..offset + len], "at {offset}");
        offset += len;
    }
    assert_eq!(offset, expected.len());
    reader
}

/// Whether the disk's `read_ahead_kb` is so large that the kernel is left alone.
fn kernel_reaches_far(path: &Path) -> bool {
    let device = fs::metadata(path).unwrap().dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let of = |folder: &str| {
        let path = format!("/sys/dev/block/{major}:{minor}/{folder}/read_ahead_kb");
        fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()
    };
    let kib = of("queue").or_else(|| of("../queue")).unwrap_or(128);
    println!("read_ahead_kb {kib}");
    kib >= 512
}

/// Reads a cold file, and says whether the kernel reaches far there. Somebody who measures may set that
/// while it is read; then it is read once more.
fn read_cold(dir: &TempDir, piece: usize, content: &[u8]) -> Option<(PathBuf, bool, ReaderStats)> {
    loop {
        let path = cold_file(dir, content)?;
        let is_far = kernel_reaches_far(&path);
        let stats = read_all(&path, piece, content).stats();
        if kernel_reaches_far(&path) == is_far {
            return Some((path, is_far, stats));
        }
    }
}

/// Keeps a file in the page cache: a machine that is short of memory drops what nobody has locked.
fn keep_cached(path: &Path) -> memmap2::Mmap {
    // SAFETY: nobody changes the file.
    let map = unsafe { memmap2::Mmap::map(&File::open(path).unwrap()) }.unwrap();
    if let Err(error) = map.lock() {
        println!("it may be dropped from the page cache: {error}");
    }
    map
}

#[test]
fn a_cold_run_asks_ahead_and_a_warm_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    // Too short for direct reads, long enough to find out who is faster.
    let content = bytes(15 << 20);
    for piece in [1000, 64 << 10, 300_000, 50 << 20] {
        let Some((path, is_far, cold)) = read_cold(&dir, piece, &content) else {
            return;
        };
        assert!(cold.waits > 0, "{piece}: {cold:?}");
        assert_eq!(cold.ahead_bytes > 0, !is_far, "{piece}: {cold:?}");
        assert!(cold.ahead_bytes <= 15 << 20, "{piece}: {cold:?}");
        let _kept = keep_cached(&path);
        let warm = read_all(&path, piece, &content).stats();
        assert_eq!((warm.ahead_bytes, warm.waits), (0, 0), "{piece}: {warm:?}");
    }
}

#[test]
fn a_run_that_stops_has_asked_for_no_more_than_its_distance() {
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = cold_file(&dir, &bytes(15 << 20)) else {
        return;
    };
    let mut reader = Reader::open(&path).unwrap();
    let mut buf = vec![0; 4 << 20];
    reader.read_exact(&mut buf).unwrap();
    let stats = reader.stats();
    assert!(stats.ahead_bytes <= (4 << 20) + DISTANCE_MAX, "{stats:?}");
}

#[test]
fn jumps_ask_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let content = bytes(64 << 20);
    let Some(path) = cold_file(&dir, &content) else {
        return;
    };
    let mut reader = Reader::open(&path).unwrap();
    let mut page = [0; 4096];
    for step in 1..30_u64 {
        let offset = (step * 37 % 64) << 20;
        reader.seek(SeekFrom::Start(offset)).unwrap();
        reader.read_exact(&mut page).unwrap();
        assert!(page[..] == content[offset as usize..][..4096]);
    }
    assert_eq!(reader.stats().ahead_bytes, 0);
    assert!(reader.stats().waits > 0);
}
