//! When memory is short, less is read ahead, and as much as before when it is not.
//!
//! It fails when nobody tells the policies, and when they do not recover.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::thread;
use std::time::Duration;

use common::{MIB, Place, becomes, in_child, mapped_bytes, role, skip, touch_all};
use mmap_ahead::{Mmap, lab};

const PATIENCE: Duration = Duration::from_secs(10);

fn map(file: &File) -> Mmap {
    // SAFETY: the file has no name, and nobody writes it.
    unsafe { Mmap::map(file) }.unwrap()
}

fn read(chunk: &[u8]) {
    touch_all(chunk);
    thread::sleep(Duration::from_millis(2));
}

/// Reads 32 MiB from `*from` on, and says how much is mapped beyond.
fn ahead_after(map: &Mmap, from: &mut usize) -> usize {
    let to = *from + 32 * MIB;
    map[*from..to].chunks(MIB).for_each(read);
    *from = to;
    thread::sleep(Duration::from_millis(20));
    mapped_bytes(&map[to..])
}

#[test]
fn the_distance_shrinks_and_comes_back() {
    if role().is_none() {
        return in_child("alone");
    }
    let Some(file) = Place::Tmpfs.numbered(384 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let (map, mut at) = (map(&file), 0);
    ahead_after(&map, &mut at);
    let before = ahead_after(&map, &mut at);
    assert!(before >= 16 * MIB, "{before}: {:?}", map.stats());
    for times in 1..=6 {
        lab::press();
        map[at..at + 8 * MIB].chunks(MIB).for_each(read);
        at += 8 * MIB;
        assert!(becomes(PATIENCE, || map.stats().pressures >= times), "{:?}", map.stats());
    }
    let pressed = ahead_after(&map, &mut at);
    println!("seen: {before} bytes ahead, under pressure {pressed}");
    assert!(pressed <= 4 * MIB, "{pressed}: {:?}", map.stats());
    for _ in 0..6 {
        thread::sleep(Duration::from_millis(1050));
        map[at..at + 4 * MIB].chunks(MIB / 2).for_each(read);
        at += 4 * MIB;
    }
    let after = ahead_after(&map, &mut at).max(ahead_after(&map, &mut at));
    println!("seen: {after} bytes ahead after it");
    assert!(after >= 16 * MIB, "{after}: {:?}", map.stats());
}
