//! A file that is written, cut or extended while frames of it are in flight is read as by read(2):
//! what is read next is what the file holds then.
//!
//! It fails when a frame that was read before a change is lent after it.

mod common;

use std::fs::File;
use std::io::{BufRead, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use common::{MIB, Place, make_cold, skip};
use mmap_ahead::{ReadPath, Reader};

const LEN: usize = 48 * MIB + 777;

/// A reader that has come to a frame at `offset` of a cold file, with more of them in flight.
fn on_the_way(offset: usize) -> Option<(File, Reader)> {
    let file = Place::Disk.numbered(LEN)?;
    make_cold(&file).map_err(|why| println!("SKIPPED: {why}")).ok()?;
    std::thread::sleep(Duration::from_millis(30));
    let mut own = file.try_clone().unwrap();
    own.rewind().unwrap();
    let mut reader = Reader::from_file(own);
    reader.read_exact(&mut vec![0; offset]).unwrap();
    if reader.stats().path != ReadPath::Direct {
        println!("SKIPPED: no direct reads here: {:?}", reader.stats());
        return None;
    }
    Some((file, reader))
}

fn rest_is_the_files(reader: &mut Reader, file: &File) {
    let from = reader.stream_position().unwrap();
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    let mut expected = vec![0; (file.metadata().unwrap().len() - from) as usize];
    file.read_exact_at(&mut expected, from).unwrap();
    assert_eq!(rest.len(), expected.len());
    let wrong = rest.iter().zip(&expected).position(|(ours, theirs)| ours != theirs);
    assert_eq!(wrong, None, "after {from}");
}

#[test]
fn a_write_ahead_of_the_frame_is_seen() {
    for by in [2 * MIB, 5 * MIB, 11 * MIB] {
        let Some((file, mut reader)) = on_the_way(30 * MIB) else { return };
        file.write_all_at(&[0xAB; 9000], (30 * MIB + by) as u64).unwrap();
        rest_is_the_files(&mut reader, &file);
    }
}

#[test]
fn a_write_into_the_frame_is_seen_after_a_seek() {
    let Some((file, mut reader)) = on_the_way(30 * MIB + 1000) else { return };
    file.write_all_at(&[0xAB; 9000], (30 * MIB + 2000) as u64).unwrap();
    reader.seek(SeekFrom::Start((30 * MIB + 1000) as u64)).unwrap();
    rest_is_the_files(&mut reader, &file);
}

#[test]
fn dirty_pages_are_seen() {
    let Some((file, mut reader)) = on_the_way(30 * MIB) else { return };
    file.write_all_at(&[0xCD; 100_000], 40 * MIB as u64).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    reader.rewind().unwrap();
    rest_is_the_files(&mut reader, &file);
}

#[test]
fn nothing_is_lent_beyond_a_new_end() {
    for len in [32 * MIB, 36 * MIB + 5] {
        let Some((file, mut reader)) = on_the_way(30 * MIB) else { return };
        file.set_len(len as u64).unwrap();
        rest_is_the_files(&mut reader, &file);
        file.set_len(LEN as u64).unwrap();
        rest_is_the_files(&mut reader, &file);
    }
}

#[test]
fn what_is_appended_is_read() {
    let Some((file, mut reader)) = on_the_way(LEN - 1000) else { return };
    rest_is_the_files(&mut reader, &file);
    file.write_all_at(&[7; 3 * MIB], LEN as u64).unwrap();
    assert_eq!(reader.fill_buf().unwrap()[0], 7);
    rest_is_the_files(&mut reader, &file);
}

#[test]
fn one_goes_back_and_forth() {
    let Some((file, mut reader)) = on_the_way(20 * MIB + 5) else { return };
    let mut piece = vec![0; 3000];
    let mut check = |reader: &mut Reader, offset: u64| {
        assert_eq!(reader.stream_position().unwrap(), offset);
        reader.read_exact(&mut piece).unwrap();
        let mut expected = vec![0; piece.len()];
        file.read_exact_at(&mut expected, offset).unwrap();
        assert!(piece == expected, "at {offset}");
    };
    for by in [0, -2000, 4000, 70_000, -1_000_000, 1_500_000, 3_000_000, -9_000_000, 100] {
        let at = reader.stream_position().unwrap().checked_add_signed(by).unwrap();
        reader.seek_relative(by).unwrap();
        check(&mut reader, at);
        reader.seek(SeekFrom::Start(at + 17)).unwrap();
        check(&mut reader, at + 17);
    }
    assert!(reader.stats().direct_bytes > 0);
    if reader.stats().waits == 0 {
        skip!("nothing was cold");
    }
}
