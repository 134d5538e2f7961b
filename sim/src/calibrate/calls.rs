//! System calls, signals, threads, mappings.

use std::hint::black_box;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use mmap_ahead::lab::{Peer, map_peer};
use rustix::process::getppid;
use signal_hook::consts::SIGUSR1;

use super::Round;
use super::fixture::{Fixture, LEN, PAGE, map, time, time_each, wall};

/// How often what takes under a microsecond is repeated, and what takes more.
const MANY: u32 = 20_000;
const SOME: u32 = 2_000;

pub(super) fn measure(fixture: &Fixture, round: &mut Round) -> io::Result<()> {
    let mode_switch = time_each(MANY, || {
        black_box(getppid());
        Ok(())
    })?;
    let syscall = read_nothing(fixture)? - mode_switch;
    round.insert("mode_switch", mode_switch);
    round.insert("syscall", syscall);
    round.insert("signal", signal()? - mode_switch);
    round.insert("wake_up", wake_up()?);
    round.insert("lock", lock()?);
    let call = map_and_unmap(fixture)? / 2.0;
    round.insert("map_call", call - mode_switch - syscall);
    round.insert("zap", zap(fixture, call)?);
    Ok(())
}

/// A call that finds nothing to do.
fn read_nothing(fixture: &Fixture) -> io::Result<f64> {
    time_each(MANY, || fixture.memory.read_at(&mut [0], LEN).map(drop))
}

fn signal() -> io::Result<f64> {
    let came = std::sync::Arc::new(AtomicBool::new(false));
    let handler = signal_hook::flag::register(SIGUSR1, came)?;
    let each = time_each(SOME, || signal_hook::low_level::raise(SIGUSR1));
    signal_hook::low_level::unregister(handler);
    each
}

/// Two threads wake each other in turn.
fn wake_up() -> io::Result<f64> {
    let main = thread::current();
    let over = AtomicBool::new(false);
    let turn = AtomicBool::new(false);
    let wait = |mine: bool| {
        while turn.load(Ordering::Acquire) != mine {
            thread::park();
        }
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                wait(true);
                turn.store(false, Ordering::Release);
                main.unpark();
            }
        });
        let round_trips = wall(|| {
            for _ in 0..SOME {
                turn.store(true, Ordering::Release);
                other.thread().unpark();
                wait(false);
            }
            Ok(())
        });
        over.store(true, Ordering::Release);
        turn.store(true, Ordering::Release);
        other.thread().unpark();
        Ok(round_trips? / f64::from(SOME) / 2.0)
    })
}

fn lock() -> io::Result<f64> {
    let mutex = Mutex::new(0u64);
    time_each(MANY, || {
        if let Ok(mut count) = mutex.lock() {
            *black_box(&mut *count) += 1;
        }
        Ok(())
    })
}

fn map_and_unmap(fixture: &Fixture) -> io::Result<f64> {
    time_each(SOME, || map(&fixture.memory).map(drop))
}

/// munmap of a whole file whose pages are all mapped.
fn zap(fixture: &Fixture, call: f64) -> io::Result<f64> {
    let map = map_peer(&fixture.memory, Peer::Populate)?;
    let pages = map.len() as f64 / PAGE as f64;
    let unmapping = time(|| {
        drop(map);
        Ok(())
    })?;
    Ok((unmapping - call) / pages)
}
