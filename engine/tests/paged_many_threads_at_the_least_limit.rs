//! Sixty-four threads in the least memory: all of them get on, and read the right bytes, also across
//! the borders of pages and frames (TRAPS 20).
//!
//! It fails when a page that was just brought is taken away before it is read, again and again, and
//! when a reader that waits is forgotten.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::paged::{Named, open, owned_bytes};
use common::{MIB, Numbered, Place, Random, in_child, page, role, skip};
use mmap_ahead::{Faults, MEMORY_LIMIT_MIN, Paged, PagedOptions};

const THREADS: usize = 64;
const LEN: usize = 64 * MIB + 11;
const FRAME: usize = 2 * MIB;
/// How long any one thread may take for one step.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads a number that lies on both sides of `border`.
fn check_across(paged: &[u8], border: usize) {
    let before = border - 3;
    let at = paged[before..before + 8].as_ptr().cast::<u64>();
    // SAFETY: eight bytes of the slice; any address will do.
    let loaded = unsafe { at.read_unaligned() };
    let mut expected = [0; 8];
    (0..3).for_each(|at| expected[at] = ((page() - 3 + at) % 251) as u8);
    let number = ((border / page()) as u64).to_ne_bytes();
    expected[3..].copy_from_slice(&number[..5]);
    assert_eq!(loaded.to_ne_bytes(), expected, "across {border}");
}

fn step(paged: &[u8], thread: usize, random: &mut Random, at: usize) {
    let pages = LEN / page();
    match thread % 4 {
        0 => Numbered::new().check(paged, (thread * 997 + at) % pages),
        1 => Numbered::new().check(paged, random.below(pages)),
        2 => check_across(paged, (1 + random.below(pages - 1)) * page()),
        _ => check_across(paged, (1 + random.below(LEN / FRAME)) * FRAME),
    }
}

/// Runs `step` on all threads for so many steps, and fails when one of them stands still.
fn all_get_on(paged: &Paged, steps: usize, step: impl Fn(usize, &mut Random, usize) + Sync) {
    let done: Vec<_> = (0..THREADS).map(|_| AtomicUsize::new(0)).collect();
    std::thread::scope(|scope| {
        let (over, overs) = mpsc::channel();
        for (thread, done) in done.iter().enumerate() {
            let (over, step) = (over.clone(), &step);
            scope.spawn(move || {
                let mut random = Random::new(thread as u64 + 1);
                for at in 0..steps {
                    step(thread, &mut random, at);
                    done.store(at + 1, Ordering::Relaxed);
                }
                over.send(()).unwrap();
            });
        }
        drop(over);
        let look = || done.iter().map(|done| done.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let (mut seen, mut since) = (look(), vec![Instant::now(); THREADS]);
        let mut running = THREADS;
        while running > 0 {
            match overs.recv_timeout(Duration::from_millis(50)) {
                Ok(()) => running -= 1,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                // A reader has failed; the scope tells.
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            for (thread, now) in look().into_iter().enumerate() {
                if now != seen[thread] || now == steps {
                    (seen[thread], since[thread]) = (now, Instant::now());
                }
                if since[thread].elapsed() > PATIENCE {
                    eprintln!("thread {thread} stands still at step {now}: {:?}", paged.stats());
                    std::process::abort();
                }
            }
            assert!(owned_bytes() <= MEMORY_LIMIT_MIN as usize + FRAME, "{}", owned_bytes());
        }
    });
}

fn least() -> Option<(Named, Paged)> {
    least_with(Faults::ServiceThread)
}

fn least_with(faults: Faults) -> Option<(Named, Paged)> {
    let file = Named::new(Place::Disk, LEN)?;
    let options = PagedOptions::new().memory_limit(MEMORY_LIMIT_MIN).faults(faults);
    let paged = open(&options, &file.path())?;
    Some((file, paged))
}

#[test]
fn a_mix_of_everything() {
    if role().is_none() {
        return in_child("mix");
    }
    let Some((_file, paged)) = least() else { skip!("no file on a disk") };
    all_get_on(&paged, 150, |thread, random, at| step(&paged, thread, random, at));
    println!("seen: {:?}", paged.stats());
}

#[test]
fn a_mix_of_everything_by_threads_that_serve_themselves() {
    if role().is_none() {
        return in_child("themselves");
    }
    let Some((_file, paged)) = least_with(Faults::OnFaultingThread) else {
        skip!("no file on a disk")
    };
    all_get_on(&paged, 150, |thread, random, at| step(&paged, thread, random, at));
    let stats = paged.stats();
    println!("seen: {stats:?}");
    assert!(stats.faults_here > 0, "{stats:?}");
}

/// Every thread walks up its own part: 64 streams, one frame.
#[test]
fn everybody_in_a_row() {
    if role().is_none() {
        return in_child("row");
    }
    let Some((_file, paged)) = least() else { skip!("no file on a disk") };
    let share = LEN / page() / THREADS;
    all_get_on(&paged, share, |thread, _, at| Numbered::new().check(&paged, thread * share + at));
    println!("seen: {:?}", paged.stats());
}

/// Two frames at once for every load, and no more than two frames in memory.
#[test]
fn everybody_across_the_borders_of_frames() {
    if role().is_none() {
        return in_child("borders");
    }
    let Some((_file, paged)) = least() else { skip!("no file on a disk") };
    let borders = LEN / FRAME;
    all_get_on(&paged, 100, |thread, random, at| match thread % 2 {
        0 => check_across(&paged, (1 + (thread + at) % borders) * FRAME),
        _ => check_across(&paged, (1 + random.below(borders)) * FRAME),
    });
    println!("seen: {:?}", paged.stats());
}

/// All wait for the same page, which costs one read.
#[test]
fn everybody_at_the_same_page() {
    if role().is_none() {
        return in_child("same");
    }
    let Some((_file, paged)) = least() else { skip!("no file on a disk") };
    let barrier = std::sync::Barrier::new(THREADS);
    let pages = LEN / page();
    all_get_on(&paged, 100, |_, _, at| {
        barrier.wait();
        Numbered::new().check(&paged, (at * 7919 + 3) % pages);
    });
    let stats = paged.stats();
    println!("seen: {stats:?}");
    assert!(stats.reads < 400, "100 pages were asked for: {stats:?}");
}
