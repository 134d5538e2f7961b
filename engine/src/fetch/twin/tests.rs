use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use memmap2::Mmap;

use super::block::BLOCK_BYTES;
use super::*;

/// Neither whole blocks nor whole pages.
const LEN: usize = 4 * BLOCK_BYTES + 5000;

/// A file of which nothing is in memory, and a mapping of it; `None`, aloud, where files always are.
fn cold() -> Option<(File, Mmap)> {
    let file = tempfile::tempfile_in("/var/tmp").unwrap();
    file.write_all_at(&vec![7; LEN], 0).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    // SAFETY: nobody else has the file, and what is not there is not touched.
    let map = unsafe { Mmap::map(&file) }.unwrap();
    let is_cold = !sys::first_page_is_cached(span_of(&map)).unwrap();
    if !is_cold {
        println!("SKIPPED: what is in /var/tmp is always in memory");
    }
    is_cold.then_some((file, map))
}

fn span_of(map: &Mmap) -> Span {
    Span { addr: map.as_ptr() as usize, len: map.len() }
}

impl Twin {
    fn left_of(&self, span: Span) -> Vec<Span> {
        let mut left = Vec::new();
        self.read(span, &mut left);
        left
    }

    fn wait(&self) {
        let begun = Instant::now();
        while !self.inner.as_ref().unwrap().on_their_way.lock().unwrap().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(30), "a block never comes");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn all_blocks_of_a_range_are_read_whole_and_no_other() {
    let Some((file, map)) = cold() else { return };
    // A reader was in the second one.
    file.read_exact_at(&mut [0; 5000], BLOCK_BYTES as u64 + 400_000).unwrap();
    let twin = Twin::new(span_of(&map), 0, true).unwrap();
    let whole = span_of(&map);
    let range = whole.slice(BLOCK_BYTES / 2, 3 * BLOCK_BYTES + 4096);
    let left = [
        range.slice(0, BLOCK_BYTES / 2),
        whole.slice(3 * BLOCK_BYTES, range.len + BLOCK_BYTES / 2),
    ];
    assert_eq!(twin.left_of(range), left);
    twin.wait();
    std::thread::sleep(Duration::from_millis(50));
    let block = |index: usize| span_of(&map).slice(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
    (1..3).for_each(|index| assert!(sys::all_cached(block(index)).unwrap(), "block {index}"));
    for index in [0, 3] {
        assert!(
            !sys::first_page_is_cached(block(index)).unwrap(),
            "nobody asked for all of {index}"
        );
    }
    let end = span_of(&map).slice(4 * BLOCK_BYTES, LEN);
    assert_eq!(twin.left_of(end), []);
    twin.wait();
    assert!(sys::all_cached(end).unwrap(), "the file's end");
}

#[test]
fn a_file_that_became_shorter_hurts_nobody() {
    let Some((file, map)) = cold() else { return };
    let twin = Twin::new(span_of(&map), 0, true).unwrap();
    file.set_len(BLOCK_BYTES as u64).unwrap();
    assert_eq!(twin.left_of(span_of(&map)), []);
    twin.wait();
}

#[test]
fn what_is_asked_for_twice_is_read_once() {
    let Some((_file, map)) = cold() else { return };
    let twin = Twin::new(span_of(&map), 0, true).unwrap();
    let inner = twin.inner.as_ref().unwrap();
    assert!(inner.asks_for(3));
    assert!(!inner.asks_for(3));
    inner.is_there(3);
    assert!(inner.asks_for(3), "it may be gone again");
}

#[test]
fn the_second_mapping_goes_with_the_first_one_though_blocks_are_waited_for() {
    let Some((_file, map)) = cold() else { return };
    let twin = Twin::new(span_of(&map), 0, true).unwrap();
    let pages = twin.inner.as_ref().unwrap().map.pages();
    assert_eq!(twin.left_of(span_of(&map)), []);
    drop(twin);
    let begun = Instant::now();
    while sys::first_page_is_cached(pages).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is mapped still");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_private_mapping_has_none() {
    let Some((file, _)) = cold() else { return };
    // SAFETY: nobody else has the file.
    let map = unsafe { memmap2::MmapOptions::new().map_copy_read_only(&file) }.unwrap();
    let error = Twin::new(span_of(&map), 0, true).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
}
