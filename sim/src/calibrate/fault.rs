//! Page faults on cached pages, and the parts that they are made of.
//!
//! A fault that maps k pages of tmpfs takes `A + k * g`, where g is an entry and a folio, and A all the
//! rest: mode switch, exception, lock, the handler's own work, a 32nd of a page table (there are 32
//! blocks in 2 MiB), and the touch itself.

use std::fs::File;
use std::io;

use memmap2::Advice;
use mmap_ahead_bench::cache::CacheState;
use mmap_ahead_bench::random::Scatter;

use super::Round;
use super::access::sum;
use super::fixture::{
    BLOCK, FILLED, Fixture, PAGE, SPARSE_LEN, TABLE, TABLES_LEN, faults, map, time, touch_every,
};
use super::line::{Line, median, theil_sen};
use crate::costs::Preset;

const BLOCKS: f64 = (SPARSE_LEN / BLOCK) as f64;
/// How many walks of each kind.
const WALKS: u32 = 3;

const BLOCKS_A_TABLE: f64 = (TABLE / BLOCK) as f64;

pub(super) fn measure(fixture: &Fixture, round: &mut Round) -> io::Result<()> {
    let get = |round: &Round, name| round.get(name).copied().unwrap_or(0.0);
    let touch = get(round, "access_line") + get(round, "tlb_miss");
    let mut points = Vec::new();
    for (pages, file) in &fixture.sparse {
        points.push((*pages as f64, touch_blocks(file, BLOCK)? / BLOCKS));
    }
    let around = theil_sen(&points);
    let around = Line { slope: around.slope.max(0.0), ..around };
    let tables = touch_blocks(&fixture.tables, TABLE)? / (TABLES_LEN / TABLE) as f64;
    let of_others = 1.0 - 1.0 / BLOCKS_A_TABLE;
    let table = ((tables - around.at_0 - around.slope) / of_others).max(0.0);
    let pte = pte(fixture, around.at_0 - table / BLOCKS_A_TABLE + around.slope, table)?;
    let pte = pte.clamp(0.0, around.slope);
    let bare = around.at_0 - table / BLOCKS_A_TABLE - touch;
    let entry = get(round, "mode_switch") + exception();
    round.insert("minor_fault_base", bare - entry - get(round, "lock"));
    round.insert("pte_table", table);
    round.insert("pte", pte);
    round.insert("folio_map", around.slope - pte);
    let full = FILLED[FILLED.len() - 1] as f64;
    let (_, file) = &fixture.sparse[fixture.sparse.len() - 1];
    round.insert("populate_step", populate(file)? - full * around.slope - table / BLOCKS_A_TABLE);
    let fault = bare + full * around.slope + table / BLOCKS_A_TABLE;
    // A fault between pages that are read takes more than one between touches, and the more of them.
    let page = disturbance(file, PAGE)? - fault;
    let block = disturbance(file, BLOCK)? - fault;
    round.insert("access_disturbed", page);
    round.insert("fault_cooled", (block - page) / (full - 1.0));
    Ok(())
}

/// Not separable from the rest of a fault in user mode.
fn exception() -> f64 {
    Preset::Nvme.sheet().costs.get("exception").map_or(0.0, |cost| cost.value)
}

/// Touches a new mapping once every so many bytes: the median of some walks.
fn touch_blocks(file: &File, every: u64) -> io::Result<f64> {
    let walk = || {
        let map = map(file)?;
        time(|| {
            touch_every(&map, every);
            Ok(())
        })
    };
    Ok(median((0..WALKS).map(|_| walk()).collect::<io::Result<_>>()?))
}

/// Populating a block of 16 pages.
fn populate(file: &File) -> io::Result<f64> {
    let walk = || {
        let map = map(file)?;
        time(|| map.advise(Advice::PopulateRead))
    };
    Ok(median((0..WALKS).map(|_| walk()).collect::<io::Result<_>>()?) / BLOCKS)
}

/// One entry of a large folio: a fault on the disk's file maps whole ones. `one` is what a fault
/// takes that maps one page.
fn pte(fixture: &Fixture, one: f64, table: f64) -> io::Result<f64> {
    CacheState::Warm.prepare(&fixture.disk).map_err(io::Error::other)?;
    let map = map(&File::open(&fixture.disk)?)?;
    let before = faults();
    let all = time(|| {
        touch_every(&map, BLOCK);
        Ok(())
    })?;
    let count = (faults() - before).max(1) as f64;
    let pages = map.len() as f64 / PAGE as f64;
    // What is touched without a fault: one line and a translation, in `one` for the others.
    let tables = map.len() as f64 / TABLE as f64;
    let touches = map.len() as f64 / BLOCK as f64;
    let idle = (touches - count) * second_walk(&map)? / touches;
    Ok((all - idle - count * one - tables * table) / (pages - count).max(1.0))
}

/// The same touches when all is mapped.
fn second_walk(map: &[u8]) -> io::Result<f64> {
    time(|| {
        touch_every(map, BLOCK);
        Ok(())
    })
}

/// What the faults of a walk over blocks in a shuffled order, of each of which `len` bytes are read, take
/// for each.
fn disturbance(file: &File, len: u64) -> io::Result<f64> {
    let map = map(file)?;
    let blocks = SPARSE_LEN / BLOCK;
    let order = Scatter::new(blocks, 3);
    let walk = || {
        time(|| {
            for number in 0..blocks {
                let start = (order.at(number) * BLOCK) as usize;
                std::hint::black_box(sum(&map[start..start + len as usize]));
            }
            Ok(())
        })
    };
    let (with_faults, without) = (walk()?, walk()?);
    Ok((with_faults - without) / blocks as f64)
}
