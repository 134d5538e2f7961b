//! Reading bytes that are mapped, and bytes that were copied.

use std::fs::File;
use std::hint::black_box;
use std::io;
use std::os::unix::fs::FileExt;

use mmap_ahead::lab::{Peer, map_peer};
use mmap_ahead_bench::cache::CacheState;
use mmap_ahead_bench::checksum::Checksum;

use super::Round;
use super::fixture::{Fixture, LEN, PAGE, time, touch_every};
use super::line::theil_sen;
use crate::costs::Preset;

/// Lengths of read(2) between which its slope is taken.
const COPIES: [u64; 5] = [16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10];

pub(super) fn measure(fixture: &Fixture, round: &mut Round) -> io::Result<()> {
    let pages = (LEN / PAGE) as f64;
    let map = map_peer(&fixture.memory, Peer::Populate)?;
    let line = time(|| {
        touch_every(&map, PAGE);
        Ok(())
    })? / pages;
    // A page of a mapping takes its translation too, once; this machine's is not measured apart.
    let tlb_miss = tlb_miss().min(line / 2.0);
    let page = time(|| {
        black_box(sum(&map));
        Ok(())
    })? / pages;
    round.insert("access_page", page - tlb_miss);
    round.insert("access_line", line - tlb_miss);
    round.insert("tlb_miss", tlb_miss);
    drop(map);
    let (copy, copied) = copies(fixture)?;
    round.insert("copy", copy);
    round.insert("access_copied", copied);
    Ok(())
}

pub(super) fn tlb_miss() -> f64 {
    Preset::Nvme.sheet().costs.get("tlb_miss").map_or(0.0, |cost| cost.value)
}

pub(super) fn sum(bytes: &[u8]) -> u64 {
    let mut checksum = Checksum::default();
    checksum.add(0, bytes);
    checksum.value()
}

/// Nanoseconds a byte of read(2), and for summing 4 KiB of what it brought.
fn copies(fixture: &Fixture) -> io::Result<(f64, f64)> {
    CacheState::Warm.prepare(&fixture.disk).map_err(io::Error::other)?;
    let file = File::open(&fixture.disk)?;
    let mut buffer = vec![0; 256 << 10];
    let mut points = Vec::new();
    for len in COPIES {
        let each = walk(&file, &mut buffer[..len as usize], |_| {})?;
        points.push((len as f64, each));
    }
    let longest = points.last().map_or(0.0, |point| point.1);
    let summed = walk(&file, &mut buffer, |bytes| {
        black_box(sum(bytes));
    })?;
    let pages = (256 << 10) as f64 / PAGE as f64;
    Ok((theil_sen(&points).slope, (summed - longest) / pages))
}

/// Reads a quarter of the file a buffer at a time; nanoseconds for each.
fn walk(file: &File, buffer: &mut [u8], mut each: impl FnMut(&[u8])) -> io::Result<f64> {
    let len = buffer.len() as u64;
    let count = LEN / 4 / len;
    let all = time(|| {
        (0..count).try_for_each(|at| {
            file.read_exact_at(buffer, at * len)?;
            each(buffer);
            Ok(())
        })
    })?;
    Ok(all / count as f64)
}
