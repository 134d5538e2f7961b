//! The disk: past the page cache, and into single pages of it.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use mmap_ahead::lab::{Depth, DirectFile};
use mmap_ahead_bench::cache::CacheState;
use mmap_ahead_bench::random::Rng;
use rustix::fs::{Advice, Mode, OFlags, fadvise, open};

use super::Round;
use super::fixture::{Fixture, LEN, PAGE, Queue, wall};
use super::line::median;
use crate::costs::Preset;

/// Reads of 4 KiB, one at a time and many at once. The line through longer ones does not meet them: it
/// bends, and made a single page 10% dearer than it is.
const SMALL: u64 = 4096;
const SINGLE_COUNT: u64 = 400;
const SMALL_COUNT: u64 = 4000;
const SMALL_DEPTH: usize = 32;

/// Two reads that come at once, a short one and a long one.
const SHORT: u64 = 512 << 10;
const LONG: u64 = 2 << 20;
/// How many such pairs.
const PAIRS: u64 = 8;

/// Long reads, a few at once.
const LARGE: u64 = 2 << 20;
const LARGE_DEPTH: usize = 8;

/// What one call of readahead asks for at least and at most: the kernel's usual read-ahead, and the 256
/// pages of a bio. No more is granted than `max_sectors_kb` or that read-ahead (KERNEL.md 7.1).
const CALL_MIN: u64 = 128 << 10;
const CALL_MAX: u64 = 1 << 20;
/// How much is asked for in all.
const AHEAD: u64 = LEN / 2;

pub(super) fn measure(fixture: &Fixture, round: &mut Round) -> io::Result<()> {
    let file = DirectFile::open(&fixture.disk)?;
    let mut rng = Rng::new(round.len() as u64);
    let drain = drain(&file)?;
    let alone = alone(fixture, &mut rng)?;
    let small: Vec<_> = (0..SMALL_COUNT).map(|_| anywhere(&mut rng, SMALL)).collect();
    let small = read(&file, small, SMALL, SMALL_DEPTH)? / SMALL_COUNT as f64;
    let large: Vec<_> = (0..LEN / LARGE).map(|at| at * LARGE..(at + 1) * LARGE).collect();
    let large = read(&file, large, LARGE, LARGE_DEPTH)? / (LEN / LARGE) as f64;
    // A single read is handed over, waits for the latency, and then for what every request takes. Of a
    // device that is drained, those that come at once share one latency.
    let submit = round.get("io_submit").copied().unwrap_or(0.0);
    let single = (alone - SMALL as f64 * large / LARGE as f64 - submit).max(1.0);
    let shared = |depth: usize| if drain < DRAINED { 0.0 } else { 1.0 / depth as f64 };
    let request_at = |bytes_ns: f64| {
        let own = small - SMALL as f64 * bytes_ns - single * shared(SMALL_DEPTH);
        (own / (1.0 - shared(SMALL_DEPTH))).clamp(0.0, single)
    };
    let request = request_at(large / LARGE as f64);
    let latency = (single - request).max(1.0);
    let bytes_ns = ((large - request - latency * shared(LARGE_DEPTH)) / LARGE as f64).max(1e-3);
    let segment = segment(fixture, latency * shared(1), request, bytes_ns)?;
    round.insert("device_drain", drain);
    round.insert("device_segment", segment);
    // What was measured is a mean, and has the tail in it that the simulator adds.
    round.insert("device_latency", latency / (1.0 + jitter()));
    round.insert("device_bandwidth", 1e9 / bytes_ns);
    round.insert("device_request", request);
    let Queue { request_max, pieces_max, depth } = fixture.queue;
    round.insert("device_queue_depth", depth.map_or(SMALL_DEPTH as f64, |depth| depth as f64));
    for (name, setting) in [("device_request_max", request_max), ("device_pieces_max", pieces_max)]
    {
        if let Some(setting) = setting {
            round.insert(name, setting as f64);
        }
    }
    Ok(())
}

/// Nanoseconds of a read of 4 KiB for which its reader sleeps in the kernel, as it does for a page: who
/// waits for a ring is woken otherwise, and was seen to be 5 us quicker.
fn alone(fixture: &Fixture, rng: &mut Rng) -> io::Result<f64> {
    let file = File::from(open(&fixture.disk, OFlags::RDONLY | OFlags::DIRECT, Mode::empty())?);
    let mut bytes = vec![0; 2 * SMALL as usize];
    let at = bytes.as_ptr().align_offset(SMALL as usize);
    let page = &mut bytes[at..at + SMALL as usize];
    let all = wall(|| {
        (0..SINGLE_COUNT).try_for_each(|_| file.read_exact_at(page, anywhere(rng, SMALL).start))
    })?;
    Ok(all / SINGLE_COUNT as f64)
}

/// The tail of the latency, as a share of it: not measured here.
fn jitter() -> f64 {
    Preset::Nvme.sheet().costs.get("device_jitter").map_or(0.0, |cost| cost.value)
}

/// From so much on, a device counts as drained before it tells.
const DRAINED: f64 = 0.5;

/// When the device tells of a read that it has done before another one, which came at the same time: 0: at
/// once, as far as their lengths tell; 1: together with the other.
fn drain(file: &DirectFile) -> io::Result<f64> {
    let depth = Depth { reads: 2, buffers: 3, buffer_len: LONG as usize };
    let mut shares = Vec::new();
    for pair in 0..PAIRS {
        let at = pair * 2 * LONG;
        let ranges = [at..at + SHORT, at + LONG..at + 2 * LONG];
        let mut told = Vec::new();
        let start = Instant::now();
        file.read(ranges, depth, |_, _| told.push(start.elapsed().as_nanos() as f64))?;
        if let [short, long] = told[..] {
            let own = SHORT as f64 / (SHORT + LONG) as f64;
            shares.push((short / long - own) / (1.0 - own));
        }
    }
    Ok(median(shares).clamp(0.0, 1.0))
}

/// Nanoseconds of a page that is a piece of memory of its own, beyond its bytes: what WILLNEED makes. The
/// first of a request is in what the request takes.
/// `waits`: the latency, where what does not fit into the ring waits for it.
fn segment(fixture: &Fixture, waits: f64, request: f64, bytes_ns: f64) -> io::Result<f64> {
    let call = fixture.queue.request_max.unwrap_or(0).clamp(CALL_MIN, CALL_MAX);
    let pages = call / PAGE;
    let ring = fixture.queue.pieces_max.unwrap_or(u64::MAX);
    let requests = pages.div_ceil(ring) as f64;
    let at_once = (ring / pages).max(1) as f64;
    let known = PAGE as f64 * bytes_ns + requests * (request + waits / at_once) / pages as f64;
    Ok((pages_of_cache(fixture, call)? - known) / (1.0 - requests / pages as f64))
}

/// Nanoseconds a page, of reading ahead in pages of their own.
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
