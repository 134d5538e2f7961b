//! Reading ahead of a cold file: what it takes the processor that asks for it.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;

use mmap_ahead_bench::cache::CacheState;
use rustix::fs::{Advice, fadvise};

use super::Round;
use super::fixture::{Fixture, LEN, PAGE, time};
use super::line::theil_sen;
use crate::Error;
use crate::costs::Preset;

/// Pages of one call.
const PAGES: [u64; 5] = [16, 64, 128, 256, 512];

/// How many calls of each length.
const CALLS: u64 = 4;

pub(super) fn measure(fixture: &Fixture, round: &mut Round) -> Result<(), Error> {
    let failed = |error: io::Error| Error::Calibrate(format!("reading ahead: {error}"));
    let cold = CacheState::Cold.prepare(&fixture.disk);
    cold.map_err(|error| Error::Calibrate(error.to_string()))?;
    let points = ask(fixture).map_err(failed)?;
    let line = theil_sen(&points);
    let page_add = Preset::Nvme.sheet().costs.get("page_add").map_or(0.0, |cost| cost.value);
    let get = |name| round.get(name).copied().unwrap_or(0.0);
    let call = get("mode_switch") + get("syscall");
    round.insert("folio_add", line.slope - page_add);
    round.insert("io_submit", line.at_0 - call);
    Ok(())
}

/// How many pages a call asked for, and how long it took.
fn ask(fixture: &Fixture) -> io::Result<Vec<(f64, f64)>> {
    let file = File::open(&fixture.disk)?;
    let mut points = Vec::new();
    let mut offset = 0;
    for _ in 0..CALLS {
        for pages in PAGES {
            let len = NonZeroU64::new(pages * PAGE);
            let took = time(|| Ok(fadvise(&file, offset, len, Advice::WillNeed)?))?;
            points.push((pages as f64, took));
            // Each finds the disk idle.
            file.read_exact_at(&mut [0], offset + pages * PAGE - 1)?;
            offset = (offset + (4 << 20)) % LEN;
        }
    }
    Ok(points)
}
