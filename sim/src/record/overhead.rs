//! What a recorded fault takes longer than one that is not, measured on this thread.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

use mmap_ahead::lab::{FaultEvents, FaultsOf, Peer, UsageOf, map_peer, usage};
use mmap_ahead::page::Nanos;
use rustix::fs::{MemfdFlags, memfd_create};

/// Memory that is mapped anew for each walk: 512 faults with the usual fault-around.
const LEN: usize = 32 << 20;

/// How many walks of each kind, in turn; the fastest of each counts.
const WALKS: usize = 9;

/// None where it cannot be measured.
pub(super) fn event_cost(faults_of: FaultsOf) -> Option<Nanos> {
    let file = memory().ok()?;
    let (mut plain, mut recorded) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..WALKS {
        plain = plain.min(fault_ns(&file).ok()?);
        // Long enough for a walk; nobody reads it.
        let events = FaultEvents::of_this_thread(faults_of, 256 << 10).ok()?;
        recorded = recorded.min(fault_ns(&file).ok()?);
        drop(events);
    }
    Some(Nanos((recorded - plain).max(0.0) as u64))
}

fn memory() -> io::Result<File> {
    let mut file = File::from(memfd_create("mmap-ahead-overhead", MemfdFlags::CLOEXEC)?);
    let piece = vec![1; 1 << 20];
    (0..LEN / piece.len()).try_for_each(|_| file.write_all(&piece))?;
    Ok(file)
}

/// Nanoseconds for each fault of a walk over the pages of a new mapping.
fn fault_ns(file: &File) -> io::Result<f64> {
    let map = map_peer(file, Peer::Plain)?;
    let before = usage(UsageOf::Thread).minor_faults;
    let start = Instant::now();
    for page in map.chunks(4096) {
        black_box(page[0]);
    }
    let ns = start.elapsed().as_nanos() as f64;
    let faults = usage(UsageOf::Thread).minor_faults - before;
    if faults == 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(ns / faults as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_takes_time() {
        let file = memory().unwrap();
        let Ok(mut events) = FaultEvents::of_this_thread(FaultsOf::User, 1 << 20) else {
            return eprintln!("SKIPPED: no perf events here");
        };
        let mut records = Vec::new();
        let with = fault_ns(&file).unwrap();
        events.drain(&mut records);
        let seen = super::super::events::events(&records, 0).count();
        drop(events);
        let without = fault_ns(&file).unwrap();
        eprintln!("{seen} events, {with} ns with, {without} ns without");
        assert!(seen > 0);
        assert!(event_cost(FaultsOf::User).is_some());
    }
}
