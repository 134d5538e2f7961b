//! The disk: past the page cache, and into single pages of it.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use mmap_ahead::lab::{Depth, DirectFile};
use mmap_ahead_bench::cache::CacheState;
use mmap_ahead_bench::random::Rng;
use rustix::fs::{Advice, fadvise};

use super::Round;
use super::fixture::{Fixture, LEN, PAGE, wall};
use super::line::theil_sen;

/// Lengths of reads that come one at a time, and how many of each.
const LENGTHS: [(u64, u64); 4] = [(4 << 10, 200), (64 << 10, 100), (256 << 10, 50), (1 << 20, 25)];

/// Reads of 4 KiB that come many at once.
const SMALL: u64 = 4096;
const SMALL_COUNT: u64 = 4000;
const SMALL_DEPTH: usize = 32;

/// Reads that come two at once: while one is served, the other waits, as read-ahead's windows do.
const PAIRED: u64 = 128 << 10;

/// Long reads, a few at once.
const LARGE: u64 = 2 << 20;

/// What one call of readahead asks for at least and at most: the kernel's usual read-ahead, and the 256
/// pages of a bio. No more is granted than `max_sectors_kb` or that read-ahead (KERNEL.md 7.1).
const CALL_MIN: u64 = 128 << 10;
const CALL_MAX: u64 = 1 << 20;
/// How much is asked for in all.
const AHEAD: u64 = LEN / 2;

pub(super) fn measure(fixture: &Fixture, round: &mut Round) -> io::Result<()> {
    let file = DirectFile::open(&fixture.disk)?;
    let mut rng = Rng::new(round.len() as u64);
    let mut points = Vec::new();
    for (len, count) in LENGTHS {
        let ranges: Vec<_> = (0..count).map(|_| anywhere(&mut rng, len)).collect();
        points.push((len as f64, read(&file, ranges, len, 1)? / count as f64));
    }
    let small: Vec<_> = (0..SMALL_COUNT).map(|_| anywhere(&mut rng, SMALL)).collect();
    let each = read(&file, small, SMALL, SMALL_DEPTH)? / SMALL_COUNT as f64;
    let large: Vec<_> = (0..LEN / LARGE).map(|at| at * LARGE..(at + 1) * LARGE).collect();
    let bandwidth = LEN as f64 / (read(&file, large, LARGE, 8)? / 1e9);
    let request = (each - SMALL as f64 / bandwidth * 1e9).max(0.0);
    let halves: Vec<_> = (0..LEN / 2 / PAIRED).map(|_| anywhere(&mut rng, PAIRED)).collect();
    let count = halves.len() as f64;
    let paired = read(&file, halves, PAIRED, 2)? / count;
    let turn = (paired - PAIRED as f64 / bandwidth * 1e9 - request).max(0.0);
    // A single read is handed over, waits for the latency, for the device to turn to it, and then for what
    // every request takes.
    let submit = round.get("io_submit").copied().unwrap_or(0.0);
    let latency = (theil_sen(&points).at_0 - request - submit - turn).max(1.0);
    round.insert("device_turn", turn);
    let call = fixture.request_max.unwrap_or(0).clamp(CALL_MIN, CALL_MAX);
    let page = PAGE as f64 / bandwidth * 1e9 + request * PAGE as f64 / call as f64;
    round.insert("device_segment", pages_of_cache(fixture, call)? - page);
    round.insert("device_latency", latency);
    round.insert("device_bandwidth", bandwidth);
    round.insert("device_request", request);
    round.insert("device_queue_depth", SMALL_DEPTH as f64);
    if let Some(request_max) = fixture.request_max {
        round.insert("device_request_max", request_max as f64);
    }
    Ok(())
}

/// Nanoseconds a page, of reading ahead in pages of their own: what WILLNEED makes.
fn pages_of_cache(fixture: &Fixture, call: u64) -> io::Result<f64> {
    CacheState::Cold.prepare(&fixture.disk).map_err(io::Error::other)?;
    let file = File::open(&fixture.disk)?;
    let all = wall(|| {
        for offset in (0..AHEAD).step_by(call as usize) {
            fadvise(&file, offset, NonZeroU64::new(call), Advice::WillNeed)?;
        }
        file.read_exact_at(&mut [0], AHEAD - 1)
    })?;
    Ok(all / (AHEAD / PAGE) as f64)
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
