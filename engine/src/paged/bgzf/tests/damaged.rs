//! What must be refused: files that are cut, changed, or never were block-gzip.

use super::*;

#[test]
fn a_file_cut_anywhere_is_truncated() {
    let file = bgzf(&[&noise(300, 256), &noise(300, 2)]);
    for len in 0..file.len() {
        assert_invalid(open(&file[..len]), &["truncated"]);
    }
    open(&file).unwrap();
}

#[test]
fn a_file_without_the_marker_is_truncated() {
    assert_invalid(open(&block(b"abc")), &["truncated", "end-of-file"]);
    // A block may end as the marker does.
    let stored = block_with(&EOF_MARKER, Compression::none(), &[]);
    assert_invalid(open(&stored), &["truncated", "end-of-file"]);
    // Or be shorter than it.
    let mut shortest = [&EOF_MARKER[..HEADER_LEN], &[0; 1 + TRAILER_LEN]].concat();
    shortest[16] = 26;
    assert_invalid(open(&shortest), &["truncated", "end-of-file"]);
    let mut other = bgzf(&[b"abc"]);
    let flags = other.len() - EOF_MARKER.len() + 8;
    other[flags] = 2;
    assert_invalid(open(&other), &["truncated", "end-of-file"]);
}

#[test]
fn what_is_no_bgzf_is_refused_where_it_begins() {
    assert_invalid(open(b"hello"), &["offset 0:", "not BGZF"]);
    assert_invalid(open(&noise(10_000, 256)), &["offset 0:", "not BGZF"]);
    let mut gzip = block(b"abc");
    gzip[3] = 0;
    assert_invalid(open(&gzip), &["offset 0:", "not BGZF"]);
    let mut nameless = bgzf(&[b"abc"]);
    nameless[13] = b'D';
    assert_invalid(open(&nameless), &["offset 0:", "not BGZF"]);
    let (first, marker) = (block(b"abc"), EOF_MARKER.len());
    let words = format!("offset {}:", first.len() + marker);
    let after = [&first[..], &EOF_MARKER, b"x"].concat();
    assert_invalid(open(&after), &[&words, "not BGZF"]);
    assert_eq!(Bgzf::open("/").unwrap_err().raw_os_error(), Some(libc::EISDIR));
    assert_eq!(Bgzf::open("/dev/null").unwrap_err().raw_os_error(), Some(libc::EINVAL));
}

#[test]
fn a_flipped_byte_is_an_error_that_names_the_block() {
    let first = block(b"before");
    let second = block_with(&noise(500, 256), Compression::none(), &[]);
    let words = format!("offset {}:", first.len());
    let file = [&first[..], &second, &bgzf(&[b"after"])].concat();
    // A stored block: 5 bytes that say so, and what it holds.
    let begin = first.len() + HEADER_LEN + 5;
    let crc_end = first.len() + second.len() - 4;
    for flipped in begin..crc_end {
        let mut file = file.clone();
        file[flipped] ^= 1;
        let source = open(&file).unwrap();
        let mut buf = [0; 600];
        assert_eq!(source.read_at(&mut buf, 0).unwrap(), 6, "what comes before is given");
        assert_invalid(source.read_at(&mut buf, 6), &[&words, "wrong CRC32"]);
        assert_invalid(source.read_at(&mut buf[..1], 400), &[&words, "wrong CRC32"]);
        assert_eq!(read(&source, 9, 506).unwrap(), b"after");
    }
    let mut file = file.clone();
    file[begin - 5] = 7;
    assert_invalid(open(&file).unwrap().read_at(&mut [0; 9], 6), &[&words, "no deflate"]);
}

#[test]
fn a_wrong_isize_is_an_error() {
    let good = block(&noise(1_000, 5));
    let at = good.len() - 4;
    for wrong in [1, 999, 1_001, 65_536_u32] {
        let mut file = [&good[..], &EOF_MARKER].concat();
        file[at..at + 4].copy_from_slice(&wrong.to_le_bytes());
        let source = open(&file).unwrap();
        assert_eq!(source.len(), u64::from(wrong));
        assert_invalid(read(&source, 70_000, 0), &["offset 0:", "not as long as it says"]);
    }
    for wrong in [65_537, u32::MAX] {
        let mut file = [&good[..], &EOF_MARKER].concat();
        file[at..at + 4].copy_from_slice(&wrong.to_le_bytes());
        assert_invalid(open(&file), &["offset 0:", "claims to hold"]);
    }
}

#[test]
fn a_wrong_block_size_is_an_error() {
    let good = bgzf(&[b"abc"]);
    for (wrong, words) in [(65_535, "truncated after"), (0, "shorter"), (25, "shorter")] {
        let mut file = good.clone();
        file[16..18].copy_from_slice(&u16::to_le_bytes(wrong));
        assert_invalid(open(&file), &["offset 0:", words]);
    }
    let mut file = good.clone();
    file[10..12].copy_from_slice(&u16::MAX.to_le_bytes());
    assert_invalid(open(&file), &["offset 0:", "truncated after"]);
}

#[test]
fn a_file_that_changes_later_is_an_error() {
    let temporary = written(&bgzf(&[&noise(500, 256), b"abc"]));
    let source = Bgzf::open(temporary.path()).unwrap();
    let write = |bytes: &[u8]| temporary.as_file().write_all_at(bytes, 0).unwrap();
    write(&bgzf(&[&noise(400, 256), b"abc"]));
    assert_invalid(read(&source, 500, 0), &["offset 0:", "has changed"]);
    let good = bgzf(&[&noise(500, 256), b"abc"]);
    let isize_at = block(&noise(500, 256)).len() - 4;
    let longer = [&good[..isize_at], &[0xff], &good[isize_at + 1..]].concat();
    write(&longer);
    assert_invalid(read(&source, 500, 0), &["offset 0:", "has changed"]);
    write(&good);
    assert_eq!(read(&source, 500, 0).unwrap(), noise(500, 256));
    write(b"hello");
    assert_invalid(read(&source, 500, 0), &["offset 0:", "not BGZF"]);
    temporary.as_file().set_len(100).unwrap();
    assert_eq!(read(&source, 500, 0).unwrap_err().kind(), UnexpectedEof);
}
