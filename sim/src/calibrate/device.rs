//! The disk, past the page cache.

use std::io;
use std::ops::Range;

use mmap_ahead::lab::{Depth, DirectFile};
use mmap_ahead_bench::random::Rng;

use super::Round;
use super::fixture::{Fixture, LEN, wall};
use super::line::theil_sen;

/// Lengths of reads that come one at a time, and how many of each.
const LENGTHS: [(u64, u64); 4] = [(4 << 10, 200), (64 << 10, 100), (256 << 10, 50), (1 << 20, 25)];

/// Reads of 4 KiB that come many at once.
const SMALL: u64 = 4096;
const SMALL_COUNT: u64 = 4000;
const SMALL_DEPTH: usize = 32;

/// Long reads, a few at once.
const LARGE: u64 = 2 << 20;

pub(super) fn measure(fixture: &Fixture, round: &mut Round) -> io::Result<()> {
    let file = DirectFile::open(&fixture.disk)?;
    let mut rng = Rng::new(round.len() as u64);
    let mut points = Vec::new();
    for (len, count) in LENGTHS {
        let ranges: Vec<_> = (0..count).map(|_| anywhere(&mut rng, len)).collect();
        points.push((len as f64, read(&file, ranges, len, 1)? / count as f64));
    }
    let latency = theil_sen(&points).at_0.max(1.0);
    let small: Vec<_> = (0..SMALL_COUNT).map(|_| anywhere(&mut rng, SMALL)).collect();
    let each = read(&file, small, SMALL, SMALL_DEPTH)? / SMALL_COUNT as f64;
    let large: Vec<_> = (0..LEN / LARGE).map(|at| at * LARGE..(at + 1) * LARGE).collect();
    let bandwidth = LEN as f64 / (read(&file, large, LARGE, 8)? / 1e9);
    round.insert("device_latency", latency);
    round.insert("device_bandwidth", bandwidth);
    round.insert("device_request", each - SMALL as f64 / bandwidth * 1e9);
    round.insert("device_queue_depth", (latency / each).ceil().clamp(1.0, 1024.0));
    if let Some(request_max) = fixture.request_max {
        round.insert("device_request_max", request_max as f64);
    }
    Ok(())
}

fn anywhere(rng: &mut Rng, len: u64) -> Range<u64> {
    let start = rng.below(LEN / len) * len;
    start..start + len
}

/// Nanoseconds for all of `ranges`, each at most `len` bytes, so many at once, without setting up.
fn read(file: &DirectFile, ranges: Vec<Range<u64>>, len: u64, reads: usize) -> io::Result<f64> {
    let depth = Depth { reads, buffers: reads + 1, buffer_len: len as usize };
    let set_up = wall(|| file.read([], depth, |_, _| {}))?;
    Ok((wall(|| file.read(ranges, depth, |_, _| {}))? - set_up).max(1.0))
}
