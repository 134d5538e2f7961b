//! What a block-gzip file may look like.

mod damaged;

use std::io::ErrorKind::{InvalidData, UnexpectedEof};
use std::io::Write;

use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;
use tempfile::NamedTempFile;

use super::blocks::{EOF_MARKER, HEADER_LEN, UNCOMPRESSED_LEN_MAX};
use super::*;

/// What bgzip puts into a block, so that even what does not compress fits into 64 KiB.
const BGZIP_LEN: usize = 0xff00;

/// A block that holds `bytes`, with `extra` fields before the one that counts.
fn block_with(bytes: &[u8], level: Compression, extra: &[u8]) -> Vec<u8> {
    let mut data = vec![0; bytes.len() + 1024];
    let mut deflate = Compress::new(level, false);
    deflate.compress(bytes, &mut data, FlushCompress::Finish).unwrap();
    data.truncate(deflate.total_out() as usize);
    let mut crc = Crc::new();
    crc.update(bytes);
    let block_len = HEADER_LEN + extra.len() + data.len() + TRAILER_LEN;
    let mut block = vec![31, 139, 8, 4, 0, 0, 0, 0, 0, 255];
    block.extend(u16::try_from(6 + extra.len()).unwrap().to_le_bytes());
    block.extend(extra);
    block.extend(b"BC\x02\x00");
    block.extend(u16::try_from(block_len - 1).unwrap().to_le_bytes());
    block.extend(data);
    block.extend(crc.sum().to_le_bytes());
    block.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
    block
}

fn block(bytes: &[u8]) -> Vec<u8> {
    block_with(bytes, Compression::default(), &[])
}

/// A whole file of these blocks.
fn bgzf(blocks: &[&[u8]]) -> Vec<u8> {
    let mut file: Vec<u8> = blocks.iter().flat_map(|bytes| block(bytes)).collect();
    file.extend(EOF_MARKER);
    file
}

fn written(file: &[u8]) -> NamedTempFile {
    let mut temporary = NamedTempFile::new().unwrap();
    temporary.write_all(file).unwrap();
    temporary
}

fn open(file: &[u8]) -> io::Result<Bgzf> {
    Bgzf::open(written(file).path())
}

/// Bytes that compress (`kinds` small) or do not (256).
fn noise(len: usize, kinds: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % kinds) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Reads until `len` bytes or the end are there.
fn read(source: &Bgzf, len: usize, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0xaa; len];
    let mut filled = 0;
    while filled < len {
        match source.read_at(&mut bytes[filled..], offset + filled as u64)? {
            0 => break,
            more => filled += more,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[track_caller]
fn assert_invalid<T: Debug>(result: io::Result<T>, words: &[&str]) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), InvalidData, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{error}: without {word:?}");
    }
}

#[test]
fn a_file_of_only_the_marker_holds_nothing() {
    let source = open(&EOF_MARKER).unwrap();
    assert_eq!((source.len(), source.is_empty(), source.alignment()), (0, true, 1));
    assert_eq!(source.read_at(&mut [0; 10], 0).unwrap(), 0);
    assert_eq!(block(&[]), EOF_MARKER);
}

#[test]
fn one_block_is_read_whole_in_part_and_past_the_end() {
    let bytes = noise(10_000, 20);
    let source = open(&bgzf(&[&bytes])).unwrap();
    assert_eq!(source.len(), 10_000);
    assert_eq!(read(&source, 10_000, 0).unwrap(), bytes);
    assert_eq!(read(&source, 77, 0).unwrap(), bytes[..77]);
    assert_eq!(read(&source, 20_000, 9_999).unwrap(), bytes[9_999..]);
    assert_eq!(read(&source, 1, 10_000).unwrap(), []);
    assert_eq!(read(&source, 1, u64::MAX).unwrap(), []);
    assert_eq!(source.read_at(&mut [], 5).unwrap(), 0);
}

#[test]
fn a_read_takes_all_the_blocks_it_covers_at_once() {
    let bytes = noise(5 * BGZIP_LEN + 2 * UNCOMPRESSED_LEN_MAX, 256);
    let (random, even) = bytes.split_at(5 * BGZIP_LEN);
    let even: Vec<u8> = even.iter().map(|byte| byte % 4).collect();
    let blocks: Vec<&[u8]> =
        random.chunks(BGZIP_LEN).chain(even.chunks(UNCOMPRESSED_LEN_MAX)).collect();
    let source = open(&bgzf(&blocks)).unwrap();
    let bytes = blocks.concat();
    let mut buf = vec![0; bytes.len() + 1];
    assert_eq!(source.read_at(&mut buf, 0).unwrap(), bytes.len());
    assert_eq!(buf[..bytes.len()], bytes);
    assert_eq!(source.read_at(&mut buf[..200_000], 250_001).unwrap(), 200_000);
    assert_eq!(buf[..200_000], bytes[250_001..450_001]);
}

#[test]
fn empty_blocks_in_between_are_passed_over() {
    let mut file = [bgzf(&[b"", b"", b"abc", b"", b""]), bgzf(&[b"de", b""])].concat();
    // Nobody looks at their data either.
    file[HEADER_LEN] = 7;
    let between = 2 * EOF_MARKER.len() + block(b"abc").len();
    file[between + HEADER_LEN] = 7;
    let source = open(&file).unwrap();
    assert_eq!(source.len(), 5);
    assert_eq!(source.read_at(&mut [0; 9], 0).unwrap(), 5);
    for begin in 0..5 {
        for end in begin..5 {
            let bytes = read(&source, end - begin, begin as u64).unwrap();
            assert_eq!(bytes, b"abcde"[begin..end]);
        }
    }
}

#[test]
fn offsets_go_beyond_32_bits() {
    let zeros = block(&[0; UNCOMPRESSED_LEN_MAX]);
    let file = [zeros.repeat(65_537), bgzf(&[b"far away"])].concat();
    let source = open(&file).unwrap();
    assert_eq!(source.len(), (65_537 << 16) + 8);
    assert_eq!(read(&source, 10, (65_537 << 16) - 2).unwrap(), b"\0\0far away");
}

#[test]
fn other_extra_fields_are_passed_over() {
    let longer = block_with(b"abc", Compression::default(), b"XY\x03\x00abcBC\x01\x00-");
    let source = open(&[longer, bgzf(&[b"de"])].concat()).unwrap();
    assert_eq!(read(&source, 9, 0).unwrap(), b"abcde");
}

#[test]
fn threads_read_at_once() {
    let bytes = noise(1 << 20, 8);
    let blocks: Vec<&[u8]> = bytes.chunks(10_007).collect();
    let (source, bytes) = (&open(&bgzf(&blocks)).unwrap(), &bytes);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for offset in (thread * 1_001..bytes.len()).step_by(30_011) {
                    let end = bytes.len().min(offset + 25_000);
                    let read = read(source, 25_000, offset as u64).unwrap();
                    assert_eq!(read, bytes[offset..end]);
                }
            });
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_part_is_what_was_written(
        lens in prop::collection::vec(prop_oneof![0..40_usize, 0..=BGZIP_LEN], 0..8),
        reads in prop::collection::vec((any::<u64>(), 0..150_000_usize), 1..32),
        kinds in prop_oneof![Just(3), Just(256)],
    ) {
        let bytes = noise(lens.iter().sum(), kinds);
        let mut rest = &bytes[..];
        let blocks: Vec<&[u8]> =
            lens.iter().map(|&len| rest.split_off(..len).unwrap()).collect();
        let source = open(&bgzf(&blocks)).unwrap();
        prop_assert_eq!(source.len(), bytes.len() as u64);
        for (offset, len) in reads {
            let begin = (offset % (bytes.len() as u64 + 1)) as usize;
            let end = bytes.len().min(begin + len);
            prop_assert_eq!(&read(&source, len, begin as u64).unwrap(), &bytes[begin..end]);
        }
    }
}
