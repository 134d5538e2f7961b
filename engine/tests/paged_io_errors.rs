//! A page that cannot be read: the documented outcome in each mode, and every other byte right.
//!
//! It fails when the bytes around a bad page are lost with it, when a page that showed zeros shows
//! something else later, when an interrupted or a short read is an error, and when the process does
//! not end as it should, or without saying why.

mod common;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::paged::{Made, Named, check_all, child_output, served};
use common::{KIB, MIB, Numbered, Place, Random, page, role, skip};
use mmap_ahead::{OnIoError, Paged, PagedMode, PagedOptions, PolicyKind};

const LIMIT: usize = 8 * MIB;
const LEN: usize = 24 * MIB + 3;

fn zero() -> PagedOptions {
    PagedOptions::new().memory_limit(LIMIT as u64).on_io_error(OnIoError::Zero)
}

fn made(options: &PagedOptions, source: Made) -> Option<Paged> {
    served(options.immutable_source(source))
}

/// Pages as offsets.
fn pages(range: Range<usize>) -> Range<u64> {
    (range.start * page()) as u64..(range.end * page()) as u64
}

/// The pages of `bad` are zeros, all others are right. In each of these orders.
fn check_around(paged: &[u8], bad: &Range<usize>) {
    let numbered = Numbered::new();
    let check = |index: usize| {
        if bad.contains(&index) {
            let bytes = &paged[index * page()..(index + 1) * page()];
            assert!(bytes.iter().all(|&byte| byte == 0), "page {index} is not zeros");
        } else {
            numbered.check(paged, index);
        }
    };
    let count = paged.len().div_ceil(page());
    (0..count).for_each(check);
    (0..count).rev().step_by(3).for_each(check);
    let mut random = Random::new(9);
    (0..500).for_each(|_| check(random.below(count)));
    bad.clone().take(3).for_each(check);
    (0..count).for_each(check);
}

#[test]
fn zeros_for_a_page_or_for_a_whole_frame_and_the_rest_is_right() {
    for bad in [777..778, 0..1, 1024..1536] {
        for policy in [PolicyKind::Off, PolicyKind::default()] {
            let options = zero().policy(policy);
            let Some(paged) = made(&options, Made::broken(LEN, pages(bad.clone()))) else { return };
            check_around(&paged, &bad);
            let error = paged.error().unwrap_or_else(|| panic!("{bad:?}: no error"));
            assert_eq!(error.error.raw_os_error(), Some(libc::EIO), "{bad:?}");
            assert!(pages(bad.clone()).contains(&error.offset), "{bad:?}: {error}");
            assert!(error.offset.is_multiple_of(page() as u64), "{error}");
            assert!(paged.stats().io_errors > 0);
        }
    }
}

#[test]
fn the_last_page_of_the_file_is_a_page_too() {
    let last = LEN / page();
    let bad = pages(last..last + 1);
    let Some(paged) = made(&zero(), Made::broken(LEN, bad.clone())) else { return };
    let numbered = Numbered::new();
    (0..last).for_each(|index| numbered.check(&paged, index));
    assert_eq!(paged[last * page()..], [0; 3]);
    assert_eq!(paged.error().map(|error| error.offset), Some(bad.start));
}

/// The touched page fails as often as it takes to be given up, and would work from then on. It stays
/// as it was seen: a safe slice does not change.
#[test]
fn zeros_stay_zeros_when_the_source_recovers() {
    const BAD: usize = 777;
    for policy in PolicyKind::ALL {
        let lone_failures = AtomicUsize::new(0);
        let fails = move |part: Range<u64>| {
            let bad = pages(BAD..BAD + 1);
            let touches = part.start < bad.end && bad.start < part.end;
            let is_lone = (part.end - part.start) as usize <= page();
            if !touches || lone_failures.load(Ordering::Relaxed) > 0 {
                return None;
            }
            lone_failures.fetch_add(usize::from(is_lone), Ordering::Relaxed);
            Some(io::Error::from_raw_os_error(libc::EIO))
        };
        let source = Made { fails: Box::new(fails), ..Made::new(LEN) };
        let Some(paged) = made(&zero().policy(policy), source) else { return };
        assert_eq!(paged[BAD * page()], 0);
        assert_eq!(paged.error().map(|error| error.offset), Some((BAD * page()) as u64));
        check_around(&paged, &(BAD..BAD + 1));
    }
}

#[test]
fn a_read_that_fails_once_and_then_works_is_no_loss() {
    for once in [libc::EINTR, libc::EAGAIN, libc::EIO] {
        let failed = AtomicUsize::new(0);
        let fails = move |part: Range<u64>| {
            // Reads of several pages that hold one of these: what is read alone works.
            let is_long = (part.end - part.start) as usize > page();
            let is_first = failed.fetch_add(1, Ordering::Relaxed).is_multiple_of(3);
            let fails = is_first && (once != libc::EIO || is_long);
            fails.then(|| io::Error::from_raw_os_error(once))
        };
        let source = Made { fails: Box::new(fails), ..Made::new(LEN) };
        let Some(paged) = made(&zero(), source) else { return };
        check_all(&paged);
        check_all(&paged);
        assert!(paged.error().is_none(), "errno {once}: {:?}", paged.error());
    }
}

#[test]
fn short_reads_of_odd_lengths_are_no_errors() {
    for most in [1_000_003, 65_535, 5000, 4096, 4095, 1000, 512, 17] {
        let len = if most < 1000 { 512 * KIB + 3 } else { LEN };
        let source = Made { most, ..Made::new(len) };
        let fits = zero().memory_limit(64 << 20);
        let Some(paged) = made(&fits, source) else { return };
        check_all(&paged);
        assert!(paged.error().is_none(), "{most} bytes at once: {:?}", paged.error());
        let mut bytes = vec![0; 100_000];
        let read = paged.read_at(&mut bytes, 5).unwrap();
        assert_eq!(read, most.min(100_000));
        assert!(bytes[..read] == paged[5..5 + read]);
    }
}

#[test]
fn read_at_returns_the_error_and_touches_nothing() {
    let bad = pages(777..778);
    let source = Made::broken(LEN, bad.clone());
    let options = PagedOptions::new().memory_limit(LIMIT as u64);
    let Some(paged) = made(&options, source) else { return };
    let mut bytes = vec![0; page()];
    for offset in [bad.start, bad.start - 1, bad.end - 1] {
        let error = paged.read_at(&mut bytes, offset).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
    }
    for offset in [0, bad.end, bad.start - page() as u64] {
        assert_eq!(paged.read_at(&mut bytes, offset).unwrap(), page());
        assert_eq!(bytes[..8], (offset / page() as u64).to_ne_bytes());
    }
    assert_eq!(paged.read_at(&mut bytes, LEN as u64 - 3).unwrap(), 3);
    assert_eq!(paged.read_at(&mut bytes, LEN as u64).unwrap(), 0);
    assert_eq!(paged.read_at(&mut bytes, u64::MAX).unwrap(), 0);
    assert_eq!(paged.read_at(&mut [], bad.start).unwrap(), 0);
    assert!(paged.error().is_none());
    assert!(!paged.is_resident(777 * page()..777 * page() + 1));
}

/// A page that was seen and cannot be read again is no page of zeros: safe code would see it change.
#[test]
fn a_page_that_was_seen_never_becomes_zeros() {
    let offset = 777 * page();
    if role().is_none() {
        return dies_by_sigbus(&["source", &offset.to_string(), "Input/output error"]);
    }
    let is_broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let broken = std::sync::Arc::clone(&is_broken);
    let bad = pages(777..778);
    let fails = move |part: Range<u64>| {
        let touches = part.start < bad.end && bad.start < part.end;
        let fails = touches && broken.load(Ordering::Relaxed);
        fails.then(|| io::Error::from_raw_os_error(libc::EIO))
    };
    let Some(paged) = made(&zero(), Made { fails: Box::new(fails), ..Made::new(LEN) }) else {
        return;
    };
    let numbered = Numbered::new();
    numbered.check(&paged, 777);
    is_broken.store(true, Ordering::Relaxed);
    // A run leaves lone pages alone as long as it can; lone touches push each other out.
    let count = LEN / page();
    let others = (0..20 * count).map(|at| at * 331 % count).filter(|&index| index != 777);
    let is_there = |paged: &Paged| paged.is_resident(offset..offset + 1);
    others.take_while(|_| is_there(&paged)).for_each(|index| numbered.check(&paged, index));
    assert!(!is_there(&paged), "it was thrown away");
    // And out of what is kept for a moment.
    (0..count).filter(|&index| index != 777).for_each(|index| numbered.check(&paged, index));
    let others = (0..count).map(|at| at * 331 % count).filter(|&index| index != 777);
    others.for_each(|index| numbered.check(&paged, index));
    println!("before");
    std::hint::black_box(paged[offset + 9]);
    println!("after");
}

/// Nobody touches the bad page: nothing happens.
#[test]
fn a_bad_page_that_nobody_touches_harms_nobody() {
    let source = Made::broken(LEN, pages(777..778));
    let options = PagedOptions::new().memory_limit(LIMIT as u64);
    let Some(paged) = made(&options, source) else { return };
    paged.prefetch(..);
    let numbered = Numbered::new();
    for _ in 0..2 {
        (0..LEN / page()).filter(|&index| index != 777).for_each(|at| numbered.check(&paged, at));
        paged.prefetch(700 * page()..800 * page());
    }
    assert!(paged.error().is_none());
}

/// Runs the calling test in a child that dies of it: by SIGBUS, and with one line that names these.
fn dies_by_sigbus(named: &[&str]) {
    let child = child_output("dies");
    let (out, err) =
        (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    if out.contains("SKIPPED") {
        return println!("{out}");
    }
    assert_eq!(child.status.signal(), Some(libc::SIGBUS), "{}\n{out}\n{err}", child.status);
    let lines: Vec<_> = err.lines().filter(|line| line.contains("mmap-ahead:")).collect();
    assert_eq!(lines.len(), 1, "{err}");
    named.iter().for_each(|name| assert!(lines[0].contains(name), "{name}: {err}"));
    assert!(out.contains("before") && !out.contains("after"), "{out}");
}

#[test]
fn abort_ends_the_process_by_sigbus_and_says_why() {
    let offset = 777 * page();
    if role().is_none() {
        return dies_by_sigbus(&["source", &offset.to_string(), "Input/output error"]);
    }
    let source = Made::broken(LEN, pages(777..778));
    let options = PagedOptions::new().memory_limit(LIMIT as u64);
    let Some(paged) = made(&options, source) else { return };
    let numbered = Numbered::new();
    (0..777).for_each(|index| numbered.check(&paged, index));
    (778..LEN / page()).for_each(|index| numbered.check(&paged, index));
    println!("before");
    std::hint::black_box(paged[offset + 9]);
    println!("after");
}

#[test]
fn four_threads_at_one_bad_page_end_it_with_one_line() {
    let offset = 777 * page();
    if role().is_none() {
        return dies_by_sigbus(&["source", &offset.to_string(), "Input/output error"]);
    }
    let source = Made::broken(LEN, pages(777..778));
    let options = PagedOptions::new().memory_limit(LIMIT as u64);
    let Some(paged) = made(&options, source) else { return };
    println!("before");
    let barrier = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (paged, barrier) = (&paged, &barrier);
            scope.spawn(move || {
                barrier.wait();
                std::hint::black_box(paged[offset + thread * 1000]);
            });
        }
    });
    println!("after");
}

/// A truncated file is an error of the page, as with any mapping: what is left can be read.
fn truncated(options: &PagedOptions) -> Option<(Named, Paged)> {
    let file = Named::new(Place::Disk, LEN)?;
    // SAFETY: the file is cut, which is documented; the rest of it does not change.
    let paged = served(unsafe { options.open_assume_immutable(file.path()) })?;
    Numbered::new().check(&paged, 5000);
    File::options().write(true).open(file.path()).unwrap().set_len(10 * MIB as u64).unwrap();
    Some((file, paged))
}

#[test]
fn a_truncated_file_shows_zeros_and_keeps_what_is_left() {
    let Some((_file, paged)) = truncated(&zero()) else { skip!("no file on a disk") };
    let numbered = Numbered::new();
    let cut = 10 * MIB / page();
    (0..cut).for_each(|index| numbered.check(&paged, index));
    // What was in memory may stay there; everything else is zeros.
    for index in (cut..LEN / page()).filter(|index| !(4992..5008).contains(index)) {
        let bytes = &paged[index * page()..(index + 1) * page()];
        assert!(bytes.iter().all(|&byte| byte == 0), "page {index}");
    }
    let error = paged.error().unwrap();
    assert!(error.offset >= (cut * page()) as u64, "{error}");
    assert_eq!(error.error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(paged.read_at(&mut [0; 100], 10 * MIB as u64).unwrap(), 0);
    assert_eq!(paged.read_at(&mut [0; 100], 10 * MIB as u64 - 7).unwrap(), 7);
    (0..cut).rev().for_each(|index| numbered.check(&paged, index));
}

#[test]
fn a_truncated_file_ends_the_process_by_sigbus() {
    let offset = 12 * MIB;
    if role().is_none() {
        return dies_by_sigbus(&["numbered", &offset.to_string()]);
    }
    let options = PagedOptions::new().memory_limit(LIMIT as u64);
    let Some((file, paged)) = truncated(&options) else { skip!("no file on a disk") };
    // A process that dies does not clear up.
    drop(file);
    assert!(matches!(paged.mode(), PagedMode::Userfault { .. }));
    let numbered = Numbered::new();
    (0..10 * MIB / page()).for_each(|index| numbered.check(&paged, index));
    println!("before");
    std::hint::black_box(paged[offset]);
    println!("after");
}

/// A source that panics does not leave its readers waiting for ever.
#[test]
fn a_source_that_panics_is_an_error_like_any_other() {
    if role().is_none() {
        let child = child_output("panics");
        let out = String::from_utf8_lossy(&child.stdout);
        let err = String::from_utf8_lossy(&child.stderr);
        assert_ne!(child.status.signal(), Some(libc::SIGALRM), "it hangs: {out}\n{err}");
        assert!(child.status.success(), "{}: {out}\n{err}", child.status);
        return;
    }
    // SAFETY: no precondition. A child that hangs dies sooner.
    unsafe { libc::alarm(5) };
    let fails = |part: Range<u64>| {
        assert!(!part.contains(&((777 * page()) as u64)), "the source has a bug");
        None
    };
    let source = Made { fails: Box::new(fails), ..Made::new(LEN) };
    let Some(paged) = made(&zero(), source) else { return };
    check_around(&paged, &(777..778));
    assert_eq!(paged.error().map(|error| error.offset), Some((777 * page()) as u64));
}
