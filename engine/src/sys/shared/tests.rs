//! Copies, flushes and refusals of memory that others store to.

use super::*;
use std::os::unix::fs::FileExt;

fn mapped(len: usize) -> (File, SharedMemory) {
    let file = tempfile::tempfile().unwrap();
    file.set_len(len as u64).unwrap();
    let memory = SharedMemory::map_sync(&file, len).unwrap();
    (file, memory)
}

fn numbers(len: usize) -> Vec<u8> {
    (1..=len).map(|number| (number % 251) as u8).collect()
}

fn file_bytes(file: &File, offset: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, offset as u64).unwrap();
    bytes
}

#[test]
fn copies_are_exact_at_every_alignment_and_touch_nothing_else() {
    for (offset, len) in [(0, 0), (0, 1), (1, 7), (3, 8), (5, 64), (8, 24), (63, 130), (7, 2)] {
        let (file, memory) = mapped(4096);
        let bytes = numbers(len);
        memory.copy_in(offset, &bytes);
        let mut back = vec![0; len];
        memory.copy_out(offset, &mut back);
        assert_eq!((back, file_bytes(&file, offset, len)), (bytes.clone(), bytes));
        assert_eq!(file_bytes(&file, 0, offset), vec![0; offset]);
        assert!(file_bytes(&file, offset + len, 64).iter().all(|&byte| byte == 0));
    }
}

#[test]
fn streamed_copies_are_exact_at_every_alignment_and_touch_nothing_else() {
    let flush = LineFlush::best().expect("every x86-64 and arm64 machine has one");
    for (offset, len) in [(0, 0), (0, 1), (1, 63), (3, 300), (64, 64), (0, 4096), (63, 2000)] {
        let (file, memory) = mapped(8192);
        let bytes = numbers(len);
        memory.stream_in(offset, &bytes, flush);
        assert_eq!(file_bytes(&file, offset, len), bytes, "{offset} {len}");
        assert_eq!(file_bytes(&file, 0, offset), vec![0; offset]);
        assert!(file_bytes(&file, offset + len, 64).iter().all(|&byte| byte == 0));
    }
}

#[test]
fn flushing_changes_no_byte() {
    let (file, memory) = mapped(8192);
    let bytes = numbers(8192);
    memory.copy_in(0, &bytes);
    for flush in LineFlush::all() {
        memory.flush_lines(5, 5000, flush);
        flush.fence();
    }
    memory.sync_pages(4097, 2).unwrap();
    assert_eq!(file_bytes(&file, 0, 8192), bytes);
}

#[test]
fn more_than_the_file_has_is_refused() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(100).unwrap();
    for len in [0, 101] {
        let refused = SharedMemory::map(&file, len).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }
    assert_eq!(SharedMemory::map(&file, 100).unwrap().len(), 100);
}

#[test]
#[should_panic(expected = "multiple of 8")]
fn a_word_is_aligned() {
    let _ = mapped(4096).1.word64(4);
}
