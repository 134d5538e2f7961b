//! Whatever the pattern, the limit and the queue: the bytes are the file's.

mod common;

use std::io::Write;
use std::path::Path;

use mmap_ahead::{Error, Paged, PagedMode, PagedOptions, PolicyKind};

/// Bytes that differ from page to page and within a page.
fn content(len: usize) -> Vec<u8> {
    let mix = |at: usize| (at as u64 / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    (0..len).map(|at| (mix(at) >> (at % 8 * 8)) as u8).collect()
}

fn file(dir: &Path, len: usize) -> (std::path::PathBuf, Vec<u8>) {
    let path = dir.join(format!("{len}"));
    let bytes = content(len);
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(&bytes).unwrap();
    file.sync_all().unwrap();
    (path, bytes)
}

fn open(options: &PagedOptions, path: &Path) -> Option<Paged> {
    match options.open(path) {
        Ok(paged) => Some(paged),
        Err(Error::Unsupported { .. }) => {
            println!("skipped: no userfaultfd here");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn files_of_every_length_read_whole() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let lens =
        [0, 1, 4095, 4096, 4097, 65536, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, (7 << 20) + 12345];
    for len in lens {
        let (path, bytes) = file(dir.path(), len);
        for policy in PolicyKind::ALL {
            let options = PagedOptions::new().policy(policy);
            let Some(paged) = open(&options, &path) else { return };
            assert!(*paged == *bytes, "{len} bytes, {policy:?}: {:?}", paged.stats());
        }
    }
}

#[test]
fn a_file_eight_times_the_limit_reads_whole_again_and_again() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let (path, bytes) = file(dir.path(), (64 << 20) + 777);
    let options = PagedOptions::new().memory_limit(8 << 20);
    let Some(paged) = open(&options, &path) else { return };
    println!("{:?}", paged.mode());
    assert!(matches!(paged.mode(), PagedMode::Userfault { .. }));
    for _ in 0..2 {
        assert!(*paged == *bytes, "{:?}", paged.stats());
        println!("{:?}", paged.stats());
    }
    for start in (0..bytes.len()).step_by(999_983).rev() {
        let end = (start + 10_000).min(bytes.len());
        assert!(paged[start..end] == bytes[start..end]);
    }
    println!("{:?}", paged.stats());
}

#[test]
fn many_threads_read_whatever_they_like_within_a_small_limit() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let (path, bytes) = file(dir.path(), (96 << 20) + 5);
    let options = PagedOptions::new().memory_limit(8 << 20);
    let Some(paged) = open(&options, &path) else { return };
    std::thread::scope(|scope| {
        for thread in 0..8_usize {
            let (paged, bytes) = (&paged, &bytes);
            scope.spawn(move || {
                let mut state = thread as u64 + 1;
                let mut random = move || {
                    state =
                        state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state >> 33) as usize
                };
                for _ in 0..400 {
                    let start = random() % bytes.len();
                    let len = [1, 5000, 100_000, 3 << 20][random() % 4];
                    let end = (start + len).min(bytes.len());
                    assert!(paged[start..end] == bytes[start..end], "{start}..{end}");
                }
            });
        }
    });
    println!("{:?}", paged.stats());
}
