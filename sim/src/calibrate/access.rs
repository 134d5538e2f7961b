//! Reading bytes that are mapped, and bytes that were copied.

use std::fs::File;
use std::hint::black_box;
use std::io;
use std::os::unix::fs::FileExt;

use mmap_ahead::lab::{Peer, map_peer};
use mmap_ahead_bench::cache::CacheState;
use mmap_ahead_bench::checksum::Checksum;
use mmap_ahead_bench::random::Scatter;

use super::Round;
use super::fixture::{Fixture, LEN, PAGE, time, touch_every};
use super::line::theil_sen;
use crate::costs::Preset;

/// Blocks of so many bytes are read from their last page to their first, in a shuffled order.
const BACK_BLOCK: u64 = 2 << 20;

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
    round.insert("access_back", in_blocks(&map, BACK_BLOCK)? - page);
    round.insert("access_far", alone(&map)? - page);
    drop(map);
    let Copies { byte, summing, folio } = copies(fixture)?;
    round.insert("copy", byte);
    round.insert("access_copied", summing);
    round.insert("folio_read", folio);
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

/// Nanoseconds a page, of blocks that are read backwards.
fn in_blocks(map: &[u8], block: u64) -> io::Result<f64> {
    let pages = |start: u64| (start / PAGE..(start + block) / PAGE).rev();
    sum_pages(map, block, pages)
}

/// Nanoseconds a page, of the first of every two.
fn alone(map: &[u8]) -> io::Result<f64> {
    sum_pages(map, 2 * PAGE, |start| start / PAGE..start / PAGE + 1)
}

/// Sums pages of every block, in a shuffled order of blocks.
fn sum_pages<P: Iterator<Item = u64>>(
    map: &[u8],
    block: u64,
    pages: impl Fn(u64) -> P,
) -> io::Result<f64> {
    let order = Scatter::new(map.len() as u64 / block, 5);
    let mut count = 0u32;
    let all = time(|| {
        for number in 0..map.len() as u64 / block {
            for page in pages(order.at(number) * block) {
                black_box(sum(&map[(page * PAGE) as usize..((page + 1) * PAGE) as usize]));
                count += 1;
            }
        }
        Ok(())
    })?;
    Ok(all / f64::from(count))
}

/// Nanoseconds of read(2).
struct Copies {
    /// A byte.
    byte: f64,
    /// For summing 4 KiB of what it brought.
    summing: f64,
    /// A folio.
    folio: f64,
}

/// The disk's file is in large folios, the one in memory has one for each page.
fn copies(fixture: &Fixture) -> io::Result<Copies> {
    CacheState::Warm.prepare(&fixture.disk).map_err(io::Error::other)?;
    let file = File::open(&fixture.disk)?;
    let mut buffer = vec![0; 256 << 10];
    let mut points = |file: &File| -> io::Result<Vec<(f64, f64)>> {
        let point = |len: u64| Ok((len as f64, walk(file, &mut buffer[..len as usize], |_| {})?));
        COPIES.into_iter().map(point).collect()
    };
    let (large, small) = (points(&file)?, points(&fixture.memory)?);
    let longest = large.last().map_or(0.0, |point| point.1);
    let summed = walk(&file, &mut buffer, |bytes| {
        black_box(sum(bytes));
    })?;
    let pages = (256 << 10) as f64 / PAGE as f64;
    let byte = theil_sen(&large).slope;
    let folio = (theil_sen(&small).slope - byte) * PAGE as f64;
    Ok(Copies { byte, summing: (summed - longest) / pages, folio })
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
